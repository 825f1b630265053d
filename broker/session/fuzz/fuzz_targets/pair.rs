//! A client and a server session on a channel that breaks: nothing lost, nothing doubled.
#![no_main]

#[path = "../../tests/pair/ledger.rs"]
mod ledger;
#[path = "../../tests/pair/scenario.rs"]
mod scenario;
#[path = "../../tests/pair/world.rs"]
mod world;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|scenario: scenario::Scenario| world::play(&scenario));
