//! The last few decisions of one connection.

use dunlin_topic::TopicName;

use crate::{Access, Action, Decision, Principal};

/// How many decisions are kept.
const ENTRIES: usize = 4;

/// Longer topics are not kept, which bounds a memo to about 1 KiB.
const MAX_TOPIC_BYTES: usize = 256;

/// Remembers the latest decisions of one connection, so that a client that keeps using
/// the same few topics costs a comparison of bytes each time.
///
/// A word while unused. Entries of an older epoch are forgotten, pending decisions never kept.
#[derive(Debug, Default)]
pub struct DecisionMemo(Option<Box<Entries>>);

#[derive(Debug)]
struct Entries {
    epoch: u64,
    /// The next one to replace.
    next: usize,
    entries: [Option<Entry>; ENTRIES],
}

#[derive(Debug)]
struct Entry {
    topic: String,
    action: Action,
    allowed: bool,
}

impl DecisionMemo {
    /// Answers as [`Access::authorize`] does, asking it only when the answer is not known.
    ///
    /// One memo serves one principal: who it is does not take part in the comparison.
    pub fn authorize(
        &mut self,
        access: &Access,
        who: &Principal,
        action: Action,
        topic: TopicName<'_>,
    ) -> Decision {
        if access.allows_every_topic() {
            return Decision::Allow;
        }
        let epoch = access.epoch();
        if let Some(allowed) = self.recall(epoch, action, topic) {
            return if allowed {
                Decision::Allow
            } else {
                Decision::Deny
            };
        }
        let decision = access.authorize(who, action, topic);
        match decision {
            Decision::Allow => self.remember(epoch, action, topic, true),
            Decision::Deny => self.remember(epoch, action, topic, false),
            Decision::Pending(_) => {}
        }
        decision
    }

    fn recall(&self, epoch: u64, action: Action, topic: TopicName<'_>) -> Option<bool> {
        let memo = self.0.as_ref().filter(|memo| memo.epoch == epoch)?;
        let known = |entry: &&Entry| entry.action == action && entry.topic == topic.as_str();
        memo.entries
            .iter()
            .flatten()
            .find(known)
            .map(|entry| entry.allowed)
    }

    fn remember(&mut self, epoch: u64, action: Action, topic: TopicName<'_>, allowed: bool) {
        if topic.as_str().len() > MAX_TOPIC_BYTES {
            return;
        }
        let memo = self.0.get_or_insert_with(|| Box::new(Entries::new(epoch)));
        if memo.epoch != epoch {
            **memo = Entries::new(epoch);
        }
        memo.replace_next(topic.as_str(), action, allowed);
    }
}

impl Entries {
    fn new(epoch: u64) -> Self {
        Self {
            epoch,
            next: 0,
            entries: [const { None }; ENTRIES],
        }
    }

    /// Writes over the oldest entry, whose memory is used again: a client that goes round
    /// many topics causes no allocation for each.
    fn replace_next(&mut self, topic: &str, action: Action, allowed: bool) {
        let mut text = self.entries[self.next]
            .take()
            .map(|oldest| oldest.topic)
            .unwrap_or_default();
        text.clear();
        text.push_str(topic);
        self.entries[self.next] = Some(Entry {
            topic: text,
            action,
            allowed,
        });
        self.next = (self.next + 1) % ENTRIES;
    }
}
