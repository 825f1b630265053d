//! The subscription index: from a topic to all who asked for it.

mod cache;
mod exact;
mod generation;
mod level_map;
mod shards;
mod targets;
mod trie;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::fast::RandomState;
use hashbrown::HashSet;

pub use cache::{Cache, CacheLimits};
pub use targets::Target;

use crate::{TopicFilter, TopicName};
use cache::Answer;
use exact::Exact;
use generation::Stamped;
use shards::{Place, Shards};
use targets::Targets;

/// Filters, each with the targets that subscribed to it; shared by all workers.
///
/// Filters without wildcards stand in a sharded hash, those with wildcards in tries that are read
/// without locks. What a lookup costs depends on the topic's levels and on what matches, not on
/// the number of filters; filters with a wildcard below many different beginnings of one topic
/// cost a visit each, at most 2^levels and at most the nodes that there are.
///
/// A lookup that starts after an insert or remove has returned sees it. One that runs beside it
/// sees it or not.
///
/// ```
/// use dunlin_topic::{Cache, CacheLimits, Index, Target, TopicError, TopicFilter, TopicName};
///
/// #[derive(Clone)]
/// struct Client(u32);
///
/// impl Target for Client {
///     type Key = u32;
///     fn key(&self) -> u32 { self.0 }
/// }
///
/// let index = Index::new();
/// let mut cache = Cache::new(CacheLimits::default());
/// index.insert(TopicFilter::new("home/+/door")?, Client(7));
/// let matches = index.lookup(TopicName::new("home/attic/door")?, &mut cache);
/// assert_eq!(matches.iter().map(Target::key).collect::<Vec<_>>(), [7]);
/// # Ok::<(), TopicError>(())
/// ```
pub struct Index<T: Target> {
    exact: Exact<T>,
    shards: Shards<T>,
    /// Pairs of filter and target.
    len: AtomicUsize,
}

/// What an insert did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inserted<T> {
    /// No target had this filter before.
    pub first: bool,
    /// The target of the same filter and key that was there before.
    pub replaced: Option<T>,
}

/// What a removal did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed<T> {
    /// The target that was there.
    pub target: T,
    /// No target has this filter any more.
    pub last: bool,
}

/// Who asked for a topic. It stays as it is, whatever happens to the index.
#[derive(Debug, Clone)]
pub struct Matches<T> {
    /// The targets of the filter that spells the topic, each key once.
    pub exact: Option<Arc<[T]>>,
    /// The targets of all filters with wildcards that match; a key stands here once for each of
    /// its filters.
    pub wildcard: Option<Arc<[T]>>,
    /// Whether some key stands more than once in both together.
    pub repeats: bool,
}

/// How many cached answers a lookup that misses checks for being out of date.
const SWEPT_PER_MISS: usize = 2;

impl<T: Target> Index<T> {
    /// An empty index, of about 100 KiB.
    pub fn new() -> Self {
        Self {
            exact: Exact::new(),
            shards: Shards::new(),
            len: AtomicUsize::new(0),
        }
    }

    /// Adds `target` to `filter`, or puts it in place of the one with its key.
    pub fn insert(&self, filter: TopicFilter<'_>, target: T) -> Inserted<T> {
        let inserted = if filter.has_wildcards() {
            self.shards.insert(filter, target)
        } else {
            let inserted = self.exact.insert(filter.as_str(), target);
            self.shards.advance(filter);
            inserted
        };
        if inserted.replaced.is_none() {
            self.len.fetch_add(1, Ordering::Relaxed);
        }
        inserted
    }

    /// Takes the target with this key from `filter`; `None` if it has none.
    pub fn remove(&self, filter: TopicFilter<'_>, key: &T::Key) -> Option<Removed<T>> {
        let removed = if filter.has_wildcards() {
            self.shards.remove(filter, key)?
        } else {
            let removed = self.exact.remove(filter.as_str(), key)?;
            self.shards.advance(filter);
            removed
        };
        self.len.fetch_sub(1, Ordering::Relaxed);
        Some(removed)
    }

    /// All who asked for `topic`. `cache` must have served no other index.
    #[inline]
    pub fn lookup<'c>(&self, topic: TopicName<'_>, cache: &'c mut Cache<T>) -> &'c Matches<T> {
        let hash = cache.hash(topic);
        let slot = cache.find(hash, topic, |answer| {
            let generations = self.shards.generations(answer.place);
            answer.matches.is_current(generations)
        });
        match slot {
            Some(slot) => cache.matches(slot),
            None => self.look_up_anew(topic, hash, cache),
        }
    }

    /// Drops those of the next `slots` cached answers that are out of date, so that they do not
    /// keep their targets alive. For a worker to call now and then; repeated calls go round.
    pub fn sweep(&self, cache: &mut Cache<T>, slots: usize) {
        cache.drop_outdated(slots, |place| self.shards.generations(place));
    }

    /// How many pairs of filter and target there are.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether no filter has a target.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[cold]
    fn look_up_anew<'c>(
        &self,
        topic: TopicName<'_>,
        hash: u64,
        cache: &'c mut Cache<T>,
    ) -> &'c Matches<T> {
        self.sweep(cache, SWEPT_PER_MISS);
        let place = self.shards.place(topic);
        let found = &mut cache.found;
        let matches = Stamped::read(self.shards.generations(place), || {
            self.read(topic, place, found)
        });
        cache.put(Answer {
            hash,
            topic: topic.as_str().into(),
            place,
            matches,
        })
    }

    fn read(&self, topic: TopicName<'_>, place: Place, found: &mut Vec<Targets<T>>) -> Matches<T> {
        let exact = self.exact.get(topic.as_str()).map(Targets::into_slice);
        self.shards.matching(topic, place, found);
        let filters = found.len() + usize::from(exact.is_some());
        let wildcard = match found.len() {
            0 => None,
            1 => found.pop().map(Targets::into_slice),
            _ => Some(joined(found)),
        };
        // A key stands once in each filter.
        let repeats = filters > 1 && repeats(&exact, &wildcard);
        Matches {
            exact,
            wildcard,
            repeats,
        }
    }
}

/// Each key stands once in `exact`.
fn repeats<T: Target>(exact: &Option<Arc<[T]>>, wildcard: &Option<Arc<[T]>>) -> bool {
    let wildcard = wildcard.as_deref().unwrap_or_default();
    let exact = exact.as_deref().unwrap_or_default();
    let mut seen = HashSet::with_capacity_and_hasher(wildcard.len(), RandomState::default());
    !wildcard.iter().all(|target| seen.insert(target.key()))
        || exact.iter().any(|target| seen.contains(&target.key()))
}

/// All targets in one slice; leaves `found` empty.
fn joined<T: Target>(found: &mut Vec<Targets<T>>) -> Arc<[T]> {
    let mut all = Vec::new();
    for targets in found.drain(..) {
        match targets {
            Targets::One(target) => all.push(target),
            several => all.extend_from_slice(&several.into_slice()),
        }
    }
    all.into()
}

impl<T: Target> Default for Index<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Matches<T> {
    /// Every target, those of the exact filter first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.exact
            .iter()
            .chain(&self.wildcard)
            .flat_map(|targets| targets.iter())
    }

    /// How many targets there are, counting a key once for each of its filters.
    pub fn len(&self) -> usize {
        let length =
            |targets: &Option<Arc<[T]>>| targets.as_ref().map_or(0, |targets| targets.len());
        length(&self.exact) + length(&self.wildcard)
    }

    /// Whether nobody asked.
    pub fn is_empty(&self) -> bool {
        self.exact.is_none() && self.wildcard.is_none()
    }
}
