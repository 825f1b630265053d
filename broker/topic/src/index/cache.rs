//! Answers that a worker has had, by topic.

use std::hash::BuildHasher;
use std::mem::size_of;

use foldhash::fast::RandomState;

use super::Matches;
use super::generation::{Generation, Stamped};
use super::shards::Place;
use super::targets::{Target, Targets};
use crate::TopicName;

/// How much a [`Cache`] may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheLimits {
    /// Answers; rounded up to a power of two. Their fixed part, about 80 bytes each, is allocated
    /// at once. Raise it when a worker publishes to more topics than this over and over.
    pub entries: usize,
    /// Bytes of topics and targets. An answer larger than an eighth of this is not kept.
    pub bytes: usize,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            entries: 4096,
            bytes: 4 << 20,
        }
    }
}

/// The answers that one worker has had, for one [`Index`](super::Index).
///
/// An answer is used only while no subscription has changed that may concern it. One that is out
/// of date keeps its targets alive until its place is taken or [`sweep`](Self::sweep) meets it.
pub struct Cache<T: Target> {
    hashing: RandomState,
    /// Sets of [`WAYS`] slots; a topic may stand in any slot of the one set that its hash chooses.
    slots: Box<[Option<Answer<T>>]>,
    /// Of the answers' [`Answer::bytes`].
    bytes: usize,
    max_bytes: usize,
    /// An answer too large to keep, until the next sweep.
    unkept: Option<Answer<T>>,
    /// The slot that is looked at next when something must go.
    hand: usize,
    /// For one lookup, kept to spare its allocation.
    pub(super) found: Vec<Targets<T>>,
}

pub(super) struct Answer<T: Target> {
    pub(super) hash: u64,
    pub(super) topic: Box<str>,
    pub(super) place: Place,
    pub(super) matches: Stamped<Matches<T>>,
}

const WAYS: usize = 4;

impl<T: Target> Cache<T> {
    /// An empty cache.
    pub fn new(limits: CacheLimits) -> Self {
        let slots = limits.entries.next_power_of_two().max(WAYS);
        Self {
            hashing: RandomState::default(),
            slots: (0..slots).map(|_| None).collect(),
            bytes: 0,
            max_bytes: limits.bytes,
            unkept: None,
            hand: 0,
            found: Vec::new(),
        }
    }

    /// Forgets every answer.
    pub fn clear(&mut self) {
        self.slots.fill_with(|| None);
        self.unkept = None;
        self.bytes = 0;
    }

    pub(super) fn hash(&self, topic: TopicName<'_>) -> u64 {
        self.hashing.hash_one(topic.as_str())
    }

    /// The slot of the answer for `topic`, if it is current.
    pub(super) fn find(
        &self,
        hash: u64,
        topic: TopicName<'_>,
        is_current: impl Fn(&Answer<T>) -> bool,
    ) -> Option<usize> {
        self.set(hash).find(|&slot| {
            self.slots[slot].as_ref().is_some_and(|answer| {
                answer.hash == hash && *answer.topic == *topic.as_str() && is_current(answer)
            })
        })
    }

    /// What is in a slot that [`find`](Self::find) gave.
    pub(super) fn matches(&self, slot: usize) -> &Matches<T> {
        let answer = self.slots[slot].as_ref();
        answer.expect("it was found").matches.value()
    }

    /// Keeps `answer`, in place of an earlier one for its topic or of another.
    pub(super) fn put(&mut self, answer: Answer<T>) -> &Matches<T> {
        let bytes = answer.bytes();
        let set = self.set(answer.hash);
        let holds_topic = |slot: &Option<Answer<T>>| {
            slot.as_ref()
                .is_some_and(|earlier| earlier.hash == answer.hash && earlier.topic == answer.topic)
        };
        let slots = &self.slots[set.clone()];
        let way = slots
            .iter()
            .position(holds_topic)
            .or_else(|| slots.iter().position(Option::is_none))
            // Any of the set: the bits that neither choose the set nor are compared first.
            .unwrap_or((answer.hash >> 60) as usize % WAYS);
        self.vacate(set.start + way);
        if bytes > self.max_bytes / 8 {
            return self.unkept.insert(answer).matches.value();
        }
        let slot = set.start + way;
        self.bytes += bytes;
        self.shed();
        self.slots[slot].insert(answer).matches.value()
    }

    /// Makes the bytes fit again, which count those of the answer that comes next.
    fn shed(&mut self) {
        while self.bytes > self.max_bytes {
            let slot = self.advance_hand();
            self.vacate(slot);
        }
    }

    /// Drops those of the next `slots` answers that are out of date.
    pub(super) fn drop_outdated<'a>(
        &mut self,
        slots: usize,
        generations: impl Fn(Place) -> [&'a Generation; 3],
    ) {
        self.unkept = None;
        for _ in 0..slots.min(self.slots.len()) {
            let slot = self.advance_hand();
            let outdated = self.slots[slot]
                .as_ref()
                .is_some_and(|answer| !answer.matches.is_current(generations(answer.place)));
            if outdated {
                self.vacate(slot);
            }
        }
    }

    fn vacate(&mut self, slot: usize) {
        if let Some(answer) = self.slots[slot].take() {
            self.bytes -= answer.bytes();
        }
    }

    fn advance_hand(&mut self) -> usize {
        let slot = self.hand;
        self.hand = (slot + 1) % self.slots.len();
        slot
    }

    fn set(&self, hash: u64) -> std::ops::Range<usize> {
        let start = hash as usize % (self.slots.len() / WAYS) * WAYS;
        start..start + WAYS
    }
}

impl<T: Target> Answer<T> {
    /// Beyond its slot. A slice that others share counts in full.
    fn bytes(&self) -> usize {
        self.topic.len() + self.matches.value().len() * size_of::<T>()
    }
}
