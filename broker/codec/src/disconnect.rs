//! DISCONNECT (MQTT 5, 3.14): the last packet of a connection.

use crate::wire::{Reader, Sink};
use crate::{DecodeError, PacketType, Properties, PropertyPlace, ReasonCode, Version};

/// Why the connection ends; 3.x knows only the client's normal disconnection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// `Success` is the normal disconnection, which discards the will.
    pub reason: ReasonCode,
    /// Empty for 3.x.
    pub properties: Properties<'a>,
}

impl<'a> Disconnect<'a> {
    pub(crate) fn decode(mut reader: Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let mut disconnect = Self::default();
        // Both may be left out, from the end (MQTT 5, 3.14.2.1 and 3.14.2.2.1).
        if version.has_reason_codes() && !reader.is_empty() {
            disconnect.reason = ReasonCode::read(reader.u8()?, PacketType::Disconnect)?;
            if !reader.is_empty() {
                disconnect.properties =
                    reader.properties(PropertyPlace::Packet(PacketType::Disconnect))?;
            }
        }
        reader.finish()?;
        Ok(disconnect)
    }

    pub(crate) fn write(&self, version: Version, sink: &mut impl Sink) {
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
