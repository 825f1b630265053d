//! What the broker calls of a [`crate::Bridge`], and its types.

use std::marker::PhantomData;

use super::exports::{Holder, configure, describe, with};
use crate::{
    Mapped,
    bridge::Message,
    guest::bindings::exports::dunlin::plugin::{bridge, plugin},
};

/// The exports of a [`crate::Bridge`].
pub struct Bridge<H>(PhantomData<H>);

impl<H: Holder> plugin::Guest for Bridge<H> {
    fn describe() -> String {
        describe::<H>()
    }

    fn configure(config: String) -> Result<(), String> {
        configure::<H>(&config)
    }
}

impl<H: Holder<Plugin: crate::Bridge>> bridge::Guest for Bridge<H> {
    fn egress(name: String, batch: Vec<bridge::Message>) -> Result<Vec<bridge::Mapped>, String> {
        let batch = batch.into_iter().map(Message::from).collect();
        let mapped = with::<H, _>(|plugin| crate::Bridge::egress_all(plugin, &name, batch))?;
        Ok(mapped.into_iter().map(bridge::Mapped::from).collect())
    }

    fn ingress(name: String, batch: Vec<bridge::Message>) -> Result<Vec<bridge::Mapped>, String> {
        let batch = batch.into_iter().map(Message::from).collect();
        let mapped = with::<H, _>(|plugin| crate::Bridge::ingress_all(plugin, &name, batch))?;
        Ok(mapped.into_iter().map(bridge::Mapped::from).collect())
    }
}

impl From<bridge::Message> for Message {
    fn from(message: bridge::Message) -> Self {
        Message {
            topic: message.topic,
            payload: message.payload,
            qos: message.qos.into(),
            retain: message.retain,
            expires_in: message.expires_in,
            text: message.text,
            content_type: message.content_type,
            response_topic: message.response_topic,
            correlation_data: message.correlation_data,
            user_properties: message.user_properties,
        }
    }
}

impl From<Message> for bridge::Message {
    fn from(message: Message) -> Self {
        bridge::Message {
            topic: message.topic,
            payload: message.payload,
            qos: message.qos.into(),
            retain: message.retain,
            expires_in: message.expires_in,
            text: message.text,
            content_type: message.content_type,
            response_topic: message.response_topic,
            correlation_data: message.correlation_data,
            user_properties: message.user_properties,
        }
    }
}

impl From<Mapped> for bridge::Mapped {
    fn from(mapped: Mapped) -> Self {
        match mapped {
            Mapped::Pass(origin) => bridge::Mapped::Pass(origin),
            Mapped::Replace(origin, message) => bridge::Mapped::Replace(bridge::Replacement {
                origin,
                message: message.into(),
            }),
            Mapped::Add(message) => bridge::Mapped::Add(message.into()),
        }
    }
}
