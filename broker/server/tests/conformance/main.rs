//! The broker against both standards, statement by statement, on real sockets.
//!
//! `// proves: MQTT311 [MQTT-3.1.0-1] MQTT5 [MQTT-3.1.0-1]` before a test says which normative
//! statements it proves; `table.rs` makes the table in `broker/README.md` of it. The `mqtt311_`,
//! `mqtt5_` or, for both, `mqtt_` in front of a test's name says the standard, the number after it
//! the section.

#[path = "../support/mod.rs"]
mod support;

mod connect;
mod connection;
mod publish;
mod qos;
mod retain;
mod session;
mod shared;
mod subscribe;
mod table;
mod websocket;
mod will;
