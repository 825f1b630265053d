use std::time::Duration;

use dunlin_codec::{
    Connect, PacketType, Properties, PropertiesBuf, Property, PropertyPlace, Qos, ReasonCode,
};
use dunlin_time::Wall;
use dunlin_topic::TopicName;

use crate::handshake::add;
use crate::{Failure, Message, MessageParts, Terms};

/// A will message waiting for its connection to end badly (section 3.1.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// From the end of the connection.
    pub delay: Duration,
    /// Seconds from publication to expiry.
    pub expiry: Option<u32>,
    /// The message's QoS.
    pub qos: Qos,
    /// The message's RETAIN flag.
    pub retain: bool,
    /// A valid topic name.
    pub topic: Box<str>,
    /// Encoded properties that pass through.
    pub forwarded: Box<[u8]>,
    /// The application's bytes.
    pub payload: Box<[u8]>,
}

impl Will {
    /// The properties that pass through.
    pub fn properties(&self) -> Properties<'_> {
        Properties::parse(&self.forwarded, PropertyPlace::Packet(PacketType::Publish))
            .unwrap_or(Properties::EMPTY)
    }

    /// The message, published now by session `publisher` on `topic`.
    pub fn message(&self, publisher: u64, topic: &str, wall: Wall) -> Message {
        let parts = MessageParts {
            publisher,
            qos: self.qos,
            retain: self.retain,
            expires: self
                .expiry
                .map(|interval| MessageParts::expires(interval, wall)),
            topic,
            forwarded: &self.forwarded,
            payload: &self.payload,
        };
        Message::new(parts, &mut Vec::new())
    }
}

/// The will of a CONNECT, checked against the terms.
///
/// # Errors
/// Its QoS or RETAIN exceeds the terms, or its topic is none.
pub(crate) fn will(connect: &Connect<'_>, terms: &Terms) -> Result<Option<Will>, Failure> {
    let Some(will) = &connect.will else {
        return Ok(None);
    };
    if will.qos > terms.maximum_qos {
        return Err(Failure::new(
            ReasonCode::QosNotSupported,
            "the will's QoS is above Maximum QoS [MQTT-3.2.2-12]",
        ));
    }
    if will.retain && !terms.retain_available {
        return Err(Failure::new(
            ReasonCode::RetainNotSupported,
            "the will is retained, which is not available here [MQTT-3.2.2-13]",
        ));
    }
    terms.check_topic_bytes(will.topic)?;
    TopicName::new_bounded(will.topic, terms.maximum_topic_levels).map_err(Failure::topic_name)?;
    if will.payload.len() > terms.maximum_payload_bytes {
        return Err(Failure::new(
            ReasonCode::QuotaExceeded,
            "the will's payload is longer than messages may be here",
        ));
    }
    Ok(Some(Will {
        delay: Duration::from_secs(will.properties.will_delay_interval().unwrap_or(0).into()),
        expiry: will.properties.message_expiry_interval(),
        qos: will.qos,
        retain: will.retain,
        topic: will.topic.into(),
        forwarded: forwarded(will.properties),
        payload: will.payload.into(),
    }))
}

/// The properties of the message itself: the delay is none of the subscribers' business, and the
/// expiry begins when the will is published.
fn forwarded(properties: Properties<'_>) -> Box<[u8]> {
    let mut forwarded = PropertiesBuf::new();
    for property in properties.iter() {
        let is_ours = matches!(
            property,
            Property::WillDelayInterval(_) | Property::MessageExpiryInterval(_)
        );
        if !is_ours {
            add(&mut forwarded, property);
        }
    }
    forwarded.as_properties().as_bytes().into()
}
