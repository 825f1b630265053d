//! Rules on topics, with names and attributes of the client in them.
//!
//! A rule's topic is a filter whose levels may be `%u`, `%c`, `%{attribute}`, `%{list}` or
//! `%{table.column}`; see [`pattern`]. Of the rules that match, one that denies wins over those that
//! allow; if none matches, `otherwise` says what then.
#![forbid(unsafe_code)]

use std::{collections::BTreeMap, time::Duration};

use dunlin_sdk::{Acl, Action, Answer, Client, Effect, Manifest, Plugin, Question};
use serde::Deserialize;

pub mod pattern;

use pattern::{Lists, Pattern};

/// The plugin and its configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AclPattern {
    rules: Vec<Rule>,
    #[serde(default)]
    lists: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    tables: BTreeMap<String, Vec<BTreeMap<String, String>>>,
    #[serde(default)]
    otherwise: Otherwise,
    #[serde(default = "a_minute")]
    ttl: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    topic: String,
    #[serde(default)]
    effect: RuleEffect,
    #[serde(default)]
    access: Access,
    #[serde(skip)]
    pattern: Pattern,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RuleEffect {
    #[default]
    Allow,
    Deny,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Access {
    Read,
    Write,
    #[default]
    ReadWrite,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Otherwise {
    #[default]
    Next,
    Deny,
}

fn a_minute() -> u32 {
    60
}

impl Plugin for AclPattern {
    fn describe() -> Manifest {
        Manifest::new("acl-pattern", env!("CARGO_PKG_VERSION"))
            .schema(include_str!("../schema.json"))
    }

    fn configure(mut self) -> Result<Self, String> {
        let lists = Lists::new(&self.lists, &self.tables)?;
        for rule in &mut self.rules {
            rule.pattern = Pattern::parse(&rule.topic, &lists)
                .map_err(|error| format!("topic {:?}: {error}", rule.topic))?;
        }
        // They are in the patterns now.
        self.lists.clear();
        self.tables.clear();
        Ok(self)
    }
}

impl Acl for AclPattern {
    fn authorize(&mut self, client: &Client, question: &Question) -> Answer {
        let answer = match question.action {
            Action::Subscribe => self.subscribe(client, without_group(&question.topic)),
            action => self.message(client, action, &question.topic),
        };
        answer.for_time(Duration::from_secs(self.ttl.into()))
    }
}

impl AclPattern {
    /// May it publish or receive?
    fn message(&self, client: &Client, action: Action, topic: &str) -> Answer {
        let mut allowed = None;
        for rule in self.rules.iter().filter(|rule| rule.access.covers(action)) {
            if rule.effect == RuleEffect::Allow && allowed.is_some() {
                continue;
            }
            let Some(scope) = rule.pattern.matches(client, topic) else {
                continue;
            };
            match rule.effect {
                // Nothing goes before a denial, so it holds for all that its rule matches.
                RuleEffect::Deny => return Answer::deny().for_scope(scope),
                RuleEffect::Allow => allowed = Some(scope),
            }
        }
        match allowed {
            Some(scope) if !self.is_denied_in_part(client, action, &scope) => {
                Answer::allow().for_scope(scope)
            }
            Some(_) => Answer::allow(),
            None => self.otherwise(),
        }
    }

    /// May it subscribe? If it may receive anything of it: what it then receives is asked again.
    fn subscribe(&self, client: &Client, filter: &str) -> Answer {
        let mut allowed = false;
        for rule in self
            .rules
            .iter()
            .filter(|rule| rule.access.covers(Action::Receive))
        {
            match rule.effect {
                RuleEffect::Deny if rule.pattern.covers(client, filter) => return Answer::deny(),
                RuleEffect::Deny => {}
                RuleEffect::Allow => allowed = allowed || rule.pattern.overlaps(client, filter),
            }
        }
        match allowed {
            true => Answer::allow(),
            false => self.otherwise(),
        }
    }

    fn is_denied_in_part(&self, client: &Client, action: Action, scope: &str) -> bool {
        self.rules.iter().any(|rule| {
            rule.effect == RuleEffect::Deny
                && rule.access.covers(action)
                && rule.pattern.overlaps(client, scope)
        })
    }

    fn otherwise(&self) -> Answer {
        Answer::new(match self.otherwise {
            Otherwise::Next => Effect::Next,
            Otherwise::Deny => Effect::Deny,
        })
    }
}

impl Access {
    fn covers(self, action: Action) -> bool {
        match self {
            Access::Read => action != Action::Publish,
            Access::Write => action == Action::Publish,
            Access::ReadWrite => true,
        }
    }
}

/// Of `$share/group/filter` the filter.
fn without_group(filter: &str) -> &str {
    let shared = filter.strip_prefix("$share/");
    shared
        .and_then(|rest| rest.split_once('/'))
        .map_or(filter, |(_, filter)| filter)
}

dunlin_sdk::acl!(AclPattern);

#[cfg(test)]
mod tests;
