//! A load generator for any MQTT broker
fn main() {}
