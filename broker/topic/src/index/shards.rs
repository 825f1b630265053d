//! The filters with wildcards, in shards by the literal levels that they begin with.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use parking_lot::Mutex;

use super::generation::Generation;
use super::targets::{Target, Targets};
use super::trie::Trie;
use super::{Inserted, Removed};
use crate::{TopicFilter, TopicName};

/// Shards of filters that begin with one literal level and then a wildcard; a power of two.
const BY_FIRST: usize = 256;
/// Shards of filters that begin with two literal levels; a power of two.
const BY_TWO: usize = 1024;

/// Tries of filters, and the generations of all filters, exact ones too.
///
/// A filter lives in one shard; a topic is answered by three. So churn under `device/17/` leaves
/// cached answers alone but for one topic in a thousand, and writers seldom meet.
pub(crate) struct Shards<T: Target> {
    hashing: RandomState,
    /// `#`, `+/...`: every topic asks here, but for those that start with `$`.
    leading_wildcard: Shard<T>,
    /// `a/#`, `a/+/...`, by `a`.
    by_first: Box<[Shard<T>]>,
    /// `a/b/...`, by `a` and `b`.
    by_two: Box<[Shard<T>]>,
}

struct Shard<T: Target> {
    trie: Trie<T>,
    /// Held during a change, which is of what is there: none may be lost.
    writing: Mutex<()>,
    generation: Generation,
}

/// Where the answer for a topic comes from, beside the leading wildcards.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    first: u16,
    two: u16,
}

impl<T: Target> Shards<T> {
    pub(crate) fn new() -> Self {
        Self {
            hashing: RandomState::default(),
            leading_wildcard: Shard::new(),
            by_first: (0..BY_FIRST).map(|_| Shard::new()).collect(),
            by_two: (0..BY_TWO).map(|_| Shard::new()).collect(),
        }
    }

    pub(crate) fn place(&self, topic: TopicName<'_>) -> Place {
        let (first, two) = beginnings(topic.as_str());
        Place {
            first: self.by_first(first),
            two: self.by_two(two),
        }
    }

    /// What counts the changes to the answers of the topics at `place`.
    pub(crate) fn generations(&self, place: Place) -> [&Generation; 3] {
        [
            &self.leading_wildcard.generation,
            &self.by_first[usize::from(place.first)].generation,
            &self.by_two[usize::from(place.two)].generation,
        ]
    }

    /// Announces a change to a filter that is kept elsewhere.
    pub(crate) fn advance(&self, filter: TopicFilter<'_>) {
        self.shard(filter).0.generation.advance();
    }

    /// Appends the targets of every filter that matches `topic`, whose place this is.
    pub(crate) fn matching(&self, topic: TopicName<'_>, place: Place, into: &mut Vec<Targets<T>>) {
        let found = &mut |targets: &Targets<T>| into.push(targets.clone());
        let (first, two) = beginnings(topic.as_str());
        let levels = topic.as_str().as_bytes();
        // A leading wildcard does not match `$` [MQTT-4.7.2-1].
        if !topic.is_system() {
            let trie = &self.leading_wildcard.trie;
            trie.matching_wildcard(&self.hashing, Some(levels), found);
        }
        for (shard, key) in [
            (&self.by_first[usize::from(place.first)], first),
            (&self.by_two[usize::from(place.two)], two),
        ] {
            let trie = &shard.trie;
            trie.matching_literal(&self.hashing, key.as_bytes(), levels, found);
        }
    }

    pub(crate) fn insert(&self, filter: TopicFilter<'_>, target: T) -> Inserted<T> {
        let mut inserted = Inserted {
            first: true,
            replaced: None,
        };
        self.change(filter, |present| {
            let Some(present) = present else {
                return Some(Targets::One(target));
            };
            let (targets, replaced) = present.with(target);
            inserted = Inserted {
                first: false,
                replaced,
            };
            Some(targets)
        });
        inserted
    }

    pub(crate) fn remove(&self, filter: TopicFilter<'_>, key: &T::Key) -> Option<Removed<T>> {
        let mut removed = None;
        self.change(filter, |present| match present?.without(key) {
            Some((left, target)) => {
                let last = left.is_none();
                removed = Some(Removed { target, last });
                left
            }
            None => present.cloned(),
        });
        removed
    }

    fn change(
        &self,
        filter: TopicFilter<'_>,
        change: impl FnOnce(Option<&Targets<T>>) -> Option<Targets<T>>,
    ) {
        let (shard, key) = self.shard(filter);
        let _writing = shard.writing.lock();
        let (key, filter) = (key.as_bytes(), filter.as_str().as_bytes());
        shard.trie.change(&self.hashing, key, filter, change);
        shard.generation.advance();
    }

    /// The shard of a filter, and the beginning of the filter that it is a shard by.
    fn shard<'f>(&self, filter: TopicFilter<'f>) -> (&Shard<T>, &'f str) {
        let (first, two) = beginnings(filter.as_str());
        if matches!(first, "+" | "#") {
            (&self.leading_wildcard, first)
        } else if matches!(two.get(first.len() + 1..), Some("+" | "#")) {
            (&self.by_first[usize::from(self.by_first(first))], first)
        } else {
            (&self.by_two[usize::from(self.by_two(two))], two)
        }
    }

    fn by_first(&self, level: &str) -> u16 {
        self.hashing.hash_one(level) as u16 % BY_FIRST as u16
    }

    fn by_two(&self, levels: &str) -> u16 {
        self.hashing.hash_one(levels) as u16 % BY_TWO as u16
    }
}

/// The first level, and the first two or the one that there is.
fn beginnings(text: &str) -> (&str, &str) {
    let mut ends = (0..text.len()).filter(|&end| text.as_bytes()[end] == b'/');
    let first = ends.next().unwrap_or(text.len());
    let two = ends.next().unwrap_or(text.len());
    (&text[..first], &text[..two])
}

impl<T: Target> Shard<T> {
    fn new() -> Self {
        Self {
            trie: Trie::default(),
            writing: Mutex::new(()),
            generation: Generation::default(),
        }
    }
}
