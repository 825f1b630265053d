//! Plugins that pass, change or drop what clients publish.

use dunlin_auth::{Filtered, Principal, PublishFilter, Publishing, Replacement};
use dunlin_topic::TopicName;
use wasmtime::{
    Store,
    component::{Instance as Linked, InstancePre},
};

use crate::{
    Class, OnFailure,
    bindings::exports::dunlin::plugin::filter::{
        self, Replacement as ContractReplacement, Verdict,
    },
    client::{Described, contract_qos, user_properties},
    fault::{Fault, FaultKind, shorten},
    instance::World,
    plugin_core::{CallError, Core},
    state::State,
};

/// A plugin of the world `filter-plugin`.
///
/// Inline: asked on the thread of the caller, who is charged for the time.
pub struct FilterPlugin {
    pub(crate) core: Core<FilterWorld>,
    on_failure: OnFailure,
}

pub(crate) struct FilterWorld;

impl World for FilterWorld {
    const CLASS: Class = Class::Filter;
    type Indices = filter::GuestIndices;
    type Guest = filter::Guest;

    fn indices(linked: &InstancePre<State>) -> wasmtime::Result<Self::Indices> {
        filter::GuestIndices::new(linked)
    }

    fn guest(
        indices: &Self::Indices,
        store: &mut Store<State>,
        instance: &Linked,
    ) -> wasmtime::Result<Self::Guest> {
        indices.load(store, instance)
    }
}

impl FilterPlugin {
    pub(crate) fn new(core: Core<FilterWorld>, on_failure: OnFailure) -> Self {
        FilterPlugin { core, on_failure }
    }

    fn failed(&self) -> Filtered {
        match self.on_failure {
            OnFailure::Refuse => Filtered::Unavailable,
            OnFailure::Pass => Filtered::Pass,
        }
    }
}

impl PublishFilter for FilterPlugin {
    fn concerns(&self, topic: TopicName<'_>) -> bool {
        self.core.about.manifest.concerns(topic)
    }

    fn on_publish(&self, who: &Principal, message: &Publishing<'_>) -> Filtered {
        let shown = filter::Message {
            topic: message.topic.as_str(),
            payload: message.payload,
            qos: contract_qos(message.qos),
            retain: message.retain,
            user_properties: &user_properties(message.properties),
            content_type: message.properties.content_type(),
        };
        if let Some(fault) = oversized(&shown, self.core.limits.memory_bytes) {
            self.core.blame(&fault, None);
            return self.failed();
        }
        let described = Described::new(who);
        let called = self.core.call(None, |store, guest| {
            judged(guest.call_on_publish(store, described.client(), shown)?)
        });
        who.charge(called.took);
        // Faults are counted and logged where they come up.
        called.answer.unwrap_or_else(|_| self.failed())
    }
}

/// A client must not be able to make a plugin fail by the size of what it sends: what could use up
/// a good part of its memory is not shown to it.
fn oversized(message: &filter::Message<'_>, memory_bytes: usize) -> Option<Fault> {
    let properties = message.user_properties.iter();
    let properties = properties.map(|(name, value)| name.len() + value.len() + 16);
    let bytes = message.payload.len() + properties.sum::<usize>();
    (bytes > memory_bytes / 4).then(|| {
        let what = format!("a message of {bytes} bytes is too much for its memory");
        Fault::new(FaultKind::Oversized, what)
    })
}

/// The most that a string in a packet may have (MQTT 5, 1.5.4).
const MAX_STRING_BYTES: usize = 65_535;

/// What of a reason is kept.
const MAX_REASON_BYTES: usize = 1_024;

pub(crate) fn judged(verdict: Verdict) -> Result<Filtered, CallError> {
    match verdict {
        Verdict::Pass => Ok(Filtered::Pass),
        Verdict::Drop(mut reason) => {
            shorten(&mut reason, MAX_REASON_BYTES);
            Ok(Filtered::Drop(reason))
        }
        Verdict::Replace(replacement) => {
            check(&replacement).map_err(CallError::Answer)?;
            Ok(Filtered::Replace(Replacement {
                topic: replacement.topic,
                payload: replacement.payload,
                user_properties: replacement.user_properties,
                content_type: replacement.content_type,
            }))
        }
    }
}

/// Whether what the plugin puts into the message can stand in a packet.
fn check(replacement: &ContractReplacement) -> Result<(), String> {
    if let Some(topic) = &replacement.topic {
        TopicName::new(topic).map_err(|error| format!("its topic is no topic name: {error}"))?;
    }
    let pairs = replacement.user_properties.iter().flatten();
    let texts = pairs
        .flat_map(|(name, value)| [name, value])
        .chain(&replacement.content_type);
    for text in texts {
        if text.len() > MAX_STRING_BYTES || text.contains('\0') {
            return Err("a user property or the content type cannot stand in a packet".into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replacement() -> ContractReplacement {
        ContractReplacement {
            topic: None,
            payload: None,
            user_properties: None,
            content_type: None,
        }
    }

    #[test]
    fn a_replacement_must_fit_into_a_packet() {
        let long = "x".repeat(MAX_STRING_BYTES + 1);
        for bad in [
            ContractReplacement {
                topic: Some("a/#".into()),
                ..replacement()
            },
            ContractReplacement {
                topic: Some(String::new()),
                ..replacement()
            },
            ContractReplacement {
                content_type: Some("a\0".into()),
                ..replacement()
            },
            ContractReplacement {
                user_properties: Some(vec![("a".into(), long)]),
                ..replacement()
            },
        ] {
            assert!(judged(Verdict::Replace(bad)).is_err());
        }
        let good = ContractReplacement {
            topic: Some("a/b".into()),
            payload: Some(vec![0xff]),
            user_properties: Some(vec![("a".into(), String::new())]),
            content_type: Some("text/plain".into()),
        };
        assert!(matches!(
            judged(Verdict::Replace(good)),
            Ok(Filtered::Replace(_))
        ));
    }

    #[test]
    fn long_reasons_are_cut() {
        let reason = "ü".repeat(MAX_REASON_BYTES);
        let Ok(Filtered::Drop(kept)) = judged(Verdict::Drop(reason)) else {
            panic!("dropped");
        };
        assert_eq!(kept.len(), MAX_REASON_BYTES);
    }
}
