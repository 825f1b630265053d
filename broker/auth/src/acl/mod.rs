//! ACL files in Mosquitto's grammar.

mod line;
mod rule;

use std::path::Path;
use std::sync::Arc;

use dunlin_topic::{TopicFilter, TopicName};
use hashbrown::HashMap;

use self::{
    line::{Directive, parse_line},
    rule::Rule,
};
use crate::{
    Action, Answer, Authorizer, Coverage, Decision, FileError, Principal, Question,
    file::{meaningful_lines, read_text},
};

/// The largest ACL file that is read.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The rules of an ACL file, sorted by whom they concern.
///
/// ```text
/// # Rules before the first `user` are for anonymous clients.
/// topic read news/#
///
/// user alice
/// topic deny plant/secret
/// topic plant/#
///
/// # Patterns are for everyone, wherever they stand.
/// pattern readwrite home/%u/#
/// pattern write status/%c
/// ```
///
/// A client's own rules are asked first, then the patterns; within each, those that deny come
/// before those that allow, and the first that matches decides. So a rule of a user's own may
/// grant what a pattern denies. What nothing matches is denied. (Mosquitto 2.0 decides in this
/// very order; its manual tells only half of it.)
///
/// `%u` and `%c` stand for a whole level. A user name or client id with `/`, `+` or `#` in it is
/// not one level: patterns that allow do not match for such a client, patterns that deny match
/// any name at that level. Nor do patterns reach into `$` topics by way of a name.
///
/// Subscribing is always accepted; `read` is enforced when messages are delivered.
#[derive(Debug)]
pub struct AclFile {
    anonymous: Rules,
    users: HashMap<Box<str>, Rules, foldhash::fast::RandomState>,
    patterns: Rules,
}

/// Rules for the same clients.
#[derive(Debug, Default)]
struct Rules {
    deny: Vec<Rule>,
    allow: Vec<Rule>,
}

impl AclFile {
    /// Reads and parses a file.
    ///
    /// # Errors
    /// If it cannot be read, is larger than 16 MiB or says something that is no rule.
    pub fn load(file: &Path) -> Result<Self, FileError> {
        Self::parse(file, &read_text(file, MAX_FILE_BYTES)?)
    }

    /// Parses the text of `file`, which is named in errors.
    ///
    /// # Errors
    /// At the first line that is no rule.
    pub fn parse(file: &Path, text: &str) -> Result<Self, FileError> {
        let mut acl = Self {
            anonymous: Rules::default(),
            users: HashMap::default(),
            patterns: Rules::default(),
        };
        let mut user: Option<&str> = None;
        for (number, line) in meaningful_lines(text) {
            let at = |problem| FileError::at(file, number, problem);
            match parse_line(line).map_err(at)? {
                Directive::User(name) => user = Some(name),
                Directive::Topic(access, topic) => {
                    let rule = Rule::topic(access, topic).map_err(at)?;
                    acl.rules_to_extend(user).add(rule);
                }
                Directive::Pattern(access, topic) => {
                    acl.patterns.add(Rule::pattern(access, topic).map_err(at)?);
                }
            }
        }
        Ok(acl)
    }

    fn rules_to_extend(&mut self, user: Option<&str>) -> &mut Rules {
        match user {
            None => &mut self.anonymous,
            Some(name) => self.users.entry(name.into()).or_default(),
        }
    }

    /// The rules that concern a client, in the order in which they are asked.
    fn rules_for(&self, who: &Principal) -> impl Iterator<Item = &Rules> {
        let own = match who.username() {
            None => Some(&self.anonymous),
            Some(name) => self.users.get(name),
        };
        own.into_iter().chain([&self.patterns])
    }
}

impl Authorizer for AclFile {
    fn authorize(&self, who: &Principal, question: &Question<'_>) -> Answer {
        self.rules_for(who)
            .find_map(|rules| rules.decide(who, question.action, question.topic))
            .unwrap_or(Decision::Deny)
            .into()
    }

    fn coverage(&self, who: &Principal, filter: TopicFilter<'_>) -> Coverage {
        coverage(self.rules_for(who), who, filter)
    }
}

