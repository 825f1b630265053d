//! Limits and abuse: each limit holds against a client that breaks it, over real sockets, is
//! counted, and leaves others alone.

#[path = "../support/daemon.rs"]
#[allow(dead_code, reason = "every test binary uses its part of it")]
mod daemon;
#[path = "../support/mod.rs"]
mod support;

mod connections;
mod memory;
mod messages;
mod queues;
mod slow;
mod topics;
