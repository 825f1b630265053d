//! What a reload changes, and what of it can be done while running.

use std::collections::BTreeMap;

use super::Config;
use super::node::Value;
use super::reference;
use super::setting::Setting;

/// The keys, by how they begin, that are read once at the start.
const AT_START: &[&str] = &[
    "workers",
    "store",
    "data_dir",
    "durability",
    "limits.disk_reserve",
    "pid_file",
    "limits.queued_",
    "limits.retained_",
    "limits.sessions",
    "limits.subscriptions",
    "limits.tcp_keepalive",
    "sessions.queue_qos0",
    "sessions.upgrade_outgoing_qos",
    "logging.format",
    "logging.destination",
    "logging.timestamps",
    "admin.address",
];

/// Whether a change of this key, as `workers`, needs a restart. Other keys hold at once, or, where
/// they are told to clients at CONNECT, for connections made from then on.
pub fn needs_restart(key: &str) -> bool {
    AT_START.iter().any(|start| key.starts_with(start))
}

/// What is different between two configurations, but for listeners.
///
/// Files whose path is the same may still have new contents: a reload reads
/// certificates, password and ACL files again whatever this says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Keys that can be applied while running.
    pub live: Vec<Change>,
    /// Keys that stay as they were until the broker is started again.
    pub restart: Vec<Change>,
}

/// A key that has another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key, as `limits.connections`.
    pub key: String,
    /// Its value before, as it would be written.
    pub old: String,
    /// Its value now.
    pub new: String,
}

impl Config {
    /// What is different between `old` and `new`.
    pub fn difference(old: &Config, new: &Config) -> Changes {
        let (live, restart) = keys(old, new)
            .into_iter()
            .partition(|c| !needs_restart(&c.key));
        Changes { live, restart }
    }
}

impl Changes {
    /// Whether the two configurations are the same.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty() && self.restart.is_empty()
    }
}

fn keys(old: &Config, new: &Config) -> Vec<Change> {
    let defaults = reference::rows()
        .into_iter()
        .map(|row| (row.key, row.default));
    let defaults: BTreeMap<_, _> = defaults.collect();
    let (old, new) = (flat(old), flat(new));
    let value = |of: &BTreeMap<String, String>, key: &String| {
        of.get(key)
            .or_else(|| defaults.get(key))
            .cloned()
            .unwrap_or_default()
    };
    let changed = defaults.keys().filter(|key| old.get(*key) != new.get(*key));
    let change = |key: &String| Change {
        key: key.clone(),
        old: value(&old, key),
        new: value(&new, key),
    };
    changed.map(change).collect()
}

/// Every key that is not at its default, but those of listeners.
fn flat(config: &Config) -> BTreeMap<String, String> {
    fn walk(value: &Value, path: &str, out: &mut BTreeMap<String, String>) {
        match value {
            Value::Table(entries) => {
                for (key, node) in entries.iter().filter(|(key, _)| key != "listeners") {
                    let path = if path.is_empty() {
                        key.clone()
                    } else {
                        format!("{path}.{key}")
                    };
                    walk(&node.value, &path, out);
                }
            }
            scalar => {
                out.insert(path.to_owned(), scalar.to_string());
            }
        }
    }
    let mut out = BTreeMap::new();
    if let Some(value) = config.value() {
        walk(&value, "", &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ByteSize, LogLevel, Workers};

    #[test]
    fn equal_configurations_do_not_differ() {
        assert!(Config::difference(&Config::default(), &Config::default()).is_empty());
    }

    #[test]
    fn keys_are_named_with_both_values() {
        let old = Config::default();
        let mut new = Config {
            workers: Workers::Count(2),
            ..Config::default()
        };
        new.limits.packet_size = ByteSize::mib(2);
        new.logging.level = LogLevel::Debug;
        new.access.acl_file = Some("rules".into());
        let changes = Config::difference(&old, &new);
        let named = |all: &[Change]| -> Vec<String> {
            all.iter()
                .map(|c| format!("{}: {} -> {}", c.key, c.old, c.new))
                .collect()
        };
        assert_eq!(
            named(&changes.live),
            [
                "access.acl_file: \"\" -> \"rules\"",
                "limits.packet_size: \"1 MiB\" -> \"2 MiB\"",
                "logging.level: \"info\" -> \"debug\"",
            ]
        );
        assert_eq!(named(&changes.restart), ["workers: \"auto\" -> 2"]);
    }
}
