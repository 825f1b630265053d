//! Bridges between a `dunlin` and a `mosquitto`, each in a process of its own.

mod crossing;
mod losing;
mod peer;
mod refusing;
mod speed;
mod starting;
mod world;
