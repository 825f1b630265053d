//! Crashes of a whole broker: random clients speak MQTT to the shipping router, connections and
//! store, the disk loses what was not synced, and everything that was acknowledged has to be there.
//!
//! `world.rs` is what clients do, `model.rs` what they are owed, `run.rs` how a broker lives and
//! crashes; `syncs.rs` shows of each sync of the log that it is needed. Everything follows from a
//! seed. Ten thousand crashes in release mode, and one seed alone with all that happens in it:
//!
//! ```text
//! DUNLIN_TEST_SCALE=100 cargo test --release -p dunlin-connection --test crash -- --nocapture
//! DUNLIN_CRASH_SEED=42 cargo test -p dunlin-connection --test crash nothing_ack -- --nocapture
//! ```
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod broker;
mod chance;
mod client;
mod inspect;
mod messages;
mod model;
mod points;
mod retained;
mod run;
mod sessions;
mod syncs;
mod wills;
mod wire;
mod world;
