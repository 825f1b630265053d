//! Renames, wraps and drops messages on their way through a bridge.
//!
//! Each direction has its rules, and the first whose filter matches is applied; see [`template`] for
//! what becomes of topics, and [`envelope`] for what may become of payloads.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use dunlin_sdk::{Bridge, Fate, Manifest, Plugin, Qos, bridge::Message, metrics, topic};
use serde::Deserialize;

pub mod envelope;
pub mod template;

use template::Template;

/// The plugin and its configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BridgeMap {
    #[serde(default)]
    egress: Vec<Rule>,
    #[serde(default)]
    ingress: Vec<Rule>,
}

/// What becomes of messages of some topics.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    filter: String,
    topic: Option<String>,
    #[serde(default)]
    drop: bool,
    #[serde(default)]
    envelope: bool,
    qos: Option<u8>,
    retain: Option<bool>,
    #[serde(default)]
    user_properties: BTreeMap<String, String>,
    /// Of `topic`.
    #[serde(skip)]
    template: Option<Template>,
}

impl Plugin for BridgeMap {
    fn describe() -> Manifest {
        Manifest::new("bridge-map", env!("CARGO_PKG_VERSION"))
            .schema(include_str!("../schema.json"))
    }

    fn configure(mut self) -> Result<Self, String> {
        for rule in self.egress.iter_mut().chain(&mut self.ingress) {
            rule.complete()
                .map_err(|error| format!("filter {:?}: {error}", rule.filter))?;
        }
        Ok(self)
    }
}

impl Bridge for BridgeMap {
    fn egress(&mut self, bridge: &str, message: Message) -> Fate {
        fate(&self.egress, bridge, message)
    }

    fn ingress(&mut self, bridge: &str, message: Message) -> Fate {
        fate(&self.ingress, bridge, message)
    }
}

fn fate(rules: &[Rule], bridge: &str, message: Message) -> Fate {
    let mut rules = rules.iter();
    match rules.find(|rule| topic::matches(&rule.filter, &message.topic)) {
        Some(rule) => rule.apply(bridge, message),
        None => Fate::Pass,
    }
}

impl Rule {
    fn complete(&mut self) -> Result<(), String> {
        if !topic::is_filter(&self.filter) {
            return Err("it is not a topic filter".into());
        }
        if self.drop && self.changes() {
            return Err("either drop or something else".into());
        }
        if self.qos.is_some_and(|qos| qos > 2) {
            return Err("qos is 0, 1 or 2".into());
        }
        let mut texts = self.user_properties.iter();
        if texts.any(|(name, value)| name.contains('\0') || value.contains('\0')) {
            return Err("a user property has a null in it".into());
        }
        let template = self.topic.as_deref();
        let template = template.map(|text| Template::new(text, &self.filter));
        self.template = template.transpose()?;
        Ok(())
    }

    /// Whether it does not let messages go on as they are.
    fn changes(&self) -> bool {
        self.topic.is_some()
            || self.envelope
            || self.qos.is_some()
            || self.retain.is_some()
            || !self.user_properties.is_empty()
    }

    fn apply(&self, bridge: &str, mut message: Message) -> Fate {
        if self.drop {
            return Fate::Drop;
        }
        if !self.changes() {
            return Fate::Pass;
        }
        if self.envelope {
            envelope::wrap(bridge, &mut message);
        }
        if let Some(template) = &self.template {
            let Some(topic) = template.render(&self.filter, &message.topic) else {
                metrics::add("topics_impossible", 1);
                return Fate::Drop;
            };
            message.topic = topic;
        }
        message.qos = match self.qos {
            None => message.qos,
            Some(0) => Qos::AtMostOnce,
            Some(1) => Qos::AtLeastOnce,
            Some(_) => Qos::ExactlyOnce,
        };
        message.retain = self.retain.unwrap_or(message.retain);
        let more = self.user_properties.iter();
        let more = more.map(|(name, value)| (name.clone(), value.clone()));
        message.user_properties.extend(more);
        Fate::Replace(message)
    }
}

dunlin_sdk::bridge!(BridgeMap);

#[cfg(test)]
mod tests;
