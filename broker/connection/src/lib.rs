//! The driver of one connection: choose one event, then act on it.
//!
//! ```text
//!  Accepted ─▶ establish ─▶ Connection::turn ─▶ ... ─▶ Connection::turn ─▶ finish
//!              TLS, CONNECT,   words from outside, bytes, deliveries,      will, session,
//!              auth, session   one write                                   one log line
//! ```
//!
//! A connection is one task on one [`Worker`] for its whole life. It owns no buffers while idle: it
//! reads into the worker's scratch and keeps only what is left of an incomplete packet; it encodes
//! into the worker's scratch and keeps only what the socket did not take.
//!
//! What is decided is decided elsewhere: protocol in `dunlin-session`, access in `dunlin-auth`,
//! delivery in `dunlin-router`. Start reading at `turn.rs`.
#![forbid(unsafe_code)]

mod admission;
mod begin;
mod connection;
mod crowd;
mod durable;
mod establish;
mod finish;
mod input;
mod listener;
mod output;
mod permission;
mod rate;
mod reauthenticate;
mod requests;
mod subscribe;
mod timer;
mod turn;
mod worker;

pub use admission::{Admission, AdmissionLimits, Admissions, ListenerAdmissions, Refused};
pub use establish::serve;
pub use listener::{BRIDGE_CLIENT_ID_PREFIX, ConnectionLimits, ListenerContext};
pub use rate::RateLimit;
pub use worker::{Worker, WorkerSettings};
