//! CONNACK (MQTT 5, 3.2): the server's answer to CONNECT.

use crate::wire::{Reader, Sink};
use crate::{DecodeError, EncodeError, PacketType, Properties, PropertyPlace, ReasonCode, Version};

/// Whether the connection stands, and on what terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connack<'a> {
    /// The server resumes a session; false when it refuses [MQTT-3.2.2-6]. 3.1 cannot say it.
    pub session_present: bool,
    /// In 3.x the nearest return code; see [`ReasonCode::connack_return_code`].
    pub reason: ReasonCode,
    /// Empty for 3.x.
    pub properties: Properties<'a>,
}

impl<'a> Connack<'a> {
    pub(crate) fn decode(mut reader: Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let flags = reader.u8()?;
        if flags > 1 && version.has_session_present() {
            return Err(DecodeError::malformed(
                "reserved CONNACK flags are set [MQTT-3.2.2-1]",
            ));
        }
        let session_present = flags == 1 && version.has_session_present();
        let code = reader.u8()?;
        let reason = if version.has_reason_codes() {
            ReasonCode::read(code, PacketType::Connack)?
        } else {
            ReasonCode::from_connack_return_code(code).ok_or(DecodeError::malformed(
                "a reserved CONNACK return code (MQTT 3.1.1, 3.2.2.3)",
            ))?
        };
        if session_present && reason.is_error() {
            return Err(DecodeError::protocol(
                "a refusal with Session Present [MQTT-3.2.2-6]",
            ));
        }
        let properties = match version.has_properties() {
            true => reader.properties(PropertyPlace::Packet(PacketType::Connack))?,
            false => Properties::EMPTY,
        };
        reader.finish()?;
        Ok(Self {
            session_present,
            reason,
            properties,
        })
    }

    pub(crate) fn write(&self, version: Version, sink: &mut impl Sink) {
        let session_present =
            self.session_present && version.has_session_present() && !self.reason.is_error();
        sink.u8(u8::from(session_present));
        if version.has_reason_codes() {
            sink.u8(self.reason as u8);
        } else {
            match self.reason.connack_return_code() {
                Some(code) => sink.u8(code),
                None => sink.refuse(EncodeError::NotInVersion),
            }
        }
        if version.has_properties() {
            sink.properties(self.properties);
        }
    }
}
