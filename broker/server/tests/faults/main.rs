//! What happens to a broker: it is killed, its disk fills up, its data directory is not as it was.
//!
//! `kill` loses nothing that was acknowledged, `full` nothing either and goes on when there is room
//! again; `directory`, `damage` and `sync` end with a text that says what, where, and what to do;
//! `inflight` sends again what was not acknowledged; `start` is about the time until all is read.

#[path = "../support/daemon.rs"]
#[allow(dead_code, reason = "every test binary uses its part of it")]
mod daemon;
#[path = "../support/scale.rs"]
mod scale;
#[path = "../support/mod.rs"]
mod support;

mod damage;
mod directory;
mod faulty;
mod full;
mod inflight;
mod kill;
mod persistent;
mod publisher;
mod random;
mod small_disk;
mod start;
mod subscriber;
mod sync;
