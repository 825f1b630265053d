use std::time::Duration;

use dunlin_codec::{PacketId, PublishParts, Qos, Version};
use dunlin_time::Wall;

use crate::Delivery;
use crate::alias::OutgoingAliases;

/// What the peer of an [`Outbound`](crate::Outbound) can take.
#[derive(Debug)]
pub struct Channel<'a> {
    pub version: Version,
    pub maximum_packet_size: u32,
    pub aliases: Option<&'a mut OutgoingAliases>,
    pub wall: Wall,
    /// Bytes of the listener's mount point, which the client does not see.
    pub mount_point: usize,
}

/// How a PUBLISH compares with the peer's Maximum Packet Size.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// It fits, with a topic alias too.
    Small,
    /// It fits without an alias.
    Tight,
    TooLarge,
}

impl Size {
    pub fn of(delivery: &Delivery, channel: &Channel<'_>) -> Self {
        let maximum = channel.maximum_packet_size as usize;
        let identifiers = delivery.identifiers.as_slice();
        // Fixed header, packet id, property length, expiry, alias and identifiers at their longest.
        let most = delivery.message.content_bytes() + 32 + 5 * identifiers.len();
        if most <= maximum {
            return Size::Small;
        }
        let packet_id = Some(PacketId::MIN).filter(|_| delivery.qos != Qos::AtMostOnce);
        let length = parts(delivery, packet_id, false, channel).encoded_len(channel.version);
        match length <= maximum {
            true => Size::Tight,
            false => Size::TooLarge,
        }
    }
}

#[inline]
fn parts<'d>(
    delivery: &'d Delivery,
    packet_id: Option<PacketId>,
    dup: bool,
    channel: &Channel<'_>,
) -> PublishParts<'d> {
    let expires = delivery.message.expires();
    PublishParts {
        dup,
        qos: delivery.qos,
        retain: delivery.retain,
        topic: topic(delivery, channel),
        packet_id,
        forwarded: delivery.message.forwarded(),
        message_expiry_interval: expires.map(|at| seconds_left(at - channel.wall)),
        topic_alias: None,
        subscription_identifiers: delivery.identifiers.as_slice(),
        payload: delivery.message.payload(),
    }
}

/// The topic as the client knows it. A client below a mount point gets only topics that begin with
/// it; should one not, it goes out whole.
fn topic<'d>(delivery: &'d Delivery, channel: &Channel<'_>) -> &'d [u8] {
    let topic = delivery.message.topic_bytes();
    topic.get(channel.mount_point..).unwrap_or(topic)
}

/// Writes a PUBLISH of this delivery.
pub(crate) fn write(
    delivery: &Delivery,
    packet_id: Option<PacketId>,
    dup: bool,
    size: Size,
    channel: &mut Channel<'_>,
    out: &mut Vec<u8>,
) {
    let version = channel.version;
    let aliases = channel.aliases.as_mut().filter(|_| size == Size::Small);
    let alias = aliases.and_then(|aliases| aliases.for_topic(delivery.message.topic_bytes()));
    let mut parts = parts(delivery, packet_id, dup, channel);
    if let Some(alias) = alias {
        parts.topic_alias = Some(alias.alias);
        if alias.known {
            parts.topic = b"";
        }
    }
    let written = parts.encode(version, out);
    debug_assert!(written.is_ok(), "{written:?}");
}

/// Expiry goes out in whole seconds, rounded up so that it never becomes zero early.
fn seconds_left(left: Duration) -> u32 {
    u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}
