//! What a plugin's imports do natively, without a WebAssembly runtime.
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
