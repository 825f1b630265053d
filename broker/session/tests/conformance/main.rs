//! What the session decides of MQTT's normative statements, as tables of bytes.
//!
//! A test is named by the statement that it shows (`mqtt5_3_3_1_1_..` is [MQTT-3.3.1-1] of 5.0,
//! `mqtt311_..` the same of 3.1.1), or by its section where the standard numbers no statement. What
//! one packet's bytes alone decide is in the codec's tables.

mod client;
mod connect;
mod flows;
mod mqtt311;
mod publish;
mod requests;
mod table;
