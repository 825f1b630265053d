//! A property on the wire: its identifier, its type, its bounds, and where it may stand
//! (MQTT 5, table 2-4).

use crate::wire::{Reader, Sink, check_text};
use crate::{DecodeError, EncodeError, MAX_REMAINING_LENGTH, PacketType, ReasonCode};

/// Where properties stand: a packet, or the will inside a CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyPlace {
    /// In the variable header of this type of packet.
    Packet(PacketType),
    /// In the payload of CONNECT, before the will topic.
    Will,
}

impl PropertyPlace {
    const fn bit(self) -> u16 {
        match self {
            Self::Packet(packet_type) => packet_type.bit(),
            Self::Will => 1, // packet type 0 does not exist
        }
    }
}

pub(crate) mod id {
    pub(crate) const PAYLOAD_FORMAT_INDICATOR: u8 = 0x01;
    pub(crate) const MESSAGE_EXPIRY_INTERVAL: u8 = 0x02;
    pub(crate) const CONTENT_TYPE: u8 = 0x03;
    pub(crate) const RESPONSE_TOPIC: u8 = 0x08;
    pub(crate) const CORRELATION_DATA: u8 = 0x09;
    pub(crate) const SUBSCRIPTION_IDENTIFIER: u8 = 0x0B;
    pub(crate) const SESSION_EXPIRY_INTERVAL: u8 = 0x11;
    pub(crate) const ASSIGNED_CLIENT_IDENTIFIER: u8 = 0x12;
    pub(crate) const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub(crate) const AUTHENTICATION_METHOD: u8 = 0x15;
    pub(crate) const AUTHENTICATION_DATA: u8 = 0x16;
    pub(crate) const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;
    pub(crate) const WILL_DELAY_INTERVAL: u8 = 0x18;
    pub(crate) const REQUEST_RESPONSE_INFORMATION: u8 = 0x19;
    pub(crate) const RESPONSE_INFORMATION: u8 = 0x1A;
    pub(crate) const SERVER_REFERENCE: u8 = 0x1C;
    pub(crate) const REASON_STRING: u8 = 0x1F;
    pub(crate) const RECEIVE_MAXIMUM: u8 = 0x21;
    pub(crate) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub(crate) const TOPIC_ALIAS: u8 = 0x23;
    pub(crate) const MAXIMUM_QOS: u8 = 0x24;
    pub(crate) const RETAIN_AVAILABLE: u8 = 0x25;
    pub(crate) const USER_PROPERTY: u8 = 0x26;
    pub(crate) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub(crate) const WILDCARD_SUBSCRIPTION_AVAILABLE: u8 = 0x28;
    pub(crate) const SUBSCRIPTION_IDENTIFIER_AVAILABLE: u8 = 0x29;
    pub(crate) const SHARED_SUBSCRIPTION_AVAILABLE: u8 = 0x2A;
}

