//! SUBSCRIBE and UNSUBSCRIBE, whose packet ids come from the same numbers as those of messages.

use dunlin_codec::{
    Packet, PacketId, PropertiesBuf, Suback, Subscribe, SubscribeFiltersBuf, Unsubscribe,
    UnsubscribeFiltersBuf, encode, encoded_len,
};
use dunlin_time::Now;

use super::{Client, NotSent};
use crate::Failure;

/// SUBSCRIBE and UNSUBSCRIBE packets that may be open at once.
pub const MAXIMUM_REQUESTS: usize = 1024;

/// A SUBSCRIBE or UNSUBSCRIBE that is not answered.
#[derive(Debug)]
pub(super) struct OpenRequest {
    packet_id: PacketId,
    subscribes: bool,
    filters: usize,
}

impl Client {
    /// Asks for subscriptions; answered by [`Event::Subscribed`](super::Event::Subscribed) with this packet id.
    ///
    /// # Errors
    /// Nothing was sent.
    pub fn subscribe(
        &mut self,
        now: Now,
        filters: &SubscribeFiltersBuf,
        properties: &PropertiesBuf,
        out: &mut Vec<u8>,
    ) -> Result<PacketId, NotSent> {
        let filters = filters.as_filters();
        self.request(now, true, filters.iter().count(), out, |packet_id| {
            Packet::Subscribe(Subscribe {
                packet_id,
                properties: properties.as_properties(),
                filters,
            })
        })
    }

    /// Ends subscriptions; answered by [`Event::Unsubscribed`](super::Event::Unsubscribed) with this packet id.
    ///
    /// # Errors
    /// Nothing was sent.
    pub fn unsubscribe(
        &mut self,
        now: Now,
        filters: &UnsubscribeFiltersBuf,
        properties: &PropertiesBuf,
        out: &mut Vec<u8>,
    ) -> Result<PacketId, NotSent> {
        let filters = filters.as_filters();
        self.request(now, false, filters.iter().count(), out, |packet_id| {
            Packet::Unsubscribe(Unsubscribe {
                packet_id,
                properties: properties.as_properties(),
                filters,
            })
        })
    }

    fn request<'a>(
        &mut self,
        now: Now,
        subscribes: bool,
        filters: usize,
        out: &mut Vec<u8>,
        packet: impl FnOnce(PacketId) -> Packet<'a>,
    ) -> Result<PacketId, NotSent> {
        if self.requests.len() >= MAXIMUM_REQUESTS {
            return Err(NotSent::Full);
        }
        let packet_id = self.free_packet_id();
        let packet = packet(packet_id);
        if encoded_len(&packet, self.version) > self.maximum_packet_size as usize {
            return Err(NotSent::TooLarge);
        }
        encode(&packet, self.version, out).map_err(NotSent::Unencodable)?;
        self.outbound.reserve();
        self.requests.push(OpenRequest {
            packet_id,
            subscribes,
            filters,
        });
        self.last_sent = now.monotonic;
        Ok(packet_id)
    }

    /// The next packet id, in use neither by a PUBLISH nor by a request [MQTT-2.2.1-3].
    pub(super) fn free_packet_id(&mut self) -> PacketId {
        loop {
            let next = self.outbound.next_packet_id();
            if !self.requests.iter().any(|open| open.packet_id == next) {
                return next;
            }
            self.outbound.reserve();
        }
    }

    pub(super) fn answered(&mut self, ack: &Suback<'_>, subscribes: bool) -> Result<(), Failure> {
        let is_answered = |open: &OpenRequest| {
            open.packet_id == ack.packet_id
                && open.subscribes == subscribes
                && (ack.reasons.is_empty() || ack.reasons.len() == open.filters)
        };
        let Some(at) = self.requests.iter().position(is_answered) else {
            return Err(Failure::protocol(
                "SUBACK or UNSUBACK that fits no request [MQTT-3.8.4-2] [MQTT-3.8.4-6]",
            ));
        };
        self.requests.swap_remove(at);
        Ok(())
    }
}
