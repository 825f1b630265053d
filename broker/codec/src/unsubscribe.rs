//! UNSUBSCRIBE (MQTT 5, 3.10): topic filters to forget.

use core::fmt;

use crate::wire::{Reader, Sink};
use crate::{DecodeError, EncodeError, PacketId, PacketType, Properties, PropertyPlace, Version};

/// The end of some subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// UNSUBACK repeats it.
    pub packet_id: PacketId,
    /// Empty for 3.x.
    pub properties: Properties<'a>,
    /// At least one [MQTT-3.10.3-2].
    pub filters: UnsubscribeFilters<'a>,
}

impl<'a> Unsubscribe<'a> {
    pub(crate) fn decode(mut reader: Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let properties = match version.has_properties() {
            true => reader.properties(PropertyPlace::Packet(PacketType::Unsubscribe))?,
            false => Properties::EMPTY,
        };
        let filters = UnsubscribeFilters::parse(reader.rest())?;
        Ok(Self {
            packet_id,
            properties,
            filters,
        })
    }

    pub(crate) fn write(&self, version: Version, sink: &mut impl Sink) {
        if self.filters.0.is_empty() {
            sink.refuse(EncodeError::Empty);
        }
        sink.u16(self.packet_id.get());
        if version.has_properties() {
            sink.properties(self.properties);
        }
        sink.bytes(self.filters.0);
    }
}

/// Topic filters, UTF-8 but not yet checked as filters.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct UnsubscribeFilters<'a>(&'a [u8]);

impl<'a> UnsubscribeFilters<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Err(DecodeError::protocol(
                "UNSUBSCRIBE without topic filter [MQTT-3.10.3-2]",
            ));
        }
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            reader.text()?;
        }
        Ok(Self(bytes))
    }

    /// The filters in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut reader = Reader::new(self.0);
        core::iter::from_fn(move || reader.text().ok())
    }
}

impl fmt::Debug for UnsubscribeFilters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Filters being built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnsubscribeFiltersBuf(Vec<u8>);

impl UnsubscribeFiltersBuf {
    /// None yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a filter.
    ///
    /// # Errors
    /// [`EncodeError::FieldOutOfRange`] if it is longer than 65,535 bytes; nothing is added then.
    pub fn push(&mut self, filter: &str) -> Result<(), EncodeError> {
        if filter.len() > usize::from(u16::MAX) {
            return Err(EncodeError::FieldOutOfRange);
        }
        self.0.text(filter);
        Ok(())
    }

    /// The filters as [`Unsubscribe`] takes them.
    pub fn as_filters(&self) -> UnsubscribeFilters<'_> {
        UnsubscribeFilters(&self.0)
    }
}
