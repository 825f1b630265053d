//! AUTH (MQTT 5, 3.15): a step of extended authentication.

use crate::wire::{Reader, Sink};
use crate::{DecodeError, EncodeError, PacketType, Properties, PropertyPlace, ReasonCode, Version};

/// Exists in version 5 only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Auth<'a> {
    /// Success, continue, or re-authenticate.
    pub reason: ReasonCode,
    /// Hold an Authentication Method, unless the whole packet is empty, which the standard allows
    /// to mean success.
    pub properties: Properties<'a>,
}

impl<'a> Auth<'a> {
    pub(crate) fn decode(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        if reader.is_empty() {
            return Ok(Self::default()); // MQTT 5, 3.15.2.1
        }
        let reason = ReasonCode::read(reader.u8()?, PacketType::Auth)?;
        let properties = reader.properties(PropertyPlace::Packet(PacketType::Auth))?;
        reader.finish()?;
        if properties.authentication_method().is_none() {
            return Err(DecodeError::protocol(
                "AUTH without Authentication Method (MQTT 5, 3.15.2.2.2)",
            ));
        }
        Ok(Self { reason, properties })
    }

    pub(crate) fn write(&self, version: Version, sink: &mut impl Sink) {
        if !version.has_auth() {
            sink.refuse(EncodeError::NotInVersion);
        }
        if self.reason != ReasonCode::Success || !self.properties.is_empty() {
            sink.u8(self.reason as u8);
            sink.properties(self.properties);
        }
    }
}