/// A property as it stands on the wire; text is not yet known to be UTF-8.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawProperty<'a> {
    pub(crate) id: u8,
    pub(crate) value: Value<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Byte(u8),
    Two(u16),
    Four(u32),
    VarInt(u32),
    Text(&'a [u8]),
    Binary(&'a [u8]),
    Pair(&'a [u8], &'a [u8]),
}

impl<'a> RawProperty<'a> {
    /// Reads identifier and value by table 2-4. An identifier is a variable byte integer, but all
    /// that exist fit in one byte, and a longer form of those is not the shortest.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let id = reader.u8()?;
        let value = match id {
            id::PAYLOAD_FORMAT_INDICATOR
            | id::REQUEST_PROBLEM_INFORMATION
            | id::REQUEST_RESPONSE_INFORMATION
            | id::MAXIMUM_QOS
            | id::RETAIN_AVAILABLE
            | id::WILDCARD_SUBSCRIPTION_AVAILABLE
            | id::SUBSCRIPTION_IDENTIFIER_AVAILABLE
            | id::SHARED_SUBSCRIPTION_AVAILABLE => Value::Byte(reader.u8()?),
            id::SERVER_KEEP_ALIVE
            | id::RECEIVE_MAXIMUM
            | id::TOPIC_ALIAS_MAXIMUM
            | id::TOPIC_ALIAS => Value::Two(reader.u16()?),
            id::MESSAGE_EXPIRY_INTERVAL
            | id::SESSION_EXPIRY_INTERVAL
            | id::WILL_DELAY_INTERVAL
            | id::MAXIMUM_PACKET_SIZE => Value::Four(reader.u32()?),
            id::SUBSCRIPTION_IDENTIFIER => Value::VarInt(reader.var_int()?),
            id::CONTENT_TYPE
            | id::RESPONSE_TOPIC
            | id::ASSIGNED_CLIENT_IDENTIFIER
            | id::AUTHENTICATION_METHOD
            | id::RESPONSE_INFORMATION
            | id::SERVER_REFERENCE
            | id::REASON_STRING => Value::Text(reader.binary()?),
            id::CORRELATION_DATA | id::AUTHENTICATION_DATA => Value::Binary(reader.binary()?),
            id::USER_PROPERTY => Value::Pair(reader.binary()?, reader.binary()?),
            _ => {
                return Err(DecodeError::malformed(
                    "an unknown property (MQTT 5, 2.2.2.2)",
                ));
            }
        };
        Ok(Self { id, value })
    }

    /// May the property stand here, and once or often?
    pub(crate) const fn is_allowed_in(self, place: PropertyPlace) -> bool {
        places(self.id) & place.bit() != 0
    }

    pub(crate) fn may_repeat_in(self, place: PropertyPlace) -> bool {
        self.id == id::USER_PROPERTY
            || self.id == id::SUBSCRIPTION_IDENTIFIER
                && place == PropertyPlace::Packet(PacketType::Publish)
    }

    /// Refuses a value that the property's own section forbids.
    pub(crate) fn check_value(self) -> Result<(), DecodeError> {
        match self.value {
            Value::Byte(0 | 1) | Value::Four(1..) | Value::Two(1..) | Value::VarInt(1..) => Ok(()),
            Value::Byte(_) => Err(DecodeError::protocol(
                "a property that is 0 or 1 has another value",
            )),
            Value::Two(0) if self.id == id::RECEIVE_MAXIMUM => Err(DecodeError::protocol(
                "Receive Maximum is 0 (MQTT 5, 3.1.2.11.3)",
            )),
            Value::Two(0) if self.id == id::TOPIC_ALIAS => Err(DecodeError::new(
                ReasonCode::TopicAliasInvalid,
                "Topic Alias is 0 [MQTT-3.3.2-8]",
            )),
            Value::Four(0) if self.id == id::MAXIMUM_PACKET_SIZE => Err(DecodeError::protocol(
                "Maximum Packet Size is 0 (MQTT 5, 3.1.2.11.4)",
            )),
            Value::VarInt(0) => Err(DecodeError::protocol(
                "Subscription Identifier is 0 (MQTT 5, 3.8.2.1.2)",
            )),
            Value::Two(0) | Value::Four(0) | Value::Binary(_) => Ok(()),
            Value::Text(bytes) if self.id == id::RESPONSE_TOPIC => check_response_topic(bytes),
            Value::Text(bytes) => check_text(bytes).map(|_| ()),
            Value::Pair(name, value) => check_text(name).and(check_text(value)).map(|_| ()),
        }
    }

    /// Appends identifier and value, or nothing on error.
    pub(crate) fn write(self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if !self.fits() {
            return Err(EncodeError::FieldOutOfRange);
        }
        out.u8(self.id);
        match self.value {
            Value::Byte(value) => out.u8(value),
            Value::Two(value) => out.u16(value),
            Value::Four(value) => out.bytes(&value.to_be_bytes()),
            Value::VarInt(value) => out.var_int(value as usize),
            Value::Text(bytes) | Value::Binary(bytes) => out.binary(bytes),
            Value::Pair(name, value) => {
                out.binary(name);
                out.binary(value);
            }
        }
        Ok(())
    }

    const fn fits(self) -> bool {
        const MAX: usize = u16::MAX as usize;
        match self.value {
            Value::Byte(value) => value <= 1,
            Value::Two(_) | Value::Four(_) => true,
            Value::VarInt(value) => value >= 1 && value as usize <= MAX_REMAINING_LENGTH,
            Value::Text(bytes) | Value::Binary(bytes) => bytes.len() <= MAX,
            Value::Pair(name, value) => name.len() <= MAX && value.len() <= MAX,
        }
    }
}

