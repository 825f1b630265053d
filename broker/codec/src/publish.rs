//! PUBLISH (MQTT 5, 3.3): the packet that all others are for, and the way to write it fast.

use core::num::{NonZeroU16, NonZeroU32};

use crate::raw_property::id;
use crate::wire::{Reader, Sink, var_int_len};
use crate::{
    DecodeError, EncodeError, MAX_REMAINING_LENGTH, PacketId, PacketType, Properties,
    PropertyPlace, Qos, Version,
};

/// An application message on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Sent before; never at QoS 0 [MQTT-3.3.1-2].
    pub dup: bool,
    /// Decides which acknowledgements follow.
    pub qos: Qos,
    /// To the server: keep it. To the client: it was kept.
    pub retain: bool,
    /// UTF-8, not yet checked as a topic name; may be empty if there is a topic alias.
    pub topic: &'a str,
    /// Some exactly when the QoS is above 0 [MQTT-2.2.1-2].
    pub packet_id: Option<PacketId>,
    /// Empty for 3.x.
    pub properties: Properties<'a>,
    /// Any bytes; may be empty.
    pub payload: &'a [u8],
}

const DUP: u8 = 0x08;
const RETAIN: u8 = 0x01;

impl<'a> Publish<'a> {
    /// What the first byte alone can have wrong.
    pub(crate) fn check_first_byte(byte: u8, version: Version) -> Result<(), DecodeError> {
        match byte >> 1 & 3 {
            3 => Err(DecodeError::malformed("PUBLISH with QoS 3 [MQTT-3.3.1-4]")),
            0 if byte & DUP != 0 && !version.is_loose_about_flags() => Err(DecodeError::protocol(
                "PUBLISH with DUP at QoS 0 [MQTT-3.3.1-2]",
            )),
            _ => Ok(()),
        }
    }

    /// The first byte has been checked, and `known` is a valid text. Inlined, so that the packet is
    /// built where it stays.
    #[inline(always)]
    pub(crate) fn decode(
        first_byte: u8,
        mut reader: Reader<'a>,
        version: Version,
        known: &'a str,
    ) -> Result<Self, DecodeError> {
        let qos = match first_byte >> 1 & 3 {
            0 => Qos::AtMostOnce,
            1 => Qos::AtLeastOnce,
            _ => Qos::ExactlyOnce,
        };
        let topic = reader.text_or_known(known)?;
        let packet_id = match qos {
            Qos::AtMostOnce => None,
            _ => Some(reader.packet_id()?),
        };
        let properties = match version.has_properties() {
            true => reader.properties(PropertyPlace::Packet(PacketType::Publish))?,
            false => Properties::EMPTY,
        };
        Ok(Self {
            dup: first_byte & DUP != 0 && qos != Qos::AtMostOnce,
            qos,
            retain: first_byte & RETAIN != 0,
            topic,
            packet_id,
            properties,
            payload: reader.rest(),
        })
    }

    /// The same packet as parts, with all its properties as they are.
    pub(crate) const fn parts(&self) -> PublishParts<'a> {
        PublishParts {
            dup: self.dup,
            qos: self.qos,
            retain: self.retain,
            topic: self.topic.as_bytes(),
            packet_id: self.packet_id,
            forwarded: self.properties.as_bytes(),
            message_expiry_interval: None,
            topic_alias: None,
            subscription_identifiers: &[],
            payload: self.payload,
        }
    }
}

/// A PUBLISH to one receiver, put together from what all receivers share and what is its own.
/// Encoding is a few copies; it allocates only if the output must grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishParts<'a> {
    /// Sent before; never at QoS 0 [MQTT-3.3.1-2].
    pub dup: bool,
    /// The QoS of this delivery.
    pub qos: Qos,
    /// As the subscription asks.
    pub retain: bool,
    /// UTF-8 of at most 65,535 bytes; may be empty if there is a topic alias.
    pub topic: &'a [u8],
    /// Some exactly when the QoS is above 0 [MQTT-2.2.1-2].
    pub packet_id: Option<PacketId>,
    /// Encoded properties that pass through unchanged, as [`Properties::copy_forwarded`] gives
    /// them; left out in 3.x like all properties.
    pub forwarded: &'a [u8],
    /// Seconds left to live.
    pub message_expiry_interval: Option<u32>,
    /// The number that stands for the topic.
    pub topic_alias: Option<NonZeroU16>,
    /// Of the subscriptions that matched; each 1 to 268,435,455.
    pub subscription_identifiers: &'a [NonZeroU32],
    /// Any bytes; may be empty.
    pub payload: &'a [u8],
}