/// What a client may do by its grant, whatever the rules of its listener say.
///
/// As in an [`AclFile`], what denies comes first, and what nothing matches is denied.
#[derive(Clone, Debug)]
pub struct GrantedRules(Arc<Rules>);

/// What a rule of a grant permits where its filter matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Nothing.
    Deny,
    /// To receive.
    Read,
    /// To publish.
    Write,
    /// Both.
    ReadWrite,
}

impl GrantedRules {
    /// Rules on topic filters, in which `%c` and `%u` stand for a whole level.
    ///
    /// # Errors
    /// At the first filter that is none.
    pub fn new<'f>(rules: impl IntoIterator<Item = (Permission, &'f str)>) -> Result<Self, String> {
        let mut granted = Rules::default();
        for (permission, filter) in rules {
            let access = match permission {
                Permission::Deny => rule::Access::DENY,
                Permission::Read => rule::Access::READ,
                Permission::Write => rule::Access::WRITE,
                Permission::ReadWrite => rule::Access::READ_WRITE,
            };
            granted.add(Rule::pattern(access, filter)?);
        }
        Ok(GrantedRules(Arc::new(granted)))
    }

    /// Whether `who` may do this.
    pub fn authorize(&self, who: &Principal, question: &Question<'_>) -> Decision {
        let decision = self.0.decide(who, question.action, question.topic);
        decision.unwrap_or(Decision::Deny)
    }

    /// How much of what matches `filter` they let `who` receive.
    pub fn coverage(&self, who: &Principal, filter: TopicFilter<'_>) -> Coverage {
        coverage([&*self.0].into_iter(), who, filter)
    }
}

/// Whatever is asked later speaks only of topics that nothing before it has decided.
fn coverage<'r>(
    asked: impl Iterator<Item = &'r Rules>,
    who: &Principal,
    filter: TopicFilter<'_>,
) -> Coverage {
    let (mut some_denied, mut some_allowed) = (false, false);
    for rules in asked {
        match rules.denied(who, filter) {
            Coverage::All if some_allowed => return Coverage::Mixed,
            Coverage::All => return Coverage::None,
            Coverage::Mixed => some_denied = true,
            Coverage::None => {}
        }
        match rules.readable(who, filter) {
            Coverage::All if some_denied => return Coverage::Mixed,
            Coverage::All => return Coverage::All,
            Coverage::Mixed => some_allowed = true,
            Coverage::None => {}
        }
    }
    match some_allowed {
        true => Coverage::Mixed,
        false => Coverage::None,
    }
}

impl Rules {
    fn add(&mut self, rule: Rule) {
        if rule.denies() {
            self.deny.push(rule);
        } else {
            self.allow.push(rule);
        }
    }

    fn decide(&self, who: &Principal, action: Action, topic: TopicName<'_>) -> Option<Decision> {
        if self.deny.iter().any(|rule| rule.matches(who, topic)) {
            return Some(Decision::Deny);
        }
        let allows = |rule: &Rule| rule.grants(action) && rule.matches(who, topic);
        self.allow.iter().any(allows).then_some(Decision::Allow)
    }

    fn denied(&self, who: &Principal, filter: TopicFilter<'_>) -> Coverage {
        total_coverage(self.deny.iter(), who, filter)
    }

    fn readable(&self, who: &Principal, filter: TopicFilter<'_>) -> Coverage {
        let read = self
            .allow
            .iter()
            .filter(|rule| rule.grants(Action::Receive));
        total_coverage(read, who, filter)
    }
}

/// `All` if one rule alone covers the filter: rules that cover it only together count as mixed.
fn total_coverage<'r>(
    rules: impl Iterator<Item = &'r Rule>,
    who: &Principal,
    filter: TopicFilter<'_>,
) -> Coverage {
    let mut total = Coverage::None;
    for rule in rules {
        match rule.coverage(who, filter) {
            Coverage::All => return Coverage::All,
            Coverage::Mixed => total = Coverage::Mixed,
            Coverage::None => {}
        }
    }
    total
}

#[cfg(test)]
mod tests;
