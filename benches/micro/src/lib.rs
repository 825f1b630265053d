//! Micro benchmarks of codec, index, session and route, in `benches/`.
//!
//! They are plain programs that measure with `Instant` and print a table; this library is what they
//! share.

use std::time::Instant;

pub mod allocated;

/// Prints nanoseconds per call in the fastest of 200 batches, of 10,000 calls or what 10 ms have
/// room for.
pub fn report(name: &str, mut call: impl FnMut()) {
    let start = Instant::now();
    let mut calls = 0;
    while calls < 10_000 && start.elapsed().as_millis() < 10 {
        (0..100).for_each(|_| call());
        calls += 100;
    }
    let batch = |_| {
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        start.elapsed()
    };
    let fastest = (0..200).map(batch).min().unwrap_or_default();
    let nanos = fastest.as_secs_f64() * 1e9 / f64::from(calls);
    println!("{name:<60} {nanos:>9.1} ns");
}
