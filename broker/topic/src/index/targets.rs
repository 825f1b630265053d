//! Who subscribed to one filter.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use parking_lot::Mutex;

/// What the index gives for a topic: where to deliver, and how.
///
/// Cloning must be cheap; answers are made of clones. An index is dense when a target is no larger
/// than a pointer and a word of options.
pub trait Target: Clone + Send + Sync + 'static {
    /// What tells the targets of one filter apart.
    type Key: Copy + Eq + Hash + Send + Sync;

    /// The key, the same for the life of the value.
    fn key(&self) -> Self::Key;
}

/// Up to this many targets are one shared slice, copied when it changes.
const FEW_MAX: usize = 16;
/// At this many a [`Group`] becomes a slice again; the gap keeps a filter from flapping.
const GROUP_MIN: usize = 8;

/// The targets of one filter, at least one, each key once.
///
/// A value to be replaced, except that the members of `Many` change in place: adding one to a
/// million must not copy a million.
pub(crate) enum Targets<T: Target> {
    One(T),
    Few(Arc<[T]>),
    Many(Arc<Group<T>>),
}

impl<T: Target> Targets<T> {
    /// With `target` added, or put in place of the one with its key, which is returned.
    pub(crate) fn with(&self, target: T) -> (Self, Option<T>) {
        let present = match self {
            Self::One(present) => std::slice::from_ref(present),
            Self::Few(present) => present,
            Self::Many(group) => {
                let replaced = group.insert(target);
                return (Self::Many(Arc::clone(group)), replaced);
            }
        };
        let mut targets = present.to_vec();
        let key = target.key();
        let replaced = match targets.iter_mut().find(|target| target.key() == key) {
            Some(earlier) => Some(std::mem::replace(earlier, target)),
            None => {
                targets.push(target);
                None
            }
        };
        (Self::from_vec(targets), replaced)
    }

    /// Without the target of `key`, which is returned; `None` if there is no such target. Of the
    /// pair, the first is `None` if that was the last one.
    pub(crate) fn without(&self, key: &T::Key) -> Option<(Option<Self>, T)> {
        let present = match self {
            Self::One(target) if target.key() == *key => return Some((None, target.clone())),
            Self::One(_) => return None,
            Self::Few(present) => present,
            Self::Many(group) => {
                let removed = group.remove(key)?;
                let left = group
                    .as_few()
                    .unwrap_or_else(|| Self::Many(Arc::clone(group)));
                return Some((Some(left), removed));
            }
        };
        let position = present.iter().position(|target| target.key() == *key)?;
        let mut targets = present.to_vec();
        let removed = targets.swap_remove(position);
        Some((Some(Self::from_vec(targets)), removed))
    }

    /// Whether both are the same group, which has changed in place.
    pub(crate) fn is(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Many(one), Self::Many(other)) if Arc::ptr_eq(one, other))
    }

    /// All targets, in no particular order. Costs nothing for a shared slice that is up to date.
    pub(crate) fn into_slice(self) -> Arc<[T]> {
        match self {
            Self::One(target) => Arc::new([target]),
            Self::Few(targets) => targets,
            Self::Many(group) => group.snapshot(),
        }
    }

    /// From one target or more.
    fn from_vec(mut targets: Vec<T>) -> Self {
        if targets.len() > FEW_MAX {
            return Self::Many(Arc::new(Group::new(targets)));
        }
        match targets.pop() {
            Some(only) if targets.is_empty() => Self::One(only),
            last => Self::Few(targets.into_iter().chain(last).collect()),
        }
    }
}

impl<T: Target> Clone for Targets<T> {
    fn clone(&self) -> Self {
        match self {
            Self::One(target) => Self::One(target.clone()),
            Self::Few(targets) => Self::Few(Arc::clone(targets)),
            Self::Many(group) => Self::Many(Arc::clone(group)),
        }
    }
}

/// Any number of targets: a change costs O(1) amortised, the first read after it O(n).
pub(crate) struct Group<T: Target> {
    hashing: RandomState,
    /// A lock, because a reader that finds no snapshot makes one for all. Writers are already
    /// serialized by the owner of the filter.
    members: Mutex<Members<T>>,
}

