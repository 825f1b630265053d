//! What the broker is told: types, defaults, and how they are read.
//!
//! A value can be written in `dunlin.toml`, in a `mosquitto.conf`
//! ([`crate::mosquitto`]), in the environment and on the command line. Each of
//! them becomes a part of one tree of [`node`]s that know where they were
//! written; the tree is read into [`Config`] by the declarations in [`broker`],
//! [`listener`] and [`limits`], which are also the configuration [`reference`];
//! then [`check`] looks at what only the whole can tell. Everything that is
//! wrong is reported at once. Start reading at [`load()`].
//!
//! This module opens no socket and starts nothing; the file system is asked
//! only for the configuration and whether the files that it names exist.

pub mod address;
pub mod bridge;
pub mod broker;
pub mod check;
mod check_bridge;
mod check_plugin;
pub mod collection;
mod declare;
pub mod difference;
pub mod environment;
pub mod file;
pub mod limits;
pub mod listener;
pub mod load;
pub mod node;
pub mod plugin;
pub mod print;
pub mod problem;
pub mod quantity;
pub mod reference;
pub mod scalar;
pub mod secret;
pub mod setting;
pub mod webhook;

pub use address::ListenAddress;
pub use bridge::{Bridge, BridgeDirection, BridgeStart, BridgeTls, BridgeTopic, BridgeVersion};
pub use broker::{
    Admin, Config, Durability, LogDestination, LogFormat, LogLevel, Logging, Sessions, Store, Sys,
    Workers,
};
pub use collection::Override;
pub use difference::{Change, Changes};
pub use limits::{Limits, MemoryBudget};
pub use listener::{
    Access, AllowAnonymous, Listener, ListenerAccess, Protocol, Tls, TlsVersion, WebSocket,
};
pub use load::{Loaded, Request, Source, load};
pub use plugin::{Digest, Grants, KeySet, OnFailure, Plugin, PluginLimits, Table};
pub use problem::{Invalid, Problem};
pub use quantity::ByteSize;
pub use secret::Secret;
pub use webhook::Webhook;
