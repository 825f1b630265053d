//! The filters with wildcards, in shards by the literal levels that they begin with.

use std::hash::BuildHasher;

use arc_swap::ArcSwap;
use foldhash::quality::RandomState;
use parking_lot::Mutex;

use super::generation::Generation;
use super::level_map::Change;
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
    trie: ArcSwap<Trie<T>>,
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
        let mut levels = topic.levels();
        let (first, second) = (levels.next(), levels.next());
        Place {
            first: self.by_first(first),
            two: self.by_two(first, second),
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
        self.shard(filter).generation.advance();
    }

    /// Appends the targets of every filter that matches `topic`, whose place this is.
    pub(crate) fn matching(&self, topic: TopicName<'_>, place: Place, into: &mut Vec<Targets<T>>) {
        let by_first = &self.by_first[usize::from(place.first)];
        let by_two = &self.by_two[usize::from(place.two)];
        // A leading wildcard does not match `$` [MQTT-4.7.2-1].
        let leading_wildcard = (!topic.is_system()).then_some(&self.leading_wildcard);
        for shard in leading_wildcard.into_iter().chain([by_first, by_two]) {
            let trie = shard.trie.load();
            trie.matching(&self.hashing, topic.as_str(), &mut |targets| {
                into.push(targets.clone())
            });
        }
    }

    pub(crate) fn insert(&self, filter: TopicFilter<'_>, target: T) -> Inserted<T> {
        let shard = self.shard(filter);
        let _writing = shard.writing.lock();
        let trie = shard.trie.load();
        let present = trie.get(&self.hashing, filter.as_str());
        let first = present.is_none();
        let (targets, replaced) = match present {
            Some(present) => present.with(target),
            None => (Targets::One(target), None),
        };
        shard.publish(trie.with(&self.hashing, filter.as_str(), Some(targets)));
        Inserted { first, replaced }
    }

    pub(crate) fn remove(&self, filter: TopicFilter<'_>, key: &T::Key) -> Option<Removed<T>> {
        let shard = self.shard(filter);
        let _writing = shard.writing.lock();
        let trie = shard.trie.load();
        let present = trie.get(&self.hashing, filter.as_str())?;
        let (left, target) = present.without(key)?;
        let last = left.is_none();
        shard.publish(trie.with(&self.hashing, filter.as_str(), left));
        Some(Removed { target, last })
    }

    fn shard(&self, filter: TopicFilter<'_>) -> &Shard<T> {
        let mut levels = filter.levels();
        match (levels.next(), levels.next()) {
            (Some("+" | "#") | None, _) => &self.leading_wildcard,
            (first, Some("+" | "#")) => &self.by_first[usize::from(self.by_first(first))],
            (first, second) => &self.by_two[usize::from(self.by_two(first, second))],
        }
    }

    fn by_first(&self, level: Option<&str>) -> u16 {
        self.hashing.hash_one(level) as u16 % BY_FIRST as u16
    }

    fn by_two(&self, first: Option<&str>, second: Option<&str>) -> u16 {
        self.hashing.hash_one((first, second)) as u16 % BY_TWO as u16
    }
}

impl<T: Target> Shard<T> {
    fn new() -> Self {
        Self {
            trie: ArcSwap::from_pointee(Trie::EMPTY),
            writing: Mutex::new(()),
            generation: Generation::default(),
        }
    }

    fn publish(&self, change: Change<Trie<T>>) {
        match change {
            Change::InPlace => {}
            Change::To(trie) => self.trie.store(trie.into()),
            Change::Gone => self.trie.store(Trie::EMPTY.into()),
        }
        self.generation.advance();
    }
}
