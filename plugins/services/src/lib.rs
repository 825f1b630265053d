//! What a plugin's imports do natively: HTTP, verified tokens, and limits on log lines and
//! metrics. There is no WebAssembly in it, so all of it is tested as ordinary Rust.
//!
//! ```text
//!   import (sdk/wit/0.1.0/host.wit)       here
//!   http.send             -> Http::send       blocks until the deadline, at listed origins only
//!   crypto.verify-token   -> KeySets::verify  never waits for the network
//!   log.write             -> LogLimit::take   may this line be written?
//!   metrics.add, set      -> Numbers          what /metrics reads
//! ```
//!
//! ```
//! use std::time::{Duration, Instant};
//! use dunlin_plugin_services::{
//!     Http, HttpError, KeySetSettings, KeySets, KeySource, Request, TokenError,
//! };
//!
//! let http = Http::new(&["https://idp.example".to_owned()])?;
//! let request = Request {
//!     method: "GET".to_owned(),
//!     url: "https://evil.example/".to_owned(),
//!     headers: Vec::new(),
//!     body: Vec::new(),
//! };
//! let answer = http.send(&request, Instant::now() + Duration::from_secs(5));
//! assert!(matches!(answer, Err(HttpError::NotGranted(_))));
//!
//! let sets = KeySets::new(&[KeySetSettings {
//!     name: "devices".to_owned(),
//!     source: KeySource::Secret(vec![7; 32]),
//!     issuers: Vec::new(),
//!     audiences: vec!["mqtt".to_owned()],
//!     algorithms: vec!["HS256".to_owned()],
//! }])?;
//! assert_eq!(sets.verify("devices", "not.a.token", 1_700_000_000), Err(TokenError::Invalid));
//! # Ok::<(), String>(())
//! ```
//!
//! All of it takes what comes from plugins, servers and files for hostile: sizes, counts, times and
//! threads have bounds, which stand where they are declared. Everything is `Sync`, made to be
//! shared by the instances of a plugin, or in the case of [`KeySets`] by all plugins.
//!
//! It deliberately does not
//!
//! - know grants, plugins or their configuration: the host makes one [`Http`], [`LogLimit`] and
//!   [`Numbers`] for each plugin, and does not link what is not granted;
//! - run anything asynchronously: the host has threads for calls that may block;
//! - speak HTTP/2, use a proxy, keep cookies, or unpack compressed bodies;
//! - retry a request: whether it may be sent twice only the plugin knows;
//! - decrypt tokens (JWE), follow `jku` or `x5u` of a token, or take a key from it: a token does
//!   not say whom to trust;
//! - issue tokens, hash passwords (`dunlin-auth` does), or make random bytes.
//!
//! Start with `http.rs`, then `http/resolve.rs`, where private addresses are refused; for tokens
//! with `keys.rs`, then `keys/token.rs`.
#![forbid(unsafe_code)]

mod http;
mod keys;
mod log_limit;
mod numbers;
#[cfg(test)]
mod test_server;

pub use http::{Http, HttpError, Request, Response};
pub use keys::{KeySetSettings, KeySets, KeySource, TokenError};
pub use log_limit::LogLimit;
pub use numbers::{Number, Numbers};
