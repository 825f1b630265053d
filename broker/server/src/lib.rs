//! The parts of the `dunlin` binary that can be tested without running it.

pub mod cli;
pub mod config;
pub mod mosquitto;
