//! Packets on their way to the broker.

use crate::error::Error;
use crate::stream::Stream;
use dunlin_codec::{
    AckKind, Packet, PacketId, PublishParts, Qos, ReasonCode, Subscribe, SubscribeFiltersBuf,
    SubscriptionOptions, Version, encode, encode_ack,
};
use std::fmt::Display;

/// Where packets to the broker go. They are written at the end of
/// the turn.
#[derive(Debug)]
pub struct Outbox<'a> {
    pub(crate) version: Version,
    pub(crate) clients: &'a mut [Stream],
    pub(crate) unflushed: &'a mut Vec<usize>,
}

impl Outbox<'_> {
    /// Sends any packet.
    pub fn say(&mut self, client: usize, packet: &Packet<'_>) -> Result<(), Error> {
        let version = self.version;
        encode(packet, version, self.queue(client)).map_err(unencodable)
    }

    /// Sends a PUBLISH.
    pub fn publish(&mut self, client: usize, parts: &PublishParts<'_>) -> Result<(), Error> {
        let version = self.version;
        parts
            .encode(version, self.queue(client))
            .map_err(unencodable)
    }

    /// Sends an acknowledgement that all is well.
    pub fn acknowledge(&mut self, client: usize, kind: AckKind, packet_id: PacketId) {
        let version = self.version;
        encode_ack(
            kind,
            packet_id,
            ReasonCode::Success,
            version,
            self.queue(client),
        );
    }

    /// Sends a SUBSCRIBE.
    pub fn subscribe(
        &mut self,
        client: usize,
        packet_id: PacketId,
        filter: &str,
        qos: Qos,
    ) -> Result<(), Error> {
        let mut filters = SubscribeFiltersBuf::new();
        let options = SubscriptionOptions {
            qos,
            ..SubscriptionOptions::default()
        };
        filters.push(filter, options).map_err(unencodable)?;
        let subscribe = Subscribe {
            packet_id,
            properties: Default::default(),
            filters: filters.as_filters(),
        };
        self.say(client, &Packet::Subscribe(subscribe))
    }

    fn queue(&mut self, client: usize) -> &mut Vec<u8> {
        let stream = &mut self.clients[client];
        if stream.queue_to_flush() {
            self.unflushed.push(client);
        }
        stream.outgoing()
    }
}

/// What to say of a packet that has no place in the run.
pub fn unexpected(packet: &Packet<'_>) -> Error {
    Error::Broker(format!(
        "sent what nobody asked for: {:?}",
        packet.packet_type()
    ))
}

fn unencodable(error: impl Display) -> Error {
    Error::Refused(format!("a packet that MQTT cannot say: {error}"))
}