impl PublishParts<'_> {
    /// Bytes of the whole packet, to compare with the receiver's Maximum Packet Size.
    pub fn encoded_len(&self, version: Version) -> usize {
        let remaining = self.remaining_len(version);
        1 + var_int_len(remaining) + remaining
    }

    /// Appends the packet.
    ///
    /// # Errors
    /// As [`PublishParts::encode_head`].
    #[inline]
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.encode_head(version, out)?;
        out.extend_from_slice(self.payload);
        Ok(())
    }

    /// Appends all but the payload, for a vectored write of a large one.
    ///
    /// # Errors
    /// If the parts have no encoding: too long, or packet id and DUP do not fit the QoS. Nothing
    /// is written then.
    #[inline]
    pub fn encode_head(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.check()?;
        let remaining = self.remaining_len(version);
        if remaining > MAX_REMAINING_LENGTH {
            return Err(EncodeError::PacketTooLarge);
        }
        out.reserve(5 + remaining);
        out.u8(self.first_byte());
        out.var_int(remaining);
        out.binary(self.topic);
        if let Some(packet_id) = self.packet_id {
            out.u16(packet_id.get());
        }
        if version.has_properties() {
            self.write_properties(out);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), EncodeError> {
        let acknowledged = self.qos != Qos::AtMostOnce;
        if self.packet_id.is_some() != acknowledged || self.dup && !acknowledged {
            return Err(EncodeError::PacketIdMismatch);
        }
        let out_of_range = |id: &NonZeroU32| id.get() as usize > MAX_REMAINING_LENGTH;
        if self.topic.len() > usize::from(u16::MAX)
            || self.subscription_identifiers.iter().any(out_of_range)
        {
            return Err(EncodeError::FieldOutOfRange);
        }
        Ok(())
    }

    fn first_byte(&self) -> u8 {
        PacketType::Publish.first_byte()
            | (self.qos as u8) << 1
            | if self.dup { DUP } else { 0 }
            | if self.retain { RETAIN } else { 0 }
    }

    fn remaining_len(&self, version: Version) -> usize {
        let packet_id = if self.packet_id.is_some() { 2 } else { 0 };
        let properties = match version.has_properties() {
            true => {
                let len = self.properties_len();
                var_int_len(len) + len
            }
            false => 0,
        };
        2 + self.topic.len() + packet_id + properties + self.payload.len()
    }

    fn properties_len(&self) -> usize {
        let identifiers = self.subscription_identifiers.iter();
        self.forwarded.len()
            + if self.message_expiry_interval.is_some() {
                5
            } else {
                0
            }
            + if self.topic_alias.is_some() { 3 } else { 0 }
            + identifiers
                .map(|id| 1 + var_int_len(id.get() as usize))
                .sum::<usize>()
    }

    fn write_properties(&self, out: &mut Vec<u8>) {
        out.var_int(self.properties_len());
        if let Some(seconds) = self.message_expiry_interval {
            out.u8(id::MESSAGE_EXPIRY_INTERVAL);
            out.bytes(&seconds.to_be_bytes());
        }
        if let Some(alias) = self.topic_alias {
            out.u8(id::TOPIC_ALIAS);
            out.u16(alias.get());
        }
        for &identifier in self.subscription_identifiers {
            out.u8(id::SUBSCRIPTION_IDENTIFIER);
            out.var_int(identifier.get() as usize);
        }
        out.bytes(self.forwarded);
    }
}
