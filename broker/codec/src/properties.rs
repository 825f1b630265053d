//! The properties of one packet: checked once when they come, then walked in place.

use core::fmt;
use core::num::{NonZeroU16, NonZeroU32};

use crate::raw_property::{RawProperty, Value, id};
use crate::wire::Reader;
use crate::{DecodeError, EncodeError, Property, PropertyPlace, Qos};

/// Properties that are valid where they stand: known, allowed there, once where only once is
/// allowed, and in the bounds of their value. Empty for 3.x.
///
/// An accessor walks the bytes and stops at its property; packets carry few.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Properties<'a>(&'a [u8]);

impl<'a> Properties<'a> {
    /// No properties.
    pub const EMPTY: Self = Self(&[]);

    /// Checks encoded properties, without their length in front, for the place they stand in.
    ///
    /// # Errors
    /// Unknown or misplaced properties and cut values are malformed; a property twice or with a
    /// forbidden value is a protocol error (MQTT 5, 2.2.2.2).
    pub fn parse(bytes: &'a [u8], place: PropertyPlace) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut seen = 0_u64;
        while !reader.is_empty() {
            let property = RawProperty::read(&mut reader)?;
            if !property.is_allowed_in(place) {
                return Err(DecodeError::malformed(
                    "a property that does not belong here (MQTT 5, 2.2.2.2)",
                ));
            }
            let bit = 1 << property.id; // identifiers that exist are below 64
            if seen & bit != 0 && !property.may_repeat_in(place) {
                return Err(DecodeError::protocol("a property twice (MQTT 5, 2.2.2.2)"));
            }
            seen |= bit;
            property.check_value()?;
        }
        let data_without_method = 1_u64 << id::AUTHENTICATION_DATA;
        let both = data_without_method | 1 << id::AUTHENTICATION_METHOD;
        if seen & both == data_without_method {
            return Err(DecodeError::protocol(
                "Authentication Data without Authentication Method (MQTT 5, 3.1.2.11.10)",
            ));
        }
        Ok(Self(bytes))
    }

    /// The encoded properties, without their length in front.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All properties in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = Property<'a>> + use<'a> {
        self.raw().filter_map(Property::from_raw)
    }

    fn raw(self) -> impl Iterator<Item = RawProperty<'a>> + use<'a> {
        let mut reader = Reader::new(self.0);
        core::iter::from_fn(move || RawProperty::read(&mut reader).ok())
    }

    fn find(self, id: u8) -> Option<Value<'a>> {
        self.raw()
            .find(|property| property.id == id)
            .map(|property| property.value)
    }

    fn flag(self, id: u8) -> Option<bool> {
        match self.find(id)? {
            Value::Byte(value) => Some(value != 0),
            _ => None,
        }
    }

    fn two(self, id: u8) -> Option<u16> {
        match self.find(id)? {
            Value::Two(value) => Some(value),
            _ => None,
        }
    }

    fn four(self, id: u8) -> Option<u32> {
        match self.find(id)? {
            Value::Four(value) => Some(value),
            _ => None,
        }
    }

    fn binary(self, id: u8) -> Option<&'a [u8]> {
        match self.find(id)? {
            Value::Text(bytes) | Value::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn text(self, id: u8) -> Option<&'a str> {
        core::str::from_utf8(self.binary(id)?).ok()
    }
}

/// Named accessors, in the order of table 2-4. `None` where the packet does not say; the standard
/// then gives a default, which the plain `bool`s already hold.
impl<'a> Properties<'a> {
    /// Whether the sender says that the payload is UTF-8 text.
    pub fn payload_format_indicator(&self) -> Option<bool> {
        self.flag(id::PAYLOAD_FORMAT_INDICATOR)
    }

    /// Seconds that the message lives.
    pub fn message_expiry_interval(&self) -> Option<u32> {
        self.four(id::MESSAGE_EXPIRY_INTERVAL)
    }

