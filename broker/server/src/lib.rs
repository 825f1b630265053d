//! The dunlin broker: everything of the binary but its `main`.
//!
//! [`cli`] says what to do, [`config`] and [`mosquitto`] with which settings, and [`serve`] does
//! it: [`wiring`] turns settings into what the other crates take, and is the only place that
//! knows all of them.

mod acceptor;
mod admin;
mod allocator;
mod bridges;
pub mod cli;
pub mod config;
mod housekeeping;
mod listeners;
mod logging;
pub mod mosquitto;
mod open_files;
mod passwd;
mod pid_file;
mod plugin_figures;
mod plugin_tool;
#[cfg(feature = "plugins")]
mod plugins;
#[cfg(not(feature = "plugins"))]
#[path = "without_plugins.rs"]
mod plugins;
mod reload;
mod restore;
pub mod serve;
mod signals;
mod storage;
mod store;
mod system_topics;
mod wiring;
mod workers;

pub use bridges::Bridges;
pub use passwd::passwd;
pub use plugin_tool::plugin;
pub use plugins::Plugins;
pub use store::store;
pub use wiring::check_listeners;
