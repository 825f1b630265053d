//! What every plugin does.

use serde::de::DeserializeOwned;

use crate::Manifest;

/// A plugin, made from its configuration.
///
/// The broker makes several instances of a plugin, each with a memory of its own, and an instance
/// serves one call at a time. What an instance keeps between calls is a cache and nothing else:
/// the next call may go to another, and an instance that panics or grows is thrown away.
///
/// The JSON of the configuration is read by serde: a field that is not configured is
/// `#[serde(skip)]` or has a `#[serde(default)]`.
pub trait Plugin: DeserializeOwned {
    /// Says what the plugin is. None of the broker's functions works here but [`crate::log`].
    fn describe() -> Manifest;

    /// Checks and completes what serde has read, once in every instance.
    ///
    /// # Errors
    /// In words for the operator: what is wrong with the configuration. The plugin is not loaded.
    fn configure(self) -> Result<Self, String> {
        Ok(self)
    }
}
