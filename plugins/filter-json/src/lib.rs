//! Drops, projects and redacts messages with JSON payloads.
//!
//! A payload that is changed is written anew: compact, its fields sorted by name.
#![forbid(unsafe_code)]

use dunlin_sdk::{Client, Filter, Manifest, Message, Plugin, Verdict, topic};
use serde::Deserialize;
use serde_json::Value;

pub mod compare;
pub mod path;
pub mod redact;

use compare::Condition;
use path::Path;
use redact::Redaction;

/// The plugin and its configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterJson {
    rules: Vec<Rule>,
}

/// What becomes of messages of some topics.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    topics: Vec<String>,
    #[serde(default)]
    drop: Vec<Condition>,
    keep: Option<Vec<Path>>,
    #[serde(default)]
    redact: Vec<Redaction>,
    #[serde(default)]
    not_json: NotJson,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum NotJson {
    Pass,
    #[default]
    Drop,
}

impl Plugin for FilterJson {
    fn describe() -> Manifest {
        // Which topics it is about, only the configuration says.
        Manifest::new("filter-json", env!("CARGO_PKG_VERSION"))
            .topics(["#"])
            .schema(include_str!("../schema.json"))
    }

    fn configure(self) -> Result<Self, String> {
        for rule in &self.rules {
            if let Some(filter) = rule.topics.iter().find(|filter| !topic::is_filter(filter)) {
                return Err(format!("{filter:?} is not a topic filter"));
            }
            rule.drop.iter().try_for_each(Condition::check)?;
            rule.redact.iter().try_for_each(Redaction::check)?;
        }
        Ok(self)
    }
}

impl Filter for FilterJson {
    fn on_publish(&mut self, _: &Client, message: &Message) -> Verdict {
        match self.rules.iter().find(|rule| rule.concerns(&message.topic)) {
            Some(rule) => rule.judge(&message.payload),
            None => Verdict::Pass,
        }
    }
}

impl Rule {
    fn concerns(&self, name: &str) -> bool {
        self.topics
            .iter()
            .any(|filter| topic::matches(filter, name))
    }

    fn judge(&self, payload: &[u8]) -> Verdict {
        let Ok(original) = serde_json::from_slice::<Value>(payload) else {
            return match self.not_json {
                NotJson::Pass => Verdict::Pass,
                NotJson::Drop => Verdict::Drop("not JSON".into()),
            };
        };
        if let Some(condition) = self
            .drop
            .iter()
            .find(|condition| condition.holds(&original))
        {
            return Verdict::Drop(condition.to_string());
        }
        let mut changed = match &self.keep {
            Some(paths) => path::keep(&original, paths),
            None => original.clone(),
        };
        for redaction in &self.redact {
            redaction.apply(&mut changed);
        }
        match changed == original {
            true => Verdict::Pass,
            false => Verdict::payload(changed.to_string()),
        }
    }
}

dunlin_sdk::filter!(FilterJson);

#[cfg(test)]
mod tests;
