//! Bridges between a `dunlin` and a `mosquitto`, each in a process of its own, and webhooks.

mod crossing;
mod losing;
mod peer;
mod refusing;
mod speed;
mod starting;
#[cfg(feature = "webhooks")]
mod webhook;
mod world;
