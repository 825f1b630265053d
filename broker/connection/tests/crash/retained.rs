//! What the retained value of a topic may be. Every such topic has one publisher, so its messages
//! have one order.

use std::collections::BTreeMap;

use dunlin_time::Wall;

use crate::messages::{Messages, Number};

#[derive(Default)]
pub struct Retained {
    /// Topic to messages, in the order in which they were sent first.
    sent: BTreeMap<String, Vec<Number>>,
}

impl Retained {
    pub fn sent(&mut self, topic: &str, number: Number) {
        self.sent.entry(topic.to_owned()).or_default().push(number);
    }

    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.sent.keys().map(String::as_str)
    }

    /// Whether a topic may have this value: the newest that was acknowledged, or a later one.
    ///
    /// # Errors
    /// It may not.
    pub fn check(
        &self,
        messages: &Messages,
        topic: &str,
        value: Option<Number>,
        now: Wall,
    ) -> Result<(), String> {
        let sent = self.sent.get(topic).map_or(&[][..], |sent| sent);
        let accepted = |number: &&Number| messages.get(**number).accepted.is_some();
        let newest = sent.iter().rfind(accepted).copied();
        let from = newest.map_or(0, |newest| {
            sent.iter()
                .position(|number| *number == newest)
                .unwrap_or(0)
        });
        let possible = &sent[from..];
        match value {
            None => {
                let leaves_none = |number: &Number| {
                    let message = messages.get(*number);
                    message.empty || message.may_expire_at().is_some_and(|at| at <= now)
                };
                match newest.is_none() || possible.iter().any(leaves_none) {
                    true => Ok(()),
                    false => Err(format!("the retained value {newest:?} of {topic} is lost")),
                }
            }
            Some(number) if !possible.contains(&number) => Err(format!(
                "{topic} has the retained value {number}, after {newest:?} was acknowledged"
            )),
            Some(number) => match messages.get(number).is_expired_at() {
                Some(at) if at < now => Err(format!("the retained value {number} has expired")),
                _ => Ok(()),
            },
        }
    }
}