struct Members<T> {
    by_key: HashTable<T>,
    /// The members as they are; `None` after a change.
    snapshot: Option<Arc<[T]>>,
}

impl<T: Target> Group<T> {
    fn new(targets: Vec<T>) -> Self {
        let group = Self {
            hashing: RandomState::default(),
            members: Mutex::new(Members {
                by_key: HashTable::new(),
                snapshot: None,
            }),
        };
        for target in targets {
            group.insert(target);
        }
        group
    }

    fn insert(&self, target: T) -> Option<T> {
        let key = target.key();
        let mut members = self.members.lock();
        members.snapshot = None;
        let hash = self.hashing.hash_one(key);
        let hash_of = |target: &T| self.hashing.hash_one(target.key());
        match members
            .by_key
            .entry(hash, |target| target.key() == key, hash_of)
        {
            Entry::Occupied(mut earlier) => Some(std::mem::replace(earlier.get_mut(), target)),
            Entry::Vacant(place) => {
                place.insert(target);
                None
            }
        }
    }

    fn remove(&self, key: &T::Key) -> Option<T> {
        let mut members = self.members.lock();
        let hash = self.hashing.hash_one(key);
        let entry = members
            .by_key
            .find_entry(hash, |target| target.key() == *key)
            .ok()?;
        let removed = entry.remove().0;
        members.snapshot = None;
        let table = &mut members.by_key;
        if table.len() < table.capacity() / 8 {
            table.shrink_to(table.len() * 2, |target| {
                self.hashing.hash_one(target.key())
            });
        }
        Some(removed)
    }

    /// The members as a small set, once they are few enough.
    fn as_few(&self) -> Option<Targets<T>> {
        let members = self.members.lock();
        (members.by_key.len() <= GROUP_MIN)
            .then(|| Targets::from_vec(members.by_key.iter().cloned().collect()))
    }

    fn snapshot(&self) -> Arc<[T]> {
        let mut members = self.members.lock();
        let Members { by_key, snapshot } = &mut *members;
        Arc::clone(snapshot.get_or_insert_with(|| by_key.iter().cloned().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Target for (u32, char) {
        type Key = u32;

        fn key(&self) -> u32 {
            self.0
        }
    }

    fn sorted(targets: &Targets<(u32, char)>) -> Vec<(u32, char)> {
        let mut all = targets.clone().into_slice().to_vec();
        all.sort_unstable();
        all
    }

    #[test]
    fn targets_grow_into_a_group_and_shrink_back() {
        let mut targets = Targets::One((0, 'a'));
        for key in 1..100 {
            let (more, replaced) = targets.with((key, 'a'));
            assert_eq!(replaced, None);
            assert_eq!(
                sorted(&more),
                (0..=key).map(|key| (key, 'a')).collect::<Vec<_>>()
            );
            targets = more;
        }
        assert!(matches!(targets, Targets::Many(_)));
        for key in 0..99 {
            assert!(targets.without(&1000).is_none());
            let (fewer, removed) = targets.without(&key).expect("the key is there");
            assert_eq!(removed, (key, 'a'));
            targets = fewer.expect("others are left");
            assert_eq!(
                sorted(&targets),
                (key + 1..100).map(|key| (key, 'a')).collect::<Vec<_>>()
            );
        }
        assert!(matches!(targets, Targets::One((99, 'a'))));
        assert!(matches!(targets.without(&99), Some((None, (99, 'a')))));
    }

    #[test]
    fn a_group_gives_memory_back() {
        let group = Group::new((0..1000).map(|key| (key, 'a')).collect());
        for key in 0..1000 {
            assert_eq!(group.remove(&key), Some((key, 'a')));
            let table = &group.members.lock().by_key;
            assert!(table.len() >= table.capacity() / 8);
        }
    }

    #[test]
    fn the_same_key_replaces_at_every_size() {
        let mut targets = Targets::One((0, 'a'));
        for key in 0..50 {
            if key > 0 {
                targets = targets.with((key, 'a')).0;
            }
            let (changed, replaced) = targets.with((key, 'b'));
            assert_eq!(replaced, Some((key, 'a')));
            assert_eq!(sorted(&changed).len(), key as usize + 1);
            targets = changed;
        }
        assert!(sorted(&targets).iter().all(|(_, options)| *options == 'b'));
    }
}
