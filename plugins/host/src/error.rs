//! Why a plugin is not loaded.

use std::{error::Error, fmt};

/// Why a plugin cannot be loaded; the plugin that was there before stays.
#[derive(Debug)]
pub struct LoadError {
    /// The plugin's name in the configuration.
    pub(crate) plugin: String,
    /// What is wrong, where, and what to do.
    pub(crate) what: String,
}

impl LoadError {
    /// What is wrong, without the plugin's name.
    pub fn what(&self) -> &str {
        &self.what
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin {}: {}", self.plugin, self.what)
    }
}

impl Error for LoadError {}
