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
#[path = "../support/scale.rs"]
mod scale;

use scale::scaled;
