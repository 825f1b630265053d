//! PUBACK, PUBREC, PUBREL and PUBCOMP (MQTT 5, 3.4 to 3.7): four packets of one form.

use crate::wire::{Reader, Sink};
use crate::{DecodeError, PacketId, PacketType, Properties, PropertyPlace, ReasonCode, Version};

/// A step in handing over a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The message's.
    pub packet_id: PacketId,
    /// Always success in 3.x, which has no way to say otherwise.
    pub reason: ReasonCode,
    /// Empty for 3.x.
    pub properties: Properties<'a>,
}

impl<'a> Ack<'a> {
    /// That it went well, and nothing else.
    pub const fn success(packet_id: PacketId) -> Self {
        Self {
            packet_id,
            reason: ReasonCode::Success,
            properties: Properties::EMPTY,
        }
    }

    pub(crate) fn decode(
        packet_type: PacketType,
        mut reader: Reader<'a>,
        version: Version,
    ) -> Result<Self, DecodeError> {
        let mut ack = Self::success(reader.packet_id()?);
        // Both may be left out, from the end (MQTT 5, 3.4.2.1 and 3.4.2.2.1).
        if version.has_reason_codes() && !reader.is_empty() {
            ack.reason = ReasonCode::read(reader.u8()?, packet_type)?;
            if !reader.is_empty() {
                ack.properties = reader.properties(PropertyPlace::Packet(packet_type))?;
            }
        }
        reader.finish()?;
        Ok(ack)
    }

    pub(crate) fn write(&self, version: Version, sink: &mut impl Sink) {
        sink.u16(self.packet_id.get());
        if !version.has_reason_codes() {
            return;
        }
        if !self.properties.is_empty() {
            sink.u8(self.reason as u8);
            sink.properties(self.properties);
        } else if self.reason != ReasonCode::Success {
            sink.u8(self.reason as u8);
        }
    }
}

/// Which of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AckKind {
    /// Ends a QoS 1 flow.
    Puback = PacketType::Puback as u8,
    /// QoS 2: received.
    Pubrec = PacketType::Pubrec as u8,
    /// QoS 2: may be forgotten.
    Pubrel = PacketType::Pubrel as u8,
    /// QoS 2: forgotten.
    Pubcomp = PacketType::Pubcomp as u8,
}

impl AckKind {
    const fn packet_type(self) -> PacketType {
        match self {
            Self::Puback => PacketType::Puback,
            Self::Pubrec => PacketType::Pubrec,
            Self::Pubrel => PacketType::Pubrel,
            Self::Pubcomp => PacketType::Pubcomp,
        }
    }
}

/// Takes an acknowledgement in its shortest form from the front of `bytes`: 4 bytes that say that it
/// went well, by far the most frequent. `None` for anything else, which [`decode`](crate::decode)
/// judges.
#[inline]
pub fn decode_short_ack(bytes: &[u8]) -> Option<(AckKind, PacketId)> {
    let [first_byte, 2, high, low] = *bytes.first_chunk()? else {
        return None;
    };
    let kind = match first_byte {
        0x40 => AckKind::Puback,
        0x50 => AckKind::Pubrec,
        0x62 => AckKind::Pubrel,
        0x70 => AckKind::Pubcomp,
        _ => return None,
    };
    let packet_id = PacketId::new(u16::from_be_bytes([high, low]))?;
    Some((kind, packet_id))
}

impl AckKind {
    /// Bytes of [`decode_short_ack`].
    pub const SHORT: usize = 4;
}

/// Appends an acknowledgement without properties: 4 bytes, or 5 if version 5 has more to say than
/// success. In 3.x the reason is lost.
pub fn encode_ack(
    kind: AckKind,
    packet_id: PacketId,
    reason: ReasonCode,
    version: Version,
    out: &mut Vec<u8>,
) {
    let first_byte = kind.packet_type().first_byte();
    let [high, low] = packet_id.get().to_be_bytes();
    if reason == ReasonCode::Success || !version.has_reason_codes() {
        out.bytes(&[first_byte, 2, high, low]);
    } else {
        out.bytes(&[first_byte, 3, high, low, reason as u8]);
    }
}