    /// What the payload is, in the application's words.
    pub fn content_type(&self) -> Option<&'a str> {
        self.text(id::CONTENT_TYPE)
    }

    /// Where to answer; without wildcards.
    pub fn response_topic(&self) -> Option<&'a str> {
        self.text(id::RESPONSE_TOPIC)
    }

    /// What the requester knows its request by.
    pub fn correlation_data(&self) -> Option<&'a [u8]> {
        self.binary(id::CORRELATION_DATA)
    }

    /// The one identifier of a SUBSCRIBE, or the first of a PUBLISH; never 0.
    pub fn subscription_identifier(&self) -> Option<u32> {
        self.subscription_identifiers().next()
    }

    /// The identifiers of all subscriptions that a PUBLISH matched.
    pub fn subscription_identifiers(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.raw().filter_map(|property| match property.value {
            Value::VarInt(identifier) => Some(identifier),
            _ => None,
        })
    }

    /// Seconds that the session outlives its connection; `u32::MAX` is for ever. Of a CONNECT ask
    /// [`crate::Connect::session_expiry_interval`], which knows 3.x and the default.
    pub fn session_expiry_interval(&self) -> Option<u32> {
        self.four(id::SESSION_EXPIRY_INTERVAL)
    }

    /// The client id that the server chose.
    pub fn assigned_client_identifier(&self) -> Option<&'a str> {
        self.text(id::ASSIGNED_CLIENT_IDENTIFIER)
    }

    /// The keep alive, in seconds, that the client must use instead of its own.
    pub fn server_keep_alive(&self) -> Option<u16> {
        self.two(id::SERVER_KEEP_ALIVE)
    }

    /// The name of the extended authentication method.
    pub fn authentication_method(&self) -> Option<&'a str> {
        self.text(id::AUTHENTICATION_METHOD)
    }

    /// What the method says.
    pub fn authentication_data(&self) -> Option<&'a [u8]> {
        self.binary(id::AUTHENTICATION_DATA)
    }

    /// Whether reason strings and user properties may be sent on any packet; default true.
    pub fn request_problem_information(&self) -> bool {
        self.flag(id::REQUEST_PROBLEM_INFORMATION).unwrap_or(true)
    }

    /// Seconds between the end of the connection and the will.
    pub fn will_delay_interval(&self) -> Option<u32> {
        self.four(id::WILL_DELAY_INTERVAL)
    }

    /// Whether the client asks for Response Information; default false.
    pub fn request_response_information(&self) -> bool {
        self.flag(id::REQUEST_RESPONSE_INFORMATION).unwrap_or(false)
    }

    /// What the client may build response topics from.
    pub fn response_information(&self) -> Option<&'a str> {
        self.text(id::RESPONSE_INFORMATION)
    }

    /// Another server to use.
    pub fn server_reference(&self) -> Option<&'a str> {
        self.text(id::SERVER_REFERENCE)
    }

    /// Text for a human who diagnoses.
    pub fn reason_string(&self) -> Option<&'a str> {
        self.text(id::REASON_STRING)
    }

    /// How many unacknowledged QoS 1 and 2 publishes the sender takes; default 65,535.
    pub fn receive_maximum(&self) -> Option<NonZeroU16> {
        self.two(id::RECEIVE_MAXIMUM).and_then(NonZeroU16::new)
    }

    /// How many topic aliases the sender takes; default 0.
    pub fn topic_alias_maximum(&self) -> Option<u16> {
        self.two(id::TOPIC_ALIAS_MAXIMUM)
    }

    /// The number that stands for the topic.
    pub fn topic_alias(&self) -> Option<NonZeroU16> {
        self.two(id::TOPIC_ALIAS).and_then(NonZeroU16::new)
    }

    /// The highest QoS that the server takes; default exactly once.
    pub fn maximum_qos(&self) -> Option<Qos> {
        match self.find(id::MAXIMUM_QOS)? {
            Value::Byte(level) => Qos::from_u8(level),
            _ => None,
        }
    }

    /// Whether the server keeps retained messages; default true.
    pub fn retain_available(&self) -> bool {
        self.flag(id::RETAIN_AVAILABLE).unwrap_or(true)
    }

    /// Names and values in order; a name may come again.
    pub fn user_properties(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.iter().filter_map(|property| match property {
            Property::UserProperty(name, value) => Some((name, value)),
            _ => None,
        })
    }

    /// The largest packet, in bytes, that the sender takes; default no limit.
    pub fn maximum_packet_size(&self) -> Option<NonZeroU32> {
        self.four(id::MAXIMUM_PACKET_SIZE).and_then(NonZeroU32::new)
    }

    /// Whether the server takes filters with wildcards; default true.
    pub fn wildcard_subscription_available(&self) -> bool {
        self.flag(id::WILDCARD_SUBSCRIPTION_AVAILABLE)
            .unwrap_or(true)
    }

    /// Whether the server takes subscription identifiers; default true.
    pub fn subscription_identifier_available(&self) -> bool {
        self.flag(id::SUBSCRIPTION_IDENTIFIER_AVAILABLE)
            .unwrap_or(true)
    }

    /// Whether the server takes shared subscriptions; default true.
    pub fn shared_subscription_available(&self) -> bool {
        self.flag(id::SHARED_SUBSCRIPTION_AVAILABLE).unwrap_or(true)
    }
}

