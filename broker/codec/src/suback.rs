//! SUBACK and UNSUBACK (MQTT 5, 3.9 and 3.11): one reason code per topic filter.

use core::fmt;

use crate::wire::{Reader, Sink};
use crate::{
    DecodeError, EncodeError, PacketId, PacketType, Properties, PropertyPlace, ReasonCode, Version,
};

/// The answer to SUBSCRIBE or UNSUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suback<'a> {
    /// The request's.
    pub packet_id: PacketId,
    /// Empty for 3.x.
    pub properties: Properties<'a>,
    /// In the order of the filters; empty in a 3.x UNSUBACK, which has none. 3.x knows one
    /// failure, 0x80, for all.
    pub reasons: ReasonCodes<'a>,
}

impl<'a> Suback<'a> {
    pub(crate) fn decode(
        packet_type: PacketType,
        mut reader: Reader<'a>,
        version: Version,
    ) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let properties = match version.has_properties() {
            true => reader.properties(PropertyPlace::Packet(packet_type))?,
            false => Properties::EMPTY,
        };
        if !has_reasons(packet_type, version) {
            reader.finish()?;
            return Ok(Self {
                packet_id,
                properties,
                reasons: ReasonCodes::default(),
            });
        }
        let reasons = ReasonCodes::parse(reader.rest(), packet_type, version)?;
        Ok(Self {
            packet_id,
            properties,
            reasons,
        })
    }

    pub(crate) fn write(&self, packet_type: PacketType, version: Version, sink: &mut impl Sink) {
        sink.u16(self.packet_id.get());
        if version.has_properties() {
            sink.properties(self.properties);
        }
        if !has_reasons(packet_type, version) {
            return;
        }
        if self.reasons.0.is_empty() {
            sink.refuse(EncodeError::Empty);
        }
        if version.has_reason_codes() {
            return sink.bytes(self.reasons.0);
        }
        for reason in self.reasons.iter() {
            sink.u8(if reason.is_error() {
                FAILURE
            } else {
                reason as u8
            });
        }
    }
}

/// The 3.1.1 SUBACK return code for any failure.
const FAILURE: u8 = ReasonCode::UnspecifiedError as u8;

fn has_reasons(packet_type: PacketType, version: Version) -> bool {
    packet_type == PacketType::Suback || version.has_reason_codes()
}

/// Reason codes as they stand in SUBACK and UNSUBACK.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ReasonCodes<'a>(&'a [u8]);

impl<'a> ReasonCodes<'a> {
    fn parse(
        bytes: &'a [u8],
        packet_type: PacketType,
        version: Version,
    ) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Err(DecodeError::protocol(
                "an answer without reason codes [MQTT-3.8.4-6]",
            ));
        }
        for &byte in bytes {
            if version.has_reason_codes() {
                ReasonCode::read(byte, packet_type)?;
            } else if byte > 2 && byte != FAILURE {
                return Err(DecodeError::malformed(
                    "a reserved SUBACK return code (MQTT 3.1.1 [MQTT-3.9.3-2])",
                ));
            }
        }
        Ok(Self(bytes))
    }

    /// The codes in order.
    pub fn iter(&self) -> impl Iterator<Item = ReasonCode> + use<'a> {
        self.0.iter().copied().filter_map(ReasonCode::from_u8)
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none: a 3.x UNSUBACK.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for ReasonCodes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Reason codes being built; `collect` works as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasonCodesBuf(Vec<u8>);

impl ReasonCodesBuf {
    /// None yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds the answer to the next filter.
    pub fn push(&mut self, reason: ReasonCode) {
        self.0.push(reason as u8);
    }

    /// The codes as [`Suback`] takes them.
    pub fn as_reason_codes(&self) -> ReasonCodes<'_> {
        ReasonCodes(&self.0)
    }
}

impl FromIterator<ReasonCode> for ReasonCodesBuf {
    fn from_iter<I: IntoIterator<Item = ReasonCode>>(reasons: I) -> Self {
        Self(reasons.into_iter().map(|reason| reason as u8).collect())
    }
}
