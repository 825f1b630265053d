use std::num::NonZeroU16;
use std::sync::Arc;

use dunlin_codec::ReasonCode;

use crate::Failure;

/// Aliases that the peer gave to topics [MQTT-3.3.2-12]; at most Topic Alias Maximum of them.
#[derive(Debug, Default)]
pub struct IncomingAliases {
    topics: Vec<Option<Arc<str>>>,
}

impl IncomingAliases {
    /// The topic of a PUBLISH with this alias: sets the alias if the packet names a topic.
    ///
    /// # Errors
    /// 0x94 if the alias exceeds `maximum`, 0x82 if it stands for nothing yet.
    pub fn resolve(
        &mut self,
        alias: NonZeroU16,
        topic: &str,
        maximum: u16,
    ) -> Result<Arc<str>, Failure> {
        if alias.get() > maximum {
            return Err(Failure::new(
                ReasonCode::TopicAliasInvalid,
                "topic alias above Topic Alias Maximum [MQTT-3.3.2-9]",
            ));
        }
        let at = usize::from(alias.get()) - 1;
        if at >= self.topics.len() {
            self.topics.resize(at + 1, None);
        }
        let slot = &mut self.topics[at];
        if !topic.is_empty() && slot.as_deref() != Some(topic) {
            *slot = Some(topic.into());
        }
        slot.clone()
            .ok_or_else(|| Failure::protocol("topic alias that stands for no topic"))
    }
}

/// Aliases that we give to topics: one that is free at the first use, and when there is none the
/// one unused for longest, at the second.
#[derive(Debug)]
pub struct OutgoingAliases {
    slots: Vec<Slot>,
    maximum: u16,
    uses: u32,
    /// The topics seen last without an alias, by hash.
    candidates: [u64; CANDIDATES],
}

#[derive(Debug)]
struct Slot {
    hash: u64,
    last_use: u32,
    topic: Box<[u8]>,
}

/// An alias for a PUBLISH.
#[derive(Debug, PartialEq, Eq)]
pub struct OutgoingAlias {
    pub alias: NonZeroU16,
    /// The peer knows it: the topic can be left out.
    pub known: bool,
}

/// The most aliases used towards one peer, however many it allows: they cost a scan.
const MAXIMUM: u16 = 64;
const CANDIDATES: usize = 64;

impl OutgoingAliases {
    /// `None` if the peer takes no aliases.
    pub fn new(topic_alias_maximum: u16) -> Option<Box<Self>> {
        (topic_alias_maximum > 0).then(|| {
            Box::new(OutgoingAliases {
                slots: Vec::new(),
                maximum: topic_alias_maximum.min(MAXIMUM),
                uses: 0,
                candidates: [0; CANDIDATES],
            })
        })
    }

    /// The alias for a topic, if it has or now gets one.
    pub fn for_topic(&mut self, topic: &[u8]) -> Option<OutgoingAlias> {
        self.uses = self.uses.wrapping_add(1);
        let hash = hash(topic);
        let known = self
            .slots
            .iter()
            .position(|slot| slot.hash == hash && *slot.topic == *topic);
        if let Some(at) = known {
            self.slots[at].last_use = self.uses;
            return alias(at, true);
        }
        let is_free = self.slots.len() < self.maximum.into();
        let candidate = &mut self.candidates[hash as usize % CANDIDATES];
        if !is_free && *candidate != hash {
            *candidate = hash;
            return None;
        }
        let slot = Slot {
            hash,
            last_use: self.uses,
            topic: topic.into(),
        };
        if is_free {
            self.slots.push(slot);
            return alias(self.slots.len() - 1, false);
        }
        let uses = self.uses;
        let (at, oldest) = self
            .slots
            .iter_mut()
            .enumerate()
            .max_by_key(|(_, slot)| uses.wrapping_sub(slot.last_use))?;
        *oldest = slot;
        alias(at, false)
    }
}

fn alias(at: usize, known: bool) -> Option<OutgoingAlias> {
    let alias = NonZeroU16::new(at as u16 + 1)?;
    Some(OutgoingAlias { alias, known })
}

/// FNV-1a: a collision only costs a comparison or an early alias.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(alias: u16) -> NonZeroU16 {
        NonZeroU16::new(alias).unwrap()
    }

    #[test]
    fn an_incoming_alias_keeps_and_changes_its_topic() {
        let mut aliases = IncomingAliases::default();
        assert_eq!(&*aliases.resolve(n(2), "a", 5).unwrap(), "a");
        assert_eq!(&*aliases.resolve(n(2), "", 5).unwrap(), "a");
        assert_eq!(&*aliases.resolve(n(2), "b", 5).unwrap(), "b");
        assert_eq!(&*aliases.resolve(n(2), "", 5).unwrap(), "b");
    }

    #[test]
    fn mqtt_3_3_2_9_an_alias_above_the_maximum_is_refused() {
        let refused = IncomingAliases::default().resolve(n(6), "a", 5);
        assert_eq!(refused.unwrap_err().reason, ReasonCode::TopicAliasInvalid);
        let unknown = IncomingAliases::default().resolve(n(5), "", 5);
        assert_eq!(unknown.unwrap_err().reason, ReasonCode::ProtocolError);
    }

    #[test]
    fn an_outgoing_alias_is_given_while_there_are_some_and_moves_to_busier_topics() {
        let mut aliases = OutgoingAliases::new(1).unwrap();
        let given = |known| Some(OutgoingAlias { alias: n(1), known });
        assert_eq!(aliases.for_topic(b"a"), given(false));
        assert_eq!(aliases.for_topic(b"a"), given(true));
        assert_eq!(aliases.for_topic(b"b"), None);
        assert_eq!(aliases.for_topic(b"b"), given(false));
        assert_eq!(aliases.for_topic(b"b"), given(true));
        assert!(OutgoingAliases::new(0).is_none());
    }
}
