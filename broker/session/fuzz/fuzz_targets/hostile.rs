//! Any packets to an established session of either role.
#![no_main]

#[path = "../../tests/pair/hostile.rs"]
mod hostile;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| hostile::receive(input));
