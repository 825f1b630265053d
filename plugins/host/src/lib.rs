//! WASM plugins: who may connect, what they may do, what becomes of their messages.
//!
//! A [`Host`] loads components that implement a world of `sdk/wit` and gives each as one of the
//! ports of `dunlin-auth`: an [`AuthPlugin`] is an `Authenticator`, an [`AclPlugin`] an
//! `Authorizer`, a [`FilterPlugin`] a `PublishFilter`. A [`BridgePlugin`] stands alone: whoever has
//! bridges joins it to them. Start with [`Host::load`] and [`PluginSettings`].
//!
//! ```text
//!   file -> hash -> compile (or cache) -> link -> describe -> grants -> schema -> configure
//!        -> self-test -> Plugin
//!
//!   question -> breaker -> pool of instances -> guest, under deadline, memory and answer limits
//!            -> answer | fault: counted, the instance dropped, the breaker told
//! ```
//!
//! A guest reaches nothing but the imports of its world, and those that need a grant only with
//! one. Whatever it does, a call ends: it is interrupted after its deadline, its memory and its
//! answers are bounded. A fault never looks like an answer: who asks hears that it is unavailable.
//!
//! This crate alone knows wasmtime. It knows nothing of packets and configuration files; what
//! imports do natively (HTTP, key sets, limits on log lines and metrics) is in
//! `dunlin-plugin-services`.
#![deny(unsafe_code)]

mod acl;
mod auth;
mod auth_words;
mod bindings;
mod breaker;
mod bridge;
mod bridge_words;
mod cache;
mod cases;
mod client;
mod compiled;

mod engine;
mod error;
mod fault;
mod filter;
mod host;
mod imports;
mod inspect;
mod instance;
mod load;
mod manifest;
mod plugin;
mod plugin_core;
mod pool;
mod schema;
mod settings;
mod state;
mod ticker;
mod world;

pub use acl::AclPlugin;
pub use auth::AuthPlugin;
pub use breaker::BreakerState;
pub use bridge::BridgePlugin;
pub use bridge_words::{BridgeMapped, BridgeMessage, MappedMessage};
pub use cases::{Case, Replayed, parse_cases, replay};
pub use dunlin_plugin_services::{KeySetSettings, KeySource, Number};
pub use error::LoadError;
pub use fault::FaultKind;
pub use filter::FilterPlugin;
pub use host::{Broker, Host, HostSettings};
pub use inspect::{Inspection, inspect};
pub use manifest::{GrantName, Manifest};
pub use plugin::Plugin;
pub use plugin_core::Status;
pub use settings::{Grants, LimitSettings, Limits, OnFailure, PluginSettings};
pub use world::Class;
