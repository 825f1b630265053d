//! How a plugin does, for metrics, health and the API.

/// One plugin's figures, as of now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PluginFigures {
    /// Its name in the configuration.
    pub name: String,
    /// What it is asked: `auth`, `acl` or `filter`.
    pub class: &'static str,
    /// Its own version.
    pub version: String,
    /// Of its file, in hexadecimal.
    pub sha256: String,
    /// `closed` while it answers, `open` while it is left alone after faults, `half-open` while it
    /// is tried again.
    pub breaker: &'static str,
    /// Calls so far.
    pub calls: u64,
    /// Calls that failed, by why.
    pub faults: Vec<(&'static str, u64)>,
    /// Seconds that calls took, all together.
    pub busy_seconds: f64,
    /// Instances that are there.
    pub instances: u64,
    /// Bytes of their memory.
    pub memory_bytes: u64,
    /// Lines that it wrote too fast.
    pub log_lines_dropped: u64,
    /// What it counts itself.
    pub numbers: Vec<(String, f64)>,
}
