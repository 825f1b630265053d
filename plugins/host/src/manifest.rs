//! What a plugin says of itself.

use dunlin_topic::{TopicFilter, TopicName};
use serde::Deserialize;
use serde_json::Value;

use crate::Class;

/// Filters that a manifest may name.
const MAX_TOPICS: usize = 1_024;

/// Bytes of a name or a version.
const MAX_NAME_BYTES: usize = 64;

/// The answer of `describe`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `a-z 0-9 -`, 1 to 64 of them.
    pub name: String,
    /// 1 to 64 bytes.
    pub version: String,
    /// The imports that must be granted.
    #[serde(default)]
    pub grants: Vec<GrantName>,
    /// For a filter plugin, the topic filters whose messages it is shown; at most 1,024.
    #[serde(default)]
    pub topics: Vec<String>,
    /// A JSON Schema of the configuration; none if there is nothing to configure.
    #[serde(default)]
    pub schema: Option<Value>,
}

/// An imported interface that needs a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantName {
    /// Random bytes.
    Random,
    /// Passwords, tokens and HMAC.
    Crypto,
    /// Requests to origins.
    Http,
    /// To publish, disconnect and invalidate.
    Broker,
}

impl GrantName {
    /// The interface's name, which is also the key of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Crypto => "crypto",
            Self::Http => "http",
            Self::Broker => "broker",
        }
    }

    /// The grant that an interface needs, if any.
    pub(crate) fn of_interface(name: &str) -> Option<Self> {
        let all = [Self::Random, Self::Crypto, Self::Http, Self::Broker];
        all.into_iter().find(|grant| grant.as_str() == name)
    }
}

impl Manifest {
    /// Parses what `describe` gave.
    ///
    /// # Errors
    /// Says what its author must change.
    pub(crate) fn parse(class: Class, text: &str) -> Result<Self, String> {
        let manifest: Self = serde_json::from_str(text)
            .map_err(|error| format!("its manifest is not as the contract says: {error}"))?;
        manifest.check(class)?;
        Ok(manifest)
    }

    fn check(&self, class: Class) -> Result<(), String> {
        let in_name = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if !lasts(&self.name) || !self.name.bytes().all(in_name) {
            return Err(format!(
                "its manifest's name {:?} is not 1 to {MAX_NAME_BYTES} of a-z, 0-9 and -",
                self.name
            ));
        }
        if !lasts(&self.version) {
            return Err(format!(
                "its manifest's version must have 1 to {MAX_NAME_BYTES} bytes"
            ));
        }
        self.check_topics(class)
    }

    fn check_topics(&self, class: Class) -> Result<(), String> {
        match (class, self.topics.len()) {
            (Class::Filter, 0) => {
                return Err("its manifest names no topics, so it would see no message".into());
            }
            (Class::Filter, n) if n > MAX_TOPICS => {
                return Err(format!(
                    "its manifest names {n} topics; at most {MAX_TOPICS} are allowed"
                ));
            }
            (Class::Auth | Class::Acl | Class::Bridge, 1..) => {
                return Err("its manifest names topics, which only a filter plugin has".into());
            }
            _ => {}
        }
        match self
            .topics
            .iter()
            .find(|topic| TopicFilter::new(topic).is_err())
        {
            Some(topic) => Err(format!("its manifest's topic {topic:?} is no topic filter")),
            None => Ok(()),
        }
    }

    /// Whether a message of this topic is to be shown to a filter.
    pub(crate) fn concerns(&self, topic: TopicName<'_>) -> bool {
        let matches =
            |filter: &String| TopicFilter::new(filter).is_ok_and(|filter| filter.matches(topic));
        self.topics.iter().any(matches)
    }
}

fn lasts(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_may_be_small_or_full() {
        let small = Manifest::parse(Class::Acl, r#"{"name":"a-1","version":"0.1.0"}"#);
        let small = small.expect("valid");
        assert!(small.grants.is_empty() && small.schema.is_none());

        let full = r#"{"name":"f","version":"1","grants":["random","crypto","http","broker"],
            "topics":["a/+","b/#"],"schema":{"type":"object"}}"#;
        let full = Manifest::parse(Class::Filter, full).expect("valid");
        assert_eq!(full.grants.len(), 4);
        let concerns = |topic| full.concerns(TopicName::new(topic).expect("valid"));
        assert!(concerns("a/x") && concerns("b") && concerns("b/c/d"));
        assert!(!concerns("a") && !concerns("a/x/y") && !concerns("$SYS/b"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let long = "x".repeat(65);
        for (class, text, expected) in [
            (Class::Acl, "", "EOF"),
            (Class::Acl, "[]", "invalid"),
            (Class::Acl, r#"{"name":"a"}"#, "version"),
            (Class::Acl, r#"{"name":"A","version":"1"}"#, "name"),
            (Class::Acl, r#"{"name":"","version":"1"}"#, "name"),
            (Class::Acl, r#"{"name":"a","version":""}"#, "version"),
            (
                Class::Acl,
                &format!(r#"{{"name":"{long}","version":"1"}}"#),
                "name",
            ),
            (Class::Acl, r#"{"name":"a","version":"1","more":1}"#, "more"),
            (
                Class::Acl,
                r#"{"name":"a","version":"1","grants":["files"]}"#,
                "files",
            ),
            (
                Class::Acl,
                r#"{"name":"a","version":"1","topics":["a"]}"#,
                "topics",
            ),
            (Class::Filter, r#"{"name":"a","version":"1"}"#, "topics"),
            (
                Class::Filter,
                r##"{"name":"a","version":"1","topics":["a#"]}"##,
                "a#",
            ),
        ] {
            let error = Manifest::parse(class, text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
