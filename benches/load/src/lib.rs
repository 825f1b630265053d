//! A load generator for any MQTT broker on this machine, and a bare router as
//! the limit to hold figures against.
//!
//! One thread plays all clients, publishers and subscribers alike, with an epoll
//! loop of its own and no MQTT code but `dunlin-codec`. It accounts for every
//! message, and its main figure is CPU time of the broker for each delivery: how
//! fast the machine or the generator is does not enter it.
//!
//! It connects to loopback addresses only, and it is no test of conformance: a
//! broker that breaks the protocol ends the run.
//!
//! Start reading at [`traffic`], whose [`exchange`] runs a [`crowd`] on a [`fleet`]
//! and books it in a [`ledger`]. [`router`] stands for itself.
#![forbid(unsafe_code)]

pub mod crowd;
pub mod error;
pub mod exchange;
pub mod fleet;
pub mod histogram;
pub mod idle;
pub mod ledger;
pub mod outbox;
pub mod poller;
pub mod process;
pub mod report;
pub mod router;
pub mod stamp;
pub mod stream;
pub mod subscribing;
pub mod traffic;