/// Forwarding the properties of a PUBLISH.
impl Properties<'_> {
    /// What a broker must know of a PUBLISH's properties, in one pass.
    pub fn publish_summary(&self) -> PublishSummary {
        let mut summary = PublishSummary {
            all_forwardable: true,
            ..PublishSummary::default()
        };
        for property in self.raw() {
            match (property.id, property.value) {
                (id::TOPIC_ALIAS, Value::Two(alias)) => {
                    summary.topic_alias = NonZeroU16::new(alias);
                }
                (id::MESSAGE_EXPIRY_INTERVAL, Value::Four(seconds)) => {
                    summary.message_expiry_interval = Some(seconds);
                }
                _ => {}
            }
            summary.all_forwardable &= is_forwarded(property.id);
        }
        summary
    }

    /// Appends what passes through a broker unaltered and in order: payload format, content type,
    /// response topic, correlation data and user properties [MQTT-3.3.2-17].
    pub fn copy_forwarded(&self, out: &mut Vec<u8>) {
        let mut reader = Reader::new(self.0);
        loop {
            let before = reader.rest();
            let Ok(property) = RawProperty::read(&mut reader) else {
                return;
            };
            if is_forwarded(property.id) {
                out.extend_from_slice(&before[..before.len() - reader.rest().len()]);
            }
        }
    }
}

/// Alias and subscription identifiers belong to one hop; expiry counts down.
const fn is_forwarded(id: u8) -> bool {
    !matches!(
        id,
        id::TOPIC_ALIAS | id::SUBSCRIPTION_IDENTIFIER | id::MESSAGE_EXPIRY_INTERVAL
    )
}

/// What [`Properties::publish_summary`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishSummary {
    /// The number that stands for the topic.
    pub topic_alias: Option<NonZeroU16>,
    /// Seconds that the message lives.
    pub message_expiry_interval: Option<u32>,
    /// All properties pass through: [`Properties::as_bytes`] is what
    /// [`Properties::copy_forwarded`] would append.
    pub all_forwardable: bool,
}

impl fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Properties being built, in the order pushed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PropertiesBuf(Vec<u8>);

impl PropertiesBuf {
    /// None yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one. Whether it may stand in the packet, and a second time, is the caller's to know.
    ///
    /// # Errors
    /// [`EncodeError::FieldOutOfRange`] if a value has no encoding; nothing is added then.
    pub fn push(&mut self, property: Property<'_>) -> Result<(), EncodeError> {
        property.raw().write(&mut self.0)
    }

    /// The properties as a packet takes them.
    pub fn as_properties(&self) -> Properties<'_> {
        Properties(&self.0)
    }

    /// Removes all, keeping the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
