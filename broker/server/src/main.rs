//! The dunlin broker
fn main() {}
