//! SUBSCRIBE (MQTT 5, 3.8): topic filters with options.

use core::fmt;

use crate::wire::{Reader, Sink};
use crate::{
    DecodeError, EncodeError, PacketId, PacketType, Properties, PropertyPlace, Qos, Version,
};

/// A request for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// SUBACK repeats it.
    pub packet_id: PacketId,
    /// Empty for 3.x.
    pub properties: Properties<'a>,
    /// At least one [MQTT-3.8.3-2].
    pub filters: SubscribeFilters<'a>,
}

impl<'a> Subscribe<'a> {
    pub(crate) fn decode(mut reader: Reader<'a>, version: Version) -> Result<Self, DecodeError> {
        let packet_id = reader.packet_id()?;
        let properties = match version.has_properties() {
            true => reader.properties(PropertyPlace::Packet(PacketType::Subscribe))?,
            false => Properties::EMPTY,
        };
        let filters = SubscribeFilters::parse(reader.rest(), version)?;
        Ok(Self {
            packet_id,
            properties,
            filters,
        })
    }

    pub(crate) fn write(&self, version: Version, sink: &mut impl Sink) {
        if self.filters.is_empty() {
            sink.refuse(EncodeError::Empty);
        }
        sink.u16(self.packet_id.get());
        if version.has_properties() {
            sink.properties(self.properties);
        }
        if version.has_subscription_options() {
            return sink.bytes(self.filters.0);
        }
        for (filter, options) in self.filters.iter() {
            sink.text(filter);
            sink.u8(options.qos as u8);
        }
    }
}

/// Topic filters, UTF-8 but not yet checked as filters, each with valid options.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct SubscribeFilters<'a>(&'a [u8]);

impl<'a> SubscribeFilters<'a> {
    fn parse(bytes: &'a [u8], version: Version) -> Result<Self, DecodeError> {
        if bytes.is_empty() {
            return Err(DecodeError::protocol(
                "SUBSCRIBE without topic filter [MQTT-3.8.3-2]",
            ));
        }
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let filter = reader.text()?;
            let options = SubscriptionOptions::decode(reader.u8()?, version)?;
            if options.no_local && filter.starts_with("$share/") {
                return Err(DecodeError::protocol(
                    "No Local on a shared subscription [MQTT-3.8.3-4]",
                ));
            }
        }
        Ok(Self(bytes))
    }

    /// Filters and their options in order; SUBACK answers in the same order [MQTT-3.8.4-6].
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, SubscriptionOptions)> + use<'a> {
        let mut reader = Reader::new(self.0);
        core::iter::from_fn(move || {
            let filter = reader.text().ok()?;
            // Lifted: the bits of version 5 are reserved, thus zero, in 3.x.
            let options = SubscriptionOptions::decode(reader.u8().ok()?, Version::Mqtt5).ok()?;
            Some((filter, options))
        })
    }

    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SubscribeFilters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Filters being built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscribeFiltersBuf(Vec<u8>);

impl SubscribeFiltersBuf {
    /// None yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a filter.
    ///
    /// # Errors
    /// [`EncodeError::FieldOutOfRange`] if it is longer than 65,535 bytes; nothing is added then.
    pub fn push(&mut self, filter: &str, options: SubscriptionOptions) -> Result<(), EncodeError> {
        if filter.len() > usize::from(u16::MAX) {
            return Err(EncodeError::FieldOutOfRange);
        }
        self.0.text(filter);
        self.0.u8(options.encode());
        Ok(())
    }

    /// The filters as [`Subscribe`] takes them.
    pub fn as_filters(&self) -> SubscribeFilters<'_> {
        SubscribeFilters(&self.0)
    }
}

/// How to deliver what matches a filter. The default is what 3.x does, at QoS 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SubscriptionOptions {
    /// The highest QoS to deliver with.
    pub qos: Qos,
    /// Not what this client published itself.
    pub no_local: bool,
    /// Deliver RETAIN as the publisher set it.
    pub retain_as_published: bool,
    /// Whether retained messages come at once.
    pub retain_handling: RetainHandling,
}

/// When retained messages are sent for a new subscription (MQTT 5, 3.8.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RetainHandling {
    /// At every SUBSCRIBE.
    #[default]
    SendAtSubscribe = 0,
    /// If the subscription did not exist.
    SendIfNew = 1,
    /// Never.
    DoNotSend = 2,
}

const NO_LOCAL: u8 = 0x04;
const RETAIN_AS_PUBLISHED: u8 = 0x08;

impl SubscriptionOptions {
    fn decode(byte: u8, version: Version) -> Result<Self, DecodeError> {
        let reserved = if version.has_subscription_options() {
            0xC0
        } else {
            0xFC
        };
        if byte & reserved != 0 {
            return Err(DecodeError::malformed(
                "reserved subscription options [MQTT-3.8.3-5]",
            ));
        }
        let retain_handling = match byte >> 4 {
            0 => RetainHandling::SendAtSubscribe,
            1 => RetainHandling::SendIfNew,
            2 => RetainHandling::DoNotSend,
            _ => return Err(DecodeError::protocol("Retain Handling 3 (MQTT 5, 3.8.3.1)")),
        };
        Ok(Self {
            qos: Qos::from_u8(byte & 3).ok_or(DecodeError::protocol(
                "a subscription with QoS 3 (MQTT 5, 3.8.3.1)",
            ))?,
            no_local: byte & NO_LOCAL != 0,
            retain_as_published: byte & RETAIN_AS_PUBLISHED != 0,
            retain_handling,
        })
    }

    const fn encode(self) -> u8 {
        self.qos as u8
            | if self.no_local { NO_LOCAL } else { 0 }
            | if self.retain_as_published {
                RETAIN_AS_PUBLISHED
            } else {
                0
            }
            | (self.retain_handling as u8) << 4
    }
}
