//! What a plugin of the Dunlin MQTT broker is written with.
//!
//! A plugin is a type that serde reads from the plugin's configuration, that implements [`Plugin`]
//! and one of [`Acl`], [`Auth`], [`Bridge`] and [`Filter`], and that the macro of the same name
//! exports:
//!
//! ```
//! use dunlin_sdk::{Acl, Answer, Client, Manifest, Plugin, Question};
//!
//! #[derive(serde::Deserialize)]
//! struct Prefix {
//!     prefix: String,
//! }
//!
//! impl Plugin for Prefix {
//!     fn describe() -> Manifest {
//!         dunlin_sdk::manifest!().schema(r#"{"required": ["prefix"]}"#)
//!     }
//! }
//!
//! impl Acl for Prefix {
//!     fn authorize(&mut self, _: &Client, question: &Question) -> Answer {
//!         Answer::deny_if(question.topic.starts_with(&self.prefix))
//!     }
//! }
//!
//! dunlin_sdk::acl!(Prefix);
//! ```
//!
//! What the broker does for plugins are plain functions: [`log`], [`metrics`], [`clock`],
//! [`random`], [`crypto`], [`http`], [`broker`]. Compiled for WebAssembly they call the broker;
//! compiled for anything else they call mocks, so that `cargo test` runs a plugin's tests without
//! a WebAssembly toolchain, also from recorded [cases].
//!
//! The contract beneath is `wit/0.1.0`; what this crate adds are types to be written by hand.
//! It depends on serde only: the bindings are generated beforehand.

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
#[cfg(target_arch = "wasm32")]
use guest::imports as host;

#[cfg(not(target_arch = "wasm32"))]
pub mod cases;
#[cfg(not(target_arch = "wasm32"))]
pub mod mock;
#[cfg(not(target_arch = "wasm32"))]
use mock::imports as host;

pub mod acl;
pub mod auth;
pub mod bridge;
pub mod broker;
mod client;
pub mod clock;
pub mod crypto;
mod export;
pub mod filter;
pub mod http;
pub mod json;
pub mod log;
mod manifest;
pub mod metrics;
mod plugin;
pub mod random;
pub mod topic;

pub use acl::{Acl, Action, Answer, Effect, Question};
pub use auth::{Auth, Denial, Grant, Outcome, Permission, Request, Rule, Step};
pub use bridge::{Bridge, Fate, Mapped};
pub use client::{Client, Property, Qos};
pub use filter::{Filter, Message, Replacement, Verdict};
pub use manifest::{Import, Manifest};
pub use plugin::Plugin;
