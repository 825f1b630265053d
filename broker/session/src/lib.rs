//! One end of an MQTT connection as a state machine.
//!
//! A session takes decoded packets and the time and gives back bytes to send and at most one
//! [`Request`] to the world per packet; it owns no socket, clock, task or queue. The driver
//! (`dunlin-connection`) carries the request out and answers it:
//!
//! ```text
//!               packet                     Request::Publish, Subscribe, ...
//!   decode ───────────────▶ Session::receive ───────────────▶ driver ──▶ router
//!                                  │ acknowledgements               │
//!                                  ▼                                │
//!   socket ◀────────────────── out: Vec<u8> ◀── acknowledge, subscribed, deliver
//! ```
//!
//! [`Handshake`] is a session before its CONNACK. What must outlive the connection is
//! [`SessionState`], handed over as a value. [`Client`] is the other end, for bridges, tools and
//! tests: [`client::Options::connect`] begins one, and it takes packets and gives bytes and
//! [`client::Event`]s in the same way.
//!
//! Start reading at [`Session::receive`], then `outbound.rs` and `inbound.rs`: the two halves of
//! every QoS flow, the same for both roles.
#![forbid(unsafe_code)]

mod alias;
mod channel;
pub mod client;
mod failure;
mod handshake;
mod inbound;
mod incoming;
mod message;
mod outbound;
mod server;
mod terms;
mod will;

pub use client::Client;
pub use failure::Failure;
pub use handshake::{Accepted, Handshake, Negotiated};
pub use inbound::{Acknowledgement, Inbound, Received, Ticket};
pub use incoming::{Incoming, ResolvedTopic};
pub use message::{Delivery, Identifiers, Message, MessageParts};
pub use outbound::{Outbound, Sent};
pub use server::{Farewell, Finished, Progress, Request, Session, SessionState};
pub use terms::Terms;
pub use will::Will;
