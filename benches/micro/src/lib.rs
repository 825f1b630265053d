//! Micro benchmarks of codec, index, session and route