/// A response topic passes through the broker unread, so its own rule is kept here.
fn check_response_topic(bytes: &[u8]) -> Result<(), DecodeError> {
    let topic = check_text(bytes)?;
    if topic.is_empty() || topic.contains(['+', '#']) {
        return Err(DecodeError::protocol(
            "Response Topic is empty or has a wildcard [MQTT-3.3.2-14] [MQTT-4.7.3-1]",
        ));
    }
    Ok(())
}

/// Table 2-4: one bit for each place in which a property may stand.
const fn places(id: u8) -> u16 {
    const WILL: u16 = PropertyPlace::Will.bit();
    const CONNECT: u16 = PacketType::Connect.bit();
    const CONNACK: u16 = PacketType::Connack.bit();
    const PUBLISH: u16 = PacketType::Publish.bit();
    const SUBSCRIBE: u16 = PacketType::Subscribe.bit();
    const DISCONNECT: u16 = PacketType::Disconnect.bit();
    const AUTH: u16 = PacketType::Auth.bit();
    const ANSWERS: u16 = PacketType::Puback.bit()
        | PacketType::Pubrec.bit()
        | PacketType::Pubrel.bit()
        | PacketType::Pubcomp.bit()
        | PacketType::Suback.bit()
        | PacketType::Unsuback.bit();
    match id {
        id::PAYLOAD_FORMAT_INDICATOR
        | id::MESSAGE_EXPIRY_INTERVAL
        | id::CONTENT_TYPE
        | id::RESPONSE_TOPIC
        | id::CORRELATION_DATA => PUBLISH | WILL,
        id::SUBSCRIPTION_IDENTIFIER => PUBLISH | SUBSCRIBE,
        id::SESSION_EXPIRY_INTERVAL => CONNECT | CONNACK | DISCONNECT,
        id::AUTHENTICATION_METHOD | id::AUTHENTICATION_DATA => CONNECT | CONNACK | AUTH,
        id::REQUEST_PROBLEM_INFORMATION | id::REQUEST_RESPONSE_INFORMATION => CONNECT,
        id::WILL_DELAY_INTERVAL => WILL,
        id::SERVER_REFERENCE => CONNACK | DISCONNECT,
        id::REASON_STRING => CONNACK | ANSWERS | DISCONNECT | AUTH,
        id::RECEIVE_MAXIMUM | id::TOPIC_ALIAS_MAXIMUM | id::MAXIMUM_PACKET_SIZE => {
            CONNECT | CONNACK
        }
        id::TOPIC_ALIAS => PUBLISH,
        id::USER_PROPERTY => !PINGS,
        id::ASSIGNED_CLIENT_IDENTIFIER
        | id::SERVER_KEEP_ALIVE
        | id::RESPONSE_INFORMATION
        | id::MAXIMUM_QOS
        | id::RETAIN_AVAILABLE
        | id::WILDCARD_SUBSCRIPTION_AVAILABLE
        | id::SUBSCRIPTION_IDENTIFIER_AVAILABLE
        | id::SHARED_SUBSCRIPTION_AVAILABLE => CONNACK,
        _ => 0,
    }
}

const PINGS: u16 = PacketType::Pingreq.bit() | PacketType::Pingresp.bit();
