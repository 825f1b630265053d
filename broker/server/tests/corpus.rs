//! Replays the fuzzers' seed corpus, as it is and with small damages.
#![allow(missing_docs, reason = "tests")]

use std::fs;
use std::path::Path;

#[path = "../fuzz/checks.rs"]
mod checks;

/// How many damaged copies of each input are tried.
const DAMAGES: u64 = 50;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(folder).expect("the corpus is part of the source") {
        let file = entry.expect("a readable folder").path();
        println!("{}", file.display());
        let input = fs::read(file).expect("a readable input");
        check(&input);
        (1..=DAMAGES).for_each(|seed| check(&damage(&input, seed)));
        inputs += 1;
    }
    assert!(inputs > 5, "the corpus is gone");
}

/// Bytes removed, replaced, and copied from elsewhere; the same for the same seed.
fn damage(input: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let mut bytes = input.to_vec();
    for _ in 0..=random(3) {
        let at = random(bytes.len());
        let end = (at + random(12)).min(bytes.len());
        let from = random(input.len());
        let piece = &input[from..(from + random(12)).min(input.len())];
        match random(3) {
            0 => drop(bytes.drain(at..end)),
            1 => drop(bytes.splice(at..end, piece.iter().copied())),
            _ => drop(bytes.splice(at..end, [b" \n\"=[]#0/\t\0"[random(11)]])),
        }
    }
    bytes
}

#[test]
fn mosquitto_conf() {
    replay("mosquitto_conf", checks::mosquitto_conf);
}

#[test]
fn toml() {
    replay("toml", checks::toml);
}
