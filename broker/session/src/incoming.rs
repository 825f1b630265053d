use std::sync::Arc;

use dunlin_codec::{AckKind, Publish, Qos, Version};
use dunlin_topic::TopicName;

use crate::alias::IncomingAliases;
use crate::inbound::Received;
use crate::{Acknowledgement, Failure, Inbound};

/// A PUBLISH to be delivered.
#[derive(Debug)]
pub struct Incoming<'p> {
    /// Its topic, with an alias resolved.
    pub topic: ResolvedTopic<'p>,
    /// The packet; its own `topic` may be empty.
    pub publish: Publish<'p>,
    /// Present for QoS 1 and 2.
    pub acknowledgement: Option<Acknowledgement>,
}

/// A valid topic name, from the packet or from an alias.
#[derive(Clone, Debug)]
pub enum ResolvedTopic<'p> {
    /// Named by the packet.
    Packet(TopicName<'p>),
    /// Named by an earlier packet.
    Alias(Arc<str>),
}

impl ResolvedTopic<'_> {
    /// The name.
    pub fn as_str(&self) -> &str {
        match self {
            ResolvedTopic::Packet(topic) => topic.as_str(),
            ResolvedTopic::Alias(topic) => topic,
        }
    }
}

/// What a PUBLISH from the peer must keep to, whichever end we are.
#[derive(Debug)]
pub(crate) struct Rules {
    pub version: Version,
    pub receive_maximum: u16,
    pub topic_alias_maximum: u16,
    pub maximum_topic_levels: usize,
}

/// What [`Rules::open`] found.
#[derive(Debug)]
pub(crate) enum Opened {
    /// A message; what to acknowledge it with above QoS 0.
    New(Option<Acknowledgement>),
    /// A QoS 2 message that came before: answered.
    Duplicate,
}

impl Rules {
    /// The topic that a PUBLISH names or whose alias it uses. One that is `known` itself is not
    /// checked again.
    #[inline]
    pub fn resolve<'p>(
        &self,
        publish: &Publish<'p>,
        known: Option<TopicName<'p>>,
        aliases: &mut Option<Box<IncomingAliases>>,
    ) -> Result<ResolvedTopic<'p>, Failure> {
        let levels = self.maximum_topic_levels;
        let valid = |topic| TopicName::new_bounded(topic, levels).map_err(Failure::topic_name);
        let alias = match publish.properties.is_empty() {
            true => None,
            false => publish.properties.topic_alias(),
        };
        let Some(alias) = alias else {
            if publish.topic.is_empty() && self.version.has_properties() {
                return Err(Failure::protocol("neither topic nor topic alias (3.3.2.1)"));
            }
            let known = known.filter(|known| std::ptr::eq(known.as_str(), publish.topic));
            let topic = known.map_or_else(|| valid(publish.topic), Ok);
            return topic.map(ResolvedTopic::Packet);
        };
        if !publish.topic.is_empty() {
            valid(publish.topic)?;
        }
        aliases
            .get_or_insert_default()
            .resolve(alias, publish.topic, self.topic_alias_maximum)
            .map(ResolvedTopic::Alias)
    }

    /// Begins the flow that the QoS of a PUBLISH asks for.
    #[inline]
    pub fn open(
        &self,
        publish: &Publish<'_>,
        inbound: &mut Inbound,
        out: &mut Vec<u8>,
    ) -> Result<Opened, Failure> {
        let kind = match publish.qos {
            Qos::AtMostOnce => return Ok(Opened::New(None)),
            Qos::AtLeastOnce => AckKind::Puback,
            Qos::ExactlyOnce => AckKind::Pubrec,
        };
        // Decoding gives every PUBLISH above QoS 0 its packet id [MQTT-2.2.1-3].
        let Some(packet_id) = publish.packet_id else {
            return Ok(Opened::New(None));
        };
        let received = inbound.publish(kind, packet_id, self.receive_maximum, self.version, out)?;
        Ok(match received {
            Received::New(acknowledgement) => Opened::New(Some(acknowledgement)),
            Received::Duplicate => Opened::Duplicate,
        })
    }
}
