//! What a bridge carries, in our words and in those of the contract.

use dunlin_codec::{Properties, PropertiesBuf, Property, Qos};
use dunlin_topic::TopicName;

use crate::{
    bindings::exports::dunlin::plugin::bridge::{Mapped, MessageParam, MessageResult},
    client::{codec_qos, contract_qos, user_properties},
};

/// A message on its way through a bridge.
#[derive(Clone, Copy, Debug)]
pub struct BridgeMessage<'a> {
    /// A topic name, as it is to be where it goes.
    pub topic: &'a str,
    /// The application's bytes.
    pub payload: &'a [u8],
    /// What it will be published with, unless the receiving broker takes less.
    pub qos: Qos,
    /// The RETAIN flag.
    pub retain: bool,
    /// Those that pass through a broker unaltered; others are not shown.
    pub properties: Properties<'a>,
    /// Seconds that it may live from now.
    pub expiry: Option<u32>,
}

impl<'a> BridgeMessage<'a> {
    /// A message of QoS 0.
    pub fn new(topic: &'a str, payload: &'a [u8]) -> Self {
        BridgeMessage {
            topic,
            payload,
            qos: Qos::AtMostOnce,
            retain: false,
            properties: Properties::EMPTY,
            expiry: None,
        }
    }
}

/// A message that a plugin has made, with the fields of a [`BridgeMessage`]. It can stand in a
/// packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "see BridgeMessage")]
pub struct MappedMessage {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: Qos,
    pub retain: bool,
    pub properties: PropertiesBuf,
    pub expiry: Option<u32>,
}

impl MappedMessage {
    /// The same, borrowed.
    pub fn as_message(&self) -> BridgeMessage<'_> {
        BridgeMessage {
            topic: &self.topic,
            payload: &self.payload,
            qos: self.qos,
            retain: self.retain,
            properties: self.properties.as_properties(),
            expiry: self.expiry,
        }
    }
}

/// What goes on of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BridgeMapped {
    /// The message at this place of the batch, as it is.
    Pass(usize),
    /// Another in the place of that one.
    Replace(usize, MappedMessage),
    /// One that nobody waits for.
    Add(MappedMessage),
}

impl BridgeMapped {
    /// The same in a batch that has so many messages before.
    pub(crate) fn after(self, before: usize) -> Self {
        match self {
            Self::Pass(place) => Self::Pass(before + place),
            Self::Replace(place, message) => Self::Replace(before + place, message),
            Self::Add(message) => Self::Add(message),
        }
    }
}

/// Bytes that a guest needs for a message, about.
pub(crate) fn size(message: &BridgeMessage<'_>) -> usize {
    const RECORD: usize = 128;
    // The shortest property, a user property of two empty strings, has 5 bytes in a packet. In an
    // answer it has 48, and an answer may have twice the size.
    let properties = 6 * message.properties.as_bytes().len();
    RECORD + message.topic.len() + message.payload.len() + properties
}

/// What is borrowed while a message is shown.
pub(crate) struct Shown<'a> {
    message: &'a BridgeMessage<'a>,
    user_properties: Vec<(&'a str, &'a str)>,
}

impl<'a> Shown<'a> {
    pub(crate) fn new(message: &'a BridgeMessage<'a>) -> Self {
        Shown {
            message,
            user_properties: user_properties(message.properties),
        }
    }

    pub(crate) fn message(&self) -> MessageParam<'_> {
        let properties = self.message.properties;
        MessageParam {
            topic: self.message.topic,
            payload: self.message.payload,
            qos: contract_qos(self.message.qos),
            retain: self.message.retain,
            expires_in: self.message.expiry,
            text: properties.payload_format_indicator() == Some(true),
            content_type: properties.content_type(),
            response_topic: properties.response_topic(),
            correlation_data: properties.correlation_data(),
            user_properties: &self.user_properties,
        }
    }
}

/// What a plugin made of a batch of so many messages; of what cannot be published, why.
///
/// # Errors
/// If places are named that are not there, twice, or not in order.
pub(crate) fn mapped(
    answer: Vec<Mapped>,
    batch: usize,
) -> Result<Vec<Result<BridgeMapped, String>>, String> {
    let mut next = 0;
    let mut place = |origin: u32| match origin as usize {
        place if place >= batch => Err(format!("place {place} in a batch of {batch}")),
        place if place < next => Err(format!("place {place} twice or after a later one")),
        place => {
            next = place + 1;
            Ok(place)
        }
    };
    let one = |mapped| {
        Ok(match mapped {
            Mapped::Pass(origin) => Ok(BridgeMapped::Pass(place(origin)?)),
            Mapped::Replace(other) => {
                let place = place(other.origin)?;
                message(other.message).map(|message| BridgeMapped::Replace(place, message))
            }
            Mapped::Add(added) => message(added).map(BridgeMapped::Add),
        })
    };
    answer.into_iter().map(one).collect()
}

/// The most that a string in a packet may have (MQTT 5, 1.5.4).
const MAX_STRING_BYTES: usize = 65_535;

fn message(message: MessageResult) -> Result<MappedMessage, String> {
    for topic in [Some(&message.topic), message.response_topic.as_ref()] {
        topic
            .map_or(Ok(()), |topic| TopicName::new(topic).map(drop))
            .map_err(|error| format!("a topic that it gives a message is none: {error}"))?;
    }
    let pairs = message.user_properties.iter();
    let mut texts = pairs
        .flat_map(|(name, value)| [name, value])
        .chain(&message.content_type);
    if texts.any(|text| text.len() > MAX_STRING_BYTES || text.contains('\0')) {
        return Err("a user property or the content type cannot stand in a packet".into());
    }
    let properties = properties(&message)
        .map_err(|error| format!("a property cannot stand in a packet: {error}"))?;
    Ok(MappedMessage {
        topic: message.topic,
        payload: message.payload,
        qos: codec_qos(message.qos),
        retain: message.retain,
        properties,
        expiry: message.expires_in,
    })
}

fn properties(message: &MessageResult) -> Result<PropertiesBuf, dunlin_codec::EncodeError> {
    let mut properties = PropertiesBuf::new();
    if message.text {
        properties.push(Property::PayloadFormatIndicator(true))?;
    }
    if let Some(content_type) = &message.content_type {
        properties.push(Property::ContentType(content_type))?;
    }
    if let Some(topic) = &message.response_topic {
        properties.push(Property::ResponseTopic(topic))?;
    }
    if let Some(data) = &message.correlation_data {
        properties.push(Property::CorrelationData(data))?;
    }
    for (name, value) in &message.user_properties {
        properties.push(Property::UserProperty(name, value))?;
    }
    Ok(properties)
}
