//! Numbers in the broker's metrics: `dunlin_plugin_value{plugin="...",name="..."}`.
//!
//! At most 64 names; later ones are dropped.

use crate::host;

/// Adds to a counter.
pub fn add(name: &str, amount: u64) {
    host::add(name, amount);
}

/// Sets a gauge.
pub fn set(name: &str, value: f64) {
    host::set(name, value);
}
