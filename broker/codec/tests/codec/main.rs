//! Byte tables for every packet, good and bad, and properties over all packets.
//!
//! A test is named by the clause that it shows (`mqtt5_3_3_1_4_..` is [MQTT-3.3.1-4] of 5.0,
//! `mqtt311_..` the same of 3.1.1), or by its section where the standard numbers no statement.

mod arbitrary;
mod corpus;
mod lengths;
mod mqtt3;
mod mqtt3_refused;
mod mqtt5;
mod mqtt5_refused;
mod mqtt5_refused_properties;
mod mutation;
mod properties;
mod roundtrip;
mod sender;
mod table;
