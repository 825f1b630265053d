use dunlin_codec::{
    Ack, Connack, Decoded, Disconnect, Packet, Publish, ReasonCode, Sender, Suback, Version, decode,
};

/// One packet as it came from the broker, and whole: decoded strictly, and one that a server may
/// send [MQTT-3.14.2-1] [MQTT-3.15.2-1].
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    bytes: Vec<u8>,
    version: Version,
}

impl Frame {
    /// Takes a packet off the front, if all of it is there.
    pub fn take(buffer: &mut Vec<u8>, version: Version, maximum: u32) -> Option<Frame> {
        let length = match decode(buffer, version, maximum) {
            Ok(Decoded::Packet { packet, length }) => {
                let allowed = packet.check_sender(Sender::Server, version);
                allowed.unwrap_or_else(|error| panic!("{error}: {packet:?}"));
                length
            }
            Ok(Decoded::Incomplete { .. }) => return None,
            Err(error) => panic!("{error}: {buffer:02x?}"),
        };
        let bytes = buffer.drain(..length).collect();
        Some(Frame { bytes, version })
    }

    /// The bytes of the whole packet.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The packet.
    pub fn packet(&self) -> Packet<'_> {
        match decode(&self.bytes, self.version, u32::MAX) {
            Ok(Decoded::Packet { packet, .. }) => packet,
            other => unreachable!("it was decoded before: {other:?}"),
        }
    }

    /// The packet, a CONNACK.
    pub fn connack(&self) -> Connack<'_> {
        match self.packet() {
            Packet::Connack(connack) => connack,
            other => panic!("not a CONNACK: {other:?}"),
        }
    }

    /// The packet, a PUBLISH.
    pub fn publish(&self) -> Publish<'_> {
        match self.packet() {
            Packet::Publish(publish) => publish,
            other => panic!("not a PUBLISH: {other:?}"),
        }
    }

    /// The packet id and reason of a PUBACK.
    pub fn puback(&self) -> (u16, ReasonCode) {
        match self.packet() {
            Packet::Puback(ack) => id_and_reason(ack),
            other => panic!("not a PUBACK: {other:?}"),
        }
    }

    /// The packet id and reason of a PUBREC.
    pub fn pubrec(&self) -> (u16, ReasonCode) {
        match self.packet() {
            Packet::Pubrec(ack) => id_and_reason(ack),
            other => panic!("not a PUBREC: {other:?}"),
        }
    }

    /// The packet id and reason of a PUBREL.
    pub fn pubrel(&self) -> (u16, ReasonCode) {
        match self.packet() {
            Packet::Pubrel(ack) => id_and_reason(ack),
            other => panic!("not a PUBREL: {other:?}"),
        }
    }

    /// The packet id and reason of a PUBCOMP.
    pub fn pubcomp(&self) -> (u16, ReasonCode) {
        match self.packet() {
            Packet::Pubcomp(ack) => id_and_reason(ack),
            other => panic!("not a PUBCOMP: {other:?}"),
        }
    }

    /// The packet, a SUBACK.
    pub fn suback(&self) -> Suback<'_> {
        match self.packet() {
            Packet::Suback(suback) => suback,
            other => panic!("not a SUBACK: {other:?}"),
        }
    }

    /// The packet, an UNSUBACK.
    pub fn unsuback(&self) -> Suback<'_> {
        match self.packet() {
            Packet::Unsuback(unsuback) => unsuback,
            other => panic!("not an UNSUBACK: {other:?}"),
        }
    }

    /// The packet, a DISCONNECT.
    pub fn disconnect(&self) -> Disconnect<'_> {
        match self.packet() {
            Packet::Disconnect(disconnect) => disconnect,
            other => panic!("not a DISCONNECT: {other:?}"),
        }
    }
}

fn id_and_reason(ack: Ack<'_>) -> (u16, ReasonCode) {
    (ack.packet_id.get(), ack.reason)
}
