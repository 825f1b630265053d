use dunlin_codec::{Qos, ReasonCode};
use dunlin_topic::MAX_BYTES;

use crate::Failure;

/// What a server offers on a listener: announced in CONNACK, enforced by the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Unacknowledged QoS 1 and 2 PUBLISH packets that a client may have open; version 3
    /// cannot be told, and may have as many as there are packet ids.
    pub receive_maximum: u16,
    /// Unacknowledged messages sent to a client at once, if its own Receive Maximum is not lower.
    pub maximum_inflight: u16,
    /// Bytes of the largest packet taken, with its fixed header.
    pub maximum_packet_size: u32,
    /// Aliases that a client may use.
    pub topic_alias_maximum: u16,
    /// The highest QoS that a client may publish or subscribe with.
    pub maximum_qos: Qos,
    /// Whether RETAIN may be set.
    pub retain_available: bool,
    /// Seconds; a longer interval, or none, is replaced by this. 0 leaves it to the client.
    pub maximum_keep_alive: u16,
    /// Seconds; `u32::MAX` lets a session last for ever.
    pub maximum_session_expiry: u32,
    /// Levels of the deepest topic name or filter.
    pub maximum_topic_levels: usize,
    /// Bytes of the longest topic name or filter.
    pub maximum_topic_bytes: usize,
    /// Bytes of the longest payload of a message. A longer one is refused by itself: who drives the
    /// session acknowledges it with 0x97, and the connection goes on.
    pub maximum_payload_bytes: usize,
    /// Whether a client without an id gets one of ours.
    pub assign_client_ids: bool,
    /// Stands before every topic that a client names, and is taken off what it receives.
    pub mount_point: Box<str>,
}

impl Default for Terms {
    fn default() -> Self {
        Terms {
            receive_maximum: 1024,
            maximum_inflight: 1024,
            maximum_packet_size: 1024 * 1024,
            topic_alias_maximum: 32,
            maximum_qos: Qos::ExactlyOnce,
            retain_available: true,
            maximum_keep_alive: 0,
            maximum_session_expiry: u32::MAX,
            maximum_topic_levels: 128,
            maximum_topic_bytes: MAX_BYTES,
            maximum_payload_bytes: usize::MAX,
            assign_client_ids: true,
            mount_point: "".into(),
        }
    }
}

impl Terms {
    /// # Errors
    /// 0x90 for a topic name that is longer than it may be.
    pub(crate) fn check_topic_bytes(&self, topic: &str) -> Result<(), Failure> {
        match topic.len() <= self.maximum_topic_bytes {
            true => Ok(()),
            false => Err(Failure::new(
                ReasonCode::TopicNameInvalid,
                "the topic name is longer than topics may be here",
            )),
        }
    }
}
