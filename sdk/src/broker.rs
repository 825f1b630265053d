//! Things that the broker does for a plugin. Needs [`Import::Broker`](crate::Import::Broker).
//!
//! At most 100 calls a second.

use crate::{Qos, host};

/// Publishes a message in the broker's own name, once the call that asks for it has returned.
///
/// # Errors
/// In words: the topic is not one, the message is too large, or there were too many calls.
pub fn publish(
    topic: &str,
    payload: impl AsRef<[u8]>,
    qos: Qos,
    retain: bool,
) -> Result<(), String> {
    host::publish(topic, payload.as_ref(), qos, retain)
}

/// Ends a client's connection with 0x98 (administrative action).
pub fn disconnect(client_id: &str) {
    host::disconnect(client_id);
}

/// Forgets every answer of this plugin that the broker keeps, and asks again about live
/// subscriptions.
pub fn invalidate() {
    host::invalidate();
}
