//! What the configuration says of a plugin.

use std::{fmt, path::PathBuf, thread, time::Duration};

use dunlin_plugin_services::KeySetSettings;
use serde_json::Value;

use crate::Class;

/// A plugin as the configuration has it.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginSettings {
    /// The component.
    pub path: PathBuf,
    /// If present, the file must have this SHA-256.
    pub sha256: Option<[u8; 32]>,
    /// What the plugin's `configure` gets: a JSON object that satisfies its schema.
    pub config: Value,
    /// What it may import beside `log`, `metrics` and `clock`.
    pub grants: Grants,
    /// What `crypto.verify-token` knows.
    pub key_sets: Vec<KeySetSettings>,
    /// Where it differs from the defaults of its class.
    pub limits: LimitSettings,
    /// What becomes of messages that a filter could not judge.
    pub on_failure: OnFailure,
    /// Recorded cases that it must pass to be loaded; at most 16 MiB.
    pub cases: Option<PathBuf>,
}

impl PluginSettings {
    /// A plugin without configuration and grants.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        PluginSettings {
            path: path.into(),
            sha256: None,
            config: Value::Object(serde_json::Map::new()),
            grants: Grants::default(),
            key_sets: Vec::new(),
            limits: LimitSettings::default(),
            on_failure: OnFailure::default(),
            cases: None,
        }
    }
}

/// Imports that a plugin may have. Denied by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Random bytes.
    pub random: bool,
    /// Passwords, tokens and HMAC.
    pub crypto: bool,
    /// To publish, disconnect and invalidate.
    pub broker: bool,
    /// Origins that it may send requests to; empty: not granted.
    pub http: Vec<String>,
}

/// What becomes of a message when the filter that must judge it cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It is refused.
    #[default]
    Refuse,
    /// It goes on as if there were no filter.
    Pass,
}

/// Limits where the configuration names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitSettings {
    /// See [`Limits::memory_bytes`].
    pub memory_bytes: Option<usize>,
    /// See [`Limits::deadline`].
    pub deadline: Option<Duration>,
    /// See [`Limits::instances`].
    pub instances: Option<usize>,
    /// See [`Limits::answer_bytes`].
    pub answer_bytes: Option<usize>,
}

/// What a plugin may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of an instance: 64 KiB to 256 MiB, by default 16 MiB.
    pub memory_bytes: usize,
    /// Time for a call: 1 ms to 60 s. A guest that computes is stopped within about 2 ms after it.
    /// By default 5 s for an auth plugin, 50 ms for a bridge plugin (and as much again for each 256 KiB
    /// of a message that is larger), 1 ms for the others.
    pub deadline: Duration,
    /// Instances at a time: 1 to 128. They are made when calls need them. By default 16 for an auth
    /// plugin, 1 for a bridge plugin, for the others 4 or the number of CPUs.
    pub instances: usize,
    /// Bytes that one answer, or the arguments of one import, may hold: 4 KiB to 16 MiB,
    /// by default 1 MiB. A bridge plugin may have twice its batch besides.
    pub answer_bytes: usize,
}

const MEMORY_BYTES: (usize, usize) = (64 << 10, 256 << 20);
const DEADLINE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(60));
const INSTANCES: (usize, usize) = (1, 128);
const ANSWER_BYTES: (usize, usize) = (4 << 10, 16 << 20);

impl Limits {
    /// The limits of a class where nothing else is said.
    pub fn of(class: Class) -> Self {
        // Each worker may be asking, and there is one for each CPU.
        let cpus = || thread::available_parallelism().map_or(1, usize::from);
        let (deadline, instances) = match class {
            Class::Auth => (Duration::from_secs(5), 16),
            Class::Acl | Class::Filter => (Duration::from_millis(1), cpus().clamp(4, 128)),
            Class::Bridge => (Duration::from_millis(50), 1),
        };
        Limits {
            memory_bytes: 16 << 20,
            deadline,
            instances,
            answer_bytes: 1 << 20,
        }
    }

    /// Those of a class, with what the configuration names.
    ///
    /// # Errors
    /// Names a limit that is out of bounds.
    pub fn from_settings(class: Class, settings: &LimitSettings) -> Result<Self, String> {
        let default = Limits::of(class);
        Ok(Limits {
            memory_bytes: within(
                "memory_bytes",
                settings.memory_bytes.unwrap_or(default.memory_bytes),
                MEMORY_BYTES,
            )?,
            deadline: within(
                "deadline",
                settings.deadline.unwrap_or(default.deadline),
                DEADLINE,
            )?,
            instances: within(
                "instances",
                settings.instances.unwrap_or(default.instances),
                INSTANCES,
            )?,
            answer_bytes: within(
                "answer_bytes",
                settings.answer_bytes.unwrap_or(default.answer_bytes),
                ANSWER_BYTES,
            )?,
        })
    }

    /// Time to make an instance and to configure it: once for each, hence more than for a call.
    pub(crate) fn setup(&self) -> Duration {
        const SETUP: Duration = Duration::from_millis(250);
        self.deadline.max(SETUP)
    }
}

fn within<T: PartialOrd + fmt::Debug>(
    name: &str,
    value: T,
    (least, most): (T, T),
) -> Result<T, String> {
    match value >= least && value <= most {
        true => Ok(value),
        false => Err(format!(
            "limits.{name} is {value:?}, must be from {least:?} to {most:?}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_the_class_unless_named() {
        let settings = LimitSettings {
            instances: Some(7),
            ..Default::default()
        };
        let limits = Limits::from_settings(Class::Acl, &settings).expect("within bounds");
        assert_eq!(
            limits,
            Limits {
                instances: 7,
                ..Limits::of(Class::Acl)
            }
        );
        assert_eq!(limits.deadline, Duration::from_millis(1));
        assert_eq!(Limits::of(Class::Auth).deadline, Duration::from_secs(5));
    }

    #[test]
    fn limits_out_of_bounds_are_named() {
        for (settings, name) in [
            (
                LimitSettings {
                    memory_bytes: Some(1 << 30),
                    ..Default::default()
                },
                "limits.memory_bytes",
            ),
            (
                LimitSettings {
                    deadline: Some(Duration::ZERO),
                    ..Default::default()
                },
                "limits.deadline",
            ),
            (
                LimitSettings {
                    instances: Some(0),
                    ..Default::default()
                },
                "limits.instances",
            ),
            (
                LimitSettings {
                    answer_bytes: Some(1),
                    ..Default::default()
                },
                "limits.answer_bytes",
            ),
        ] {
            let error = Limits::from_settings(Class::Auth, &settings).expect_err("out of bounds");
            assert!(error.starts_with(name), "{error}");
        }
    }
}
