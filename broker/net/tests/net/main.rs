//! Listeners and handshakes on real sockets.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod authority;
mod plain;
mod proxy;
mod server;
mod tls;
mod websocket;
