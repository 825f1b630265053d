//! The clients that people use, against the built binary on the loopback.
//!
//! `.ci/setup` installs them; a test whose client is missing fails. Each module is one kind of
//! client; [`program`] runs them within a bound, [`broker`] is what they talk to.

mod broker;
mod browser;
mod from_mosquitto;
mod hosted;
mod micropython;
mod mosquitto;
mod node;
mod program;
mod python;
mod readme;

/// The count of a loop: `small` times `DUNLIN_TEST_SCALE`, which is 1 when unset.
fn scaled(small: usize) -> usize {
    match std::env::var("DUNLIN_TEST_SCALE") {
        Ok(scale) => small * scale.parse::<usize>().expect("DUNLIN_TEST_SCALE: a number"),
        Err(_) => small,
    }
}
