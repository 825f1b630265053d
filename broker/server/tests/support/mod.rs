//! What end-to-end tests need: a broker in a process of its own, and a client that sends whatever
//! a test wants, right or wrong.
#![allow(dead_code, reason = "every test binary uses its part of it")]

mod broker;
mod client;
mod frame;

use std::sync::atomic::{AtomicU32, Ordering};

use dunlin_codec::{PacketId, PropertiesBuf, Property, Version};

pub use broker::Broker;
pub use client::Client;
pub use frame::Frame;

/// What behaves alike in both standards is tested with both.
pub const BOTH: [Version; 2] = [Version::Mqtt311, Version::Mqtt5];

/// A name for a client or a topic that no other test uses.
pub fn fresh(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A packet id; not 0.
pub fn id(id: u16) -> PacketId {
    PacketId::new(id).expect("not zero")
}

/// Properties, in this order.
pub fn properties(list: &[Property<'_>]) -> PropertiesBuf {
    let mut properties = PropertiesBuf::new();
    for property in list {
        properties.push(*property).expect("it has an encoding");
    }
    properties
}
