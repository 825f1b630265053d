//! The parts of the `dunlin` binary that can be tested without running it.

pub mod config;
