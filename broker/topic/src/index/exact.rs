//! The filters without wildcards: a hash of names in shards.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use parking_lot::RwLock;

use super::targets::{Target, Targets};
use super::{Inserted, Removed};

/// A power of two. Enough that workers seldom meet, and that a shard of a million filters grows
/// in well under a millisecond.
const SHARDS: usize = 512;

pub(crate) struct Exact<T: Target> {
    hashing: RandomState,
    /// By the hash of the name. A lock, because a reader stays only to clone a handle, and comes
    /// only when its cache has no answer.
    shards: Box<[RwLock<HashTable<Filter<T>>>]>,
}

struct Filter<T: Target> {
    name: Box<str>,
    targets: Targets<T>,
}

impl<T: Target> Exact<T> {
    pub(crate) fn new() -> Self {
        Self {
            hashing: RandomState::default(),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Targets<T>> {
        let hash = self.hashing.hash_one(name);
        let shard = self.shard(hash).read();
        shard
            .find(hash, |filter| *filter.name == *name)
            .map(|filter| filter.targets.clone())
    }

    pub(crate) fn insert(&self, name: &str, target: T) -> Inserted<T> {
        let hash = self.hashing.hash_one(name);
        let mut shard = self.shard(hash).write();
        if let Some(filter) = shard.find_mut(hash, |filter| *filter.name == *name) {
            let (targets, replaced) = filter.targets.with(target);
            filter.targets = targets;
            return Inserted {
                first: false,
                replaced,
            };
        }
        let filter = Filter {
            name: name.into(),
            targets: Targets::One(target),
        };
        shard.insert_unique(hash, filter, |filter| self.hashing.hash_one(&*filter.name));
        Inserted {
            first: true,
            replaced: None,
        }
    }

    pub(crate) fn remove(&self, name: &str, key: &T::Key) -> Option<Removed<T>> {
        let hash = self.hashing.hash_one(name);
        let mut shard = self.shard(hash).write();
        let mut entry = shard
            .find_entry(hash, |filter| *filter.name == *name)
            .ok()?;
        let (left, target) = entry.get().targets.without(key)?;
        let last = left.is_none();
        match left {
            Some(targets) => entry.get_mut().targets = targets,
            None => {
                entry.remove();
                self.shrink(&mut shard);
            }
        }
        Some(Removed { target, last })
    }

    /// Gives memory back, seldom enough to cost little per removal.
    fn shrink(&self, shard: &mut HashTable<Filter<T>>) {
        if shard.len() < shard.capacity() / 8 {
            shard.shrink_to(shard.len() * 2, |filter| {
                self.hashing.hash_one(&*filter.name)
            });
        }
    }

    fn shard(&self, hash: u64) -> &RwLock<HashTable<Filter<T>>> {
        // The table within the shard uses the lowest and the highest bits.
        &self.shards[(hash >> 32) as usize % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removals_give_memory_back() {
        let exact = Exact::new();
        let names: Vec<_> = (0..SHARDS * 40).map(|n| format!("device/{n}")).collect();
        for name in &names {
            assert!(exact.insert(name, (7, 'a')).first);
        }
        for name in &names {
            assert!(exact.remove(name, &7).is_some_and(|removed| removed.last));
            let shard = exact.shard(exact.hashing.hash_one(name.as_str())).read();
            assert!(shard.len() >= shard.capacity() / 8);
        }
    }
}
