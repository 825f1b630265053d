//! Connections over real sockets: what their turns must not forget. Packets are bytes of MQTT 3.1.1.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod broker;
mod durable;
mod permission;
mod turns;
mod unheard;
