//! One property with its value (MQTT 5, 2.2.2), to and from its form on the wire.

use core::num::{NonZeroU16, NonZeroU32};

use crate::Qos;
use crate::raw_property::{RawProperty, Value, id};

/// A property with its value. Intervals are in seconds, sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the standard's names; units stand above")]
pub enum Property<'a> {
    /// Whether the payload is UTF-8 text.
    PayloadFormatIndicator(bool),
    MessageExpiryInterval(u32),
    ContentType(&'a str),
    ResponseTopic(&'a str),
    CorrelationData(&'a [u8]),
    /// 1 to 268,435,455.
    SubscriptionIdentifier(u32),
    SessionExpiryInterval(u32),
    AssignedClientIdentifier(&'a str),
    ServerKeepAlive(u16),
    AuthenticationMethod(&'a str),
    AuthenticationData(&'a [u8]),
    RequestProblemInformation(bool),
    WillDelayInterval(u32),
    RequestResponseInformation(bool),
    ResponseInformation(&'a str),
    ServerReference(&'a str),
    ReasonString(&'a str),
    ReceiveMaximum(NonZeroU16),
    TopicAliasMaximum(u16),
    TopicAlias(NonZeroU16),
    /// At most once or at least once; a server without this property grants all three.
    MaximumQos(Qos),
    RetainAvailable(bool),
    UserProperty(&'a str, &'a str),
    MaximumPacketSize(NonZeroU32),
    WildcardSubscriptionAvailable(bool),
    SubscriptionIdentifierAvailable(bool),
    SharedSubscriptionAvailable(bool),
}

impl<'a> Property<'a> {
    /// The form on the wire.
    pub(crate) const fn raw(&self) -> RawProperty<'a> {
        let (id, value) = match *self {
            Self::PayloadFormatIndicator(yes) => (id::PAYLOAD_FORMAT_INDICATOR, byte(yes)),
            Self::MessageExpiryInterval(n) => (id::MESSAGE_EXPIRY_INTERVAL, Value::Four(n)),
            Self::ContentType(text) => (id::CONTENT_TYPE, Value::Text(text.as_bytes())),
            Self::ResponseTopic(text) => (id::RESPONSE_TOPIC, Value::Text(text.as_bytes())),
            Self::CorrelationData(bytes) => (id::CORRELATION_DATA, Value::Binary(bytes)),
            Self::SubscriptionIdentifier(n) => (id::SUBSCRIPTION_IDENTIFIER, Value::VarInt(n)),
            Self::SessionExpiryInterval(n) => (id::SESSION_EXPIRY_INTERVAL, Value::Four(n)),
            Self::AssignedClientIdentifier(text) => {
                (id::ASSIGNED_CLIENT_IDENTIFIER, Value::Text(text.as_bytes()))
            }
            Self::ServerKeepAlive(n) => (id::SERVER_KEEP_ALIVE, Value::Two(n)),
            Self::AuthenticationMethod(text) => {
                (id::AUTHENTICATION_METHOD, Value::Text(text.as_bytes()))
            }
            Self::AuthenticationData(bytes) => (id::AUTHENTICATION_DATA, Value::Binary(bytes)),
            Self::RequestProblemInformation(yes) => (id::REQUEST_PROBLEM_INFORMATION, byte(yes)),
            Self::WillDelayInterval(n) => (id::WILL_DELAY_INTERVAL, Value::Four(n)),
            Self::RequestResponseInformation(yes) => (id::REQUEST_RESPONSE_INFORMATION, byte(yes)),
            Self::ResponseInformation(text) => {
                (id::RESPONSE_INFORMATION, Value::Text(text.as_bytes()))
            }
            Self::ServerReference(text) => (id::SERVER_REFERENCE, Value::Text(text.as_bytes())),
            Self::ReasonString(text) => (id::REASON_STRING, Value::Text(text.as_bytes())),
            Self::ReceiveMaximum(n) => (id::RECEIVE_MAXIMUM, Value::Two(n.get())),
            Self::TopicAliasMaximum(n) => (id::TOPIC_ALIAS_MAXIMUM, Value::Two(n)),
            Self::TopicAlias(n) => (id::TOPIC_ALIAS, Value::Two(n.get())),
            Self::MaximumQos(qos) => (id::MAXIMUM_QOS, Value::Byte(qos as u8)),
            Self::RetainAvailable(yes) => (id::RETAIN_AVAILABLE, byte(yes)),
            Self::UserProperty(name, value) => (
                id::USER_PROPERTY,
                Value::Pair(name.as_bytes(), value.as_bytes()),
            ),
            Self::MaximumPacketSize(n) => (id::MAXIMUM_PACKET_SIZE, Value::Four(n.get())),
            Self::WildcardSubscriptionAvailable(yes) => {
                (id::WILDCARD_SUBSCRIPTION_AVAILABLE, byte(yes))
            }
            Self::SubscriptionIdentifierAvailable(yes) => {
                (id::SUBSCRIPTION_IDENTIFIER_AVAILABLE, byte(yes))
            }
            Self::SharedSubscriptionAvailable(yes) => {
                (id::SHARED_SUBSCRIPTION_AVAILABLE, byte(yes))
            }
        };
        RawProperty { id, value }
    }

    /// The property of a raw one whose value has been checked; `None` otherwise.
    pub(crate) fn from_raw(raw: RawProperty<'a>) -> Option<Self> {
        Some(match (raw.id, raw.value) {
            (_, Value::Byte(value)) => typed_byte(raw.id, value)?,
            (id::SERVER_KEEP_ALIVE, Value::Two(n)) => Property::ServerKeepAlive(n),
            (id::TOPIC_ALIAS_MAXIMUM, Value::Two(n)) => Property::TopicAliasMaximum(n),
            (id::RECEIVE_MAXIMUM, Value::Two(n)) => Property::ReceiveMaximum(NonZeroU16::new(n)?),
            (id::TOPIC_ALIAS, Value::Two(n)) => Property::TopicAlias(NonZeroU16::new(n)?),
            (id::MESSAGE_EXPIRY_INTERVAL, Value::Four(n)) => Property::MessageExpiryInterval(n),
            (id::SESSION_EXPIRY_INTERVAL, Value::Four(n)) => Property::SessionExpiryInterval(n),
            (id::WILL_DELAY_INTERVAL, Value::Four(n)) => Property::WillDelayInterval(n),
            (id::MAXIMUM_PACKET_SIZE, Value::Four(n)) => {
                Property::MaximumPacketSize(NonZeroU32::new(n)?)
            }
            (_, Value::VarInt(n)) => Property::SubscriptionIdentifier(n),
            (id::CORRELATION_DATA, Value::Binary(bytes)) => Property::CorrelationData(bytes),
            (id::AUTHENTICATION_DATA, Value::Binary(bytes)) => Property::AuthenticationData(bytes),
            (_, Value::Text(bytes)) => typed_text(raw.id, core::str::from_utf8(bytes).ok()?)?,
            (_, Value::Pair(name, value)) => Property::UserProperty(
                core::str::from_utf8(name).ok()?,
                core::str::from_utf8(value).ok()?,
            ),
            _ => return None,
        })
    }
}

const fn byte(yes: bool) -> Value<'static> {
    Value::Byte(yes as u8)
}

const fn typed_byte(id: u8, value: u8) -> Option<Property<'static>> {
    let yes = value != 0;
    Some(match id {
        id::PAYLOAD_FORMAT_INDICATOR => Property::PayloadFormatIndicator(yes),
        id::REQUEST_PROBLEM_INFORMATION => Property::RequestProblemInformation(yes),
        id::REQUEST_RESPONSE_INFORMATION => Property::RequestResponseInformation(yes),
        id::MAXIMUM_QOS if yes => Property::MaximumQos(Qos::AtLeastOnce),
        id::MAXIMUM_QOS => Property::MaximumQos(Qos::AtMostOnce),
        id::RETAIN_AVAILABLE => Property::RetainAvailable(yes),
        id::WILDCARD_SUBSCRIPTION_AVAILABLE => Property::WildcardSubscriptionAvailable(yes),
        id::SUBSCRIPTION_IDENTIFIER_AVAILABLE => Property::SubscriptionIdentifierAvailable(yes),
        id::SHARED_SUBSCRIPTION_AVAILABLE => Property::SharedSubscriptionAvailable(yes),
        _ => return None,
    })
}

const fn typed_text(id: u8, text: &str) -> Option<Property<'_>> {
    Some(match id {
        id::CONTENT_TYPE => Property::ContentType(text),
        id::RESPONSE_TOPIC => Property::ResponseTopic(text),
        id::ASSIGNED_CLIENT_IDENTIFIER => Property::AssignedClientIdentifier(text),
        id::AUTHENTICATION_METHOD => Property::AuthenticationMethod(text),
        id::RESPONSE_INFORMATION => Property::ResponseInformation(text),
        id::SERVER_REFERENCE => Property::ServerReference(text),
        id::REASON_STRING => Property::ReasonString(text),
        _ => return None,
    })
}
