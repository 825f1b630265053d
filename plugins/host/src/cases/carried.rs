//! Cases of bridge plugins: messages on their way, as JSON.

use dunlin_codec::{PropertiesBuf, Property, Qos};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    answer::bytes,
    question::{Bytes, check_name},
    run::Http,
};
use crate::{
    BridgeMapped, BridgePlugin, MappedMessage,
    bridge::{MAX_PART, Way, ask},
    bridge_words::mapped,
    plugin_core::{CallError, Rehearsed},
};

/// What comes to a bridge at a time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    bridge: String,
    batch: Vec<Carried>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "MessageFields")]
struct Carried(MappedMessage);

/// The fields of `bridge.message`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageFields {
    topic: String,
    #[serde(default)]
    payload: Bytes,
    #[serde(default)]
    qos: u8,
    #[serde(default)]
    retain: bool,
    #[serde(default)]
    expires_in: Option<u32>,
    #[serde(default)]
    text: bool,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    response_topic: Option<String>,
    #[serde(default)]
    correlation_data: Option<Bytes>,
    #[serde(default)]
    user_properties: Vec<(String, String)>,
}

impl Batch {
    /// What the broker would never show is not shown.
    pub(super) fn check(&self) -> Result<(), String> {
        match (1..=MAX_PART).contains(&self.batch.len()) {
            true => Ok(()),
            false => Err(format!("a batch has 1 to {MAX_PART} messages")),
        }
    }
}

impl TryFrom<MessageFields> for Carried {
    type Error = String;

    fn try_from(fields: MessageFields) -> Result<Self, String> {
        check_name(&fields.topic)?;
        let qos = Qos::from_u8(fields.qos);
        Ok(Carried(MappedMessage {
            properties: fields.properties()?,
            topic: fields.topic,
            payload: fields.payload.0,
            qos: qos.ok_or_else(|| format!("{} is no QoS", fields.qos))?,
            retain: fields.retain,
            expiry: fields.expires_in,
        }))
    }
}

impl MessageFields {
    fn properties(&self) -> Result<PropertiesBuf, String> {
        let data = self.correlation_data.as_ref();
        let single = [
            self.text.then_some(Property::PayloadFormatIndicator(true)),
            self.content_type.as_deref().map(Property::ContentType),
            self.response_topic.as_deref().map(Property::ResponseTopic),
            data.map(|Bytes(data)| Property::CorrelationData(data)),
        ];
        let pairs = self.user_properties.iter();
        let pairs = pairs.map(|(name, value)| Property::UserProperty(name, value));
        let mut properties = PropertiesBuf::new();
        for property in single.into_iter().flatten().chain(pairs) {
            let pushed = properties.push(property);
            pushed.map_err(|error| format!("{property:?}: {error}"))?;
        }
        Ok(properties)
    }
}

pub(super) fn replay(
    plugin: &BridgePlugin,
    http: Http,
    way: Way,
    asked: &Batch,
) -> Rehearsed<Value> {
    let messages = asked.batch.iter();
    let batch: Vec<_> = messages.map(|message| message.0.as_message()).collect();
    let answer_bytes = plugin.core.limits.answer_bytes;
    plugin.core.rehearse(http, |store, guest| {
        match ask(store, guest, way, &asked.bridge, &batch, answer_bytes)? {
            Ok(answer) => {
                let goes_on = mapped(answer, batch.len());
                // What the broker would leave out is a mistake here.
                let goes_on: Result<Vec<_>, _> = goes_on.and_then(|all| all.into_iter().collect());
                Ok(goes_on
                    .map_err(CallError::Answer)?
                    .iter()
                    .map(one)
                    .collect())
            }
            Err(words) => Ok(json!({"error": words})),
        }
    })
}

fn one(mapped: &BridgeMapped) -> Value {
    match mapped {
        BridgeMapped::Pass(place) => json!({"pass": place}),
        BridgeMapped::Replace(place, message) => {
            json!({"replace": {"origin": place, "message": shown(message)}})
        }
        BridgeMapped::Add(message) => json!({"add": shown(message)}),
    }
}

fn shown(message: &MappedMessage) -> Value {
    let properties = message.properties.as_properties();
    let pairs: Vec<_> = properties.user_properties().collect();
    json!({
        "topic": message.topic,
        "payload": bytes(&message.payload),
        "qos": message.qos as u8,
        "retain": message.retain,
        "expires_in": message.expiry,
        "text": properties.payload_format_indicator() == Some(true),
        "content_type": properties.content_type(),
        "response_topic": properties.response_topic(),
        "correlation_data": properties.correlation_data().map(bytes),
        "user_properties": pairs,
    })
}
