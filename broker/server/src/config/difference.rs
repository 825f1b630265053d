//! What a reload changes, and what of it can be done while running.

use std::collections::BTreeMap;

use super::Config;
use super::address::ListenAddress;
use super::listener::Listener;
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

/// What is different between two configurations.
///
/// Files whose path is the same may still have new contents: a reload reads
/// certificates, password and ACL files again whatever this says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Listeners that begin, end or go on with other settings.
    pub listeners: Vec<ListenerChange>,
    /// Other keys that can be applied while running.
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

/// What happens to a listener. It is the same listener as long as its address
/// (and `ipv6_only`) is the same.
#[derive(Clone, Debug, PartialEq)]
pub enum ListenerChange {
    /// To be opened.
    Added(Listener),
    /// To be closed.
    Removed(Listener),
    /// Its socket stays, and new connections find the new settings.
    Changed(Listener),
}

impl Config {
    /// What is different between `old` and `new`.
    pub fn difference(old: &Config, new: &Config) -> Changes {
        let (live, restart) = keys(old, new)
            .into_iter()
            .partition(|c| !needs_restart(&c.key));
        Changes {
            listeners: listeners(&old.listeners, &new.listeners),
            live,
            restart,
        }
    }
}

impl Changes {
    /// Whether the two configurations are the same.
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty() && self.live.is_empty() && self.restart.is_empty()
    }
}

fn listeners(old: &[Listener], new: &[Listener]) -> Vec<ListenerChange> {
    fn socket(listener: &Listener) -> (&ListenAddress, bool) {
        (&listener.address, listener.ipv6_only)
    }
    let find = |all: &[Listener], one: &Listener| {
        all.iter()
            .find(|other| socket(other) == socket(one))
            .cloned()
    };
    let removed = old.iter().filter(|listener| find(new, listener).is_none());
    let mut changes: Vec<_> = removed.cloned().map(ListenerChange::Removed).collect();
    for listener in new {
        match find(old, listener) {
            None => changes.push(ListenerChange::Added(listener.clone())),
            Some(old) if old != *listener => {
                changes.push(ListenerChange::Changed(listener.clone()));
            }
            Some(_) => {}
        }
    }
    changes
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
        assert_eq!(changes.listeners, []);
    }

    #[test]
    fn a_listener_is_known_by_its_address() {
        let at = |port| {
            let mut listener = Listener::default();
            listener.address = listener.address.with_port(port);
            listener
        };
        let limited = Listener {
            max_connections: Some(5),
            ..at(2)
        };
        let with = |listeners| Config {
            listeners,
            ..Config::default()
        };
        let old = with(vec![at(1), at(2), at(4)]);
        let new = with(vec![limited.clone(), at(3), at(4)]);
        assert_eq!(
            Config::difference(&old, &new).listeners,
            [
                ListenerChange::Removed(at(1)),
                ListenerChange::Changed(limited),
                ListenerChange::Added(at(3)),
            ]
        );
    }
}
