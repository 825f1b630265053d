//! Retained messages (section 3.3.1.3).

use dunlin_session::Message;
use dunlin_time::Wall;
use dunlin_topic::{Cursor, NameTree, Scan, TopicFilter, TopicName};

use crate::ports;

/// Bounds of all retained messages together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetainedLimits {
    /// How many.
    pub messages: usize,
    /// Their bytes in memory.
    pub bytes: usize,
}

pub(crate) struct Retained {
    limits: RetainedLimits,
    values: NameTree<Message>,
    bytes: usize,
}

impl Retained {
    pub fn new(limits: RetainedLimits) -> Self {
        Retained {
            limits,
            values: NameTree::new(),
            bytes: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes the message its topic's value; an empty payload clears it [MQTT-3.3.1-6]. At a limit
    /// the earlier value is gone too, so that nobody takes it for the newest.
    pub fn set(&mut self, topic: TopicName<'_>, message: &Message) -> ports::Retained {
        if let Some(earlier) = self.values.remove(topic) {
            self.bytes -= earlier.memory();
        }
        let bytes = message.memory();
        if message.payload().is_empty()
            || self.values.len() >= self.limits.messages
            || self.bytes + bytes > self.limits.bytes
        {
            return ports::Retained::Cleared;
        }
        self.bytes += bytes;
        self.values.insert(topic, message.clone());
        ports::Retained::Set
    }

    /// One step over values that `filter` matches, of `limit` names at most.
    pub fn scan(
        &self,
        filter: TopicFilter<'_>,
        from: Option<&Cursor>,
        limit: usize,
    ) -> Scan<Message> {
        self.values.scan(filter, from, limit)
    }

    /// Removes what has expired among the next names after `from`, and says so to `gone`; where to
    /// go on.
    pub fn sweep(
        &mut self,
        wall: Wall,
        filter: TopicFilter<'_>,
        from: Option<&Cursor>,
        mut gone: impl FnMut(&str),
    ) -> Option<Cursor> {
        const STEP: usize = 1000;
        let step = self.values.scan(filter, from, STEP);
        for (name, message) in step.matches {
            if message.expires().is_some_and(|at| at <= wall)
                && let Ok(topic) = TopicName::new_bounded(&name, usize::MAX)
                && let Some(expired) = self.values.remove(topic)
            {
                self.bytes -= expired.memory();
                gone(&name);
            }
        }
        step.next
    }
}
