//! Micro benchmarks of codec, index, session and route, in `benches/`.
//!
//! They are plain programs that measure with `Instant` and print a table; this library is what they
//! share.

pub mod allocated;
