//! A plugin as the map of a bridge.

use std::sync::Arc;

use dunlin_bridge::{Fault, Map, Mapped};
use dunlin_plugins::{BridgeMapped, BridgeMessage, BridgePlugin, MappedMessage};

/// A plugin that is shown what one bridge carries.
pub struct PluginMap {
    /// The bridge's name.
    pub bridge: String,
    /// The plugin.
    pub plugin: Arc<BridgePlugin>,
}

impl Map for PluginMap {
    fn egress(&self, batch: &mut Vec<Mapped>) -> Result<(), Fault> {
        map(batch, |shown| self.plugin.egress(&self.bridge, shown))
    }

    fn ingress(&self, batch: &mut Vec<Mapped>) -> Result<(), Fault> {
        map(batch, |shown| self.plugin.ingress(&self.bridge, shown))
    }
}

/// Puts what the plugin makes of a batch in its place; after an error it is as it was.
fn map(
    batch: &mut Vec<Mapped>,
    ask: impl FnOnce(&[BridgeMessage<'_>]) -> Result<Vec<BridgeMapped>, String>,
) -> Result<(), Fault> {
    let shown: Vec<_> = batch.iter().map(message).collect();
    let answer = ask(&shown).map_err(Fault)?;
    *batch = carry_out(answer, std::mem::take(batch));
    Ok(())
}

fn message(mapped: &Mapped) -> BridgeMessage<'_> {
    BridgeMessage {
        topic: &mapped.topic,
        payload: &mapped.payload,
        qos: mapped.qos,
        retain: mapped.retain,
        properties: mapped.properties.as_properties(),
        expiry: mapped.expiry,
    }
}

fn carry_out(answer: Vec<BridgeMapped>, batch: Vec<Mapped>) -> Vec<Mapped> {
    let mut batch: Vec<_> = batch.into_iter().map(Some).collect();
    // Places are those of the batch, each once: the plugin's host has looked.
    let mut take = |place: usize| batch.get_mut(place).and_then(Option::take);
    let carry = |mapped| match mapped {
        BridgeMapped::Pass(place) => take(place),
        BridgeMapped::Replace(place, message) => take(place).map(|it| replaced(it, message)),
        BridgeMapped::Add(message) => {
            Some(replaced(Mapped::new(String::new(), Vec::new()), message))
        }
    };
    answer.into_iter().filter_map(carry).collect()
}

fn replaced(mut mapped: Mapped, message: MappedMessage) -> Mapped {
    let MappedMessage {
        topic,
        payload,
        qos,
        retain,
        properties,
        expiry,
    } = message;
    (mapped.topic, mapped.payload, mapped.properties) = (topic, payload, properties);
    (mapped.qos, mapped.retain, mapped.expiry) = (qos, retain, expiry);
    mapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_what_is_replaced_and_what_is_added() {
        let named = |topic: &str| Mapped::new(topic.into(), topic.as_bytes().to_vec());
        let other = MappedMessage {
            topic: "other".into(),
            payload: b"x".to_vec(),
            qos: dunlin_codec::Qos::AtLeastOnce,
            retain: true,
            properties: dunlin_codec::PropertiesBuf::new(),
            expiry: Some(5),
        };
        let answer = vec![
            BridgeMapped::Add(other.clone()),
            BridgeMapped::Pass(1),
            BridgeMapped::Replace(2, other),
        ];
        let mapped = carry_out(answer, vec![named("a"), named("b"), named("c")]);
        let topics: Vec<_> = mapped.iter().map(|it| it.topic.as_str()).collect();
        assert_eq!(topics, ["other", "b", "other"]);
        assert!(mapped[2].retain && mapped[2].payload == b"x" && mapped[2].expiry == Some(5));
    }
}
