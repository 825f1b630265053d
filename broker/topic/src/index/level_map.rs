//! A hash map from levels to what lies below them, read without locks while one writer at a time
//! changes it (a digital search tree: Coffman and Eve, "File Structures Using Hashing Functions",
//! 1970).
//!
//! Every entry is a node of the tree: below it are places for others, of which the next digit of
//! a key's hash chooses one. So an insert is one allocation and one store, and does not touch the
//! neighbours, not even to count a reference: with a million levels, each of them would be a wait
//! for memory.
//!
//! A change puts another tree in one place. What is in the old one stays as it is, so a reader
//! that is there finds all that it would have found.

use arc_swap::{ArcSwapAny, Guard};
use triomphe::ThinArc;

/// A place for an entry, which has further places. All keys have the same number of levels.
pub(crate) struct LevelMap<V>(ArcSwapAny<Option<Entry<V>>>);

/// The slice is the label: levels joined by `/`, of which the first are the key.
///
/// One allocation, without padding to speak of, because there is one for every filter.
pub(crate) type Entry<V> = ThinArc<Body<V>, u8>;

pub(crate) struct Body<V> {
    value: V,
    /// By the next digit of the hash. More would make entries large, and fewer the way longer.
    below: [LevelMap<V>; 1 << DIGIT_BITS],
}

const DIGIT_BITS: u32 = 2;

/// What becomes of an entry.
pub(crate) enum Change<V> {
    /// It stays.
    None,
    /// Another takes its place, made by [`entry`].
    To(Entry<V>),
    /// It goes.
    Gone,
}

/// An entry to take the place of `present`, if that is there, or else a place that is free.
pub(crate) fn entry<V>(label: &[u8], value: V, present: Option<&Entry<V>>) -> Entry<V> {
    let below = match present {
        Some(present) => places(present).each_ref().map(LevelMap::clone),
        None => Default::default(),
    };
    ThinArc::from_header_and_slice(Body { value, below }, label)
}

pub(crate) fn label<V>(entry: &Entry<V>) -> &[u8] {
    &entry.slice
}

pub(crate) fn value<V>(entry: &Entry<V>) -> &V {
    &entry.header.header.value
}

impl<V: Clone> LevelMap<V> {
    /// The entry of `key`, whose hash this is.
    pub(crate) fn get(&self, hash: u64, key: &[u8]) -> Guard<Option<Entry<V>>> {
        let mut digits = hash;
        let mut found = self.0.load();
        while let Some(other) = found.as_ref().filter(|entry| !has_key(entry, key)) {
            found = places(other)[digit(digits)].0.load();
            digits >>= DIGIT_BITS;
        }
        found
    }

    /// Does with the entry of `key`, whose hash this is, what `change` says. Whether it is gone.
    pub(crate) fn change(
        &self,
        hash: u64,
        key: &[u8],
        change: impl FnOnce(Option<&Entry<V>>) -> Change<V>,
    ) -> bool {
        let found = self.0.load();
        let present = match &*found {
            // Keys with the same hash end up in a row.
            Some(other) if !has_key(other, key) => {
                return places(other)[digit(hash)].change(hash >> DIGIT_BITS, key, change);
            }
            present => present.as_ref(),
        };
        let changed = change(present);
        let gone = matches!(changed, Change::Gone);
        match changed {
            Change::None => {}
            Change::To(entry) => self.0.store(Some(entry)),
            Change::Gone => self.0.store(present.and_then(without_first)),
        }
        gone
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.load().is_none()
    }

    /// The entry, if there is exactly one.
    pub(crate) fn only(&self) -> Option<Entry<V>> {
        let first = self.0.load_full()?;
        let alone = places(&first).iter().all(Self::is_empty);
        alone.then_some(first)
    }
}

/// The tree below `first`, with entries copied one place up until one leaves none behind.
fn without_first<V: Clone>(first: &Entry<V>) -> Option<Entry<V>> {
    let from = places(first).iter().position(|place| !place.is_empty())?;
    let next = places(first)[from].0.load_full()?;
    let below = std::array::from_fn(|digit| match digit == from {
        true => LevelMap(ArcSwapAny::new(without_first(&next))),
        false => places(first)[digit].clone(),
    });
    let value = value(&next).clone();
    let body = Body { value, below };
    Some(ThinArc::from_header_and_slice(body, label(&next)))
}

fn places<V>(entry: &Entry<V>) -> &[LevelMap<V>; 1 << DIGIT_BITS] {
    &entry.header.header.below
}

fn has_key<V>(entry: &Entry<V>, key: &[u8]) -> bool {
    let after = label(entry).strip_prefix(key);
    after.is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
}

fn digit(hash: u64) -> usize {
    hash as usize % (1 << DIGIT_BITS)
}

/// Shares the entries, but not the place.
impl<V> Clone for LevelMap<V> {
    fn clone(&self) -> Self {
        Self(ArcSwapAny::new(self.0.load_full()))
    }
}

impl<V> Default for LevelMap<V> {
    fn default() -> Self {
        Self(ArcSwapAny::new(None))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::hash::BuildHasher;

    use foldhash::quality::RandomState;
    use proptest::prelude::*;

    use super::*;

    const KEYS: [&str; 12] = [
        "",
        "a",
        "b",
        "ab",
        "temperature",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "7",
    ];

    /// Compares the map with a twin after each change.
    fn check(
        changes: Vec<(usize, Option<u32>)>,
        hash: impl Fn(&str) -> u64,
    ) -> Result<(), TestCaseError> {
        let map = LevelMap::default();
        let mut twin = HashMap::new();
        for (key, new) in changes {
            let key = KEYS[key];
            let gone = map.change(hash(key), key.as_bytes(), |present| match (new, present) {
                (Some(new), present) => {
                    let label = format!("{key}/more");
                    Change::To(entry(label.as_bytes(), new, present))
                }
                (None, Some(_)) => Change::Gone,
                (None, None) => Change::None,
            });
            let before = match new {
                Some(new) => twin.insert(key, new),
                None => twin.remove(key),
            };
            prop_assert_eq!(gone, new.is_none() && before.is_some());
            for key in KEYS {
                let found = map.get(hash(key), key.as_bytes());
                prop_assert_eq!(found.as_ref().map(value), twin.get(key));
            }
            prop_assert_eq!(map.is_empty(), twin.is_empty());
            prop_assert_eq!(map.only().is_some(), twin.len() == 1);
        }
        Ok(())
    }

    fn changes() -> impl Strategy<Value = Vec<(usize, Option<u32>)>> {
        prop::collection::vec((0..KEYS.len(), any::<Option<u32>>()), 0..60)
    }

    proptest! {
        #[test]
        fn behaves_as_a_hash_map(changes in changes()) {
            let hashing = RandomState::default();
            check(changes, |key| hashing.hash_one(key))?;
        }

        #[test]
        fn keys_of_the_same_hash_are_told_apart(changes in changes()) {
            check(changes, |_| 7)?;
        }
    }

    /// What a reader holds still has all that was there, whatever goes afterwards.
    #[test]
    fn a_removal_leaves_the_old_tree_as_it_was() {
        let map = LevelMap::default();
        let hash = |key: &str| (key.len() as u64).wrapping_mul(0x1234_5678_9abc_def1);
        let keys: Vec<_> = (1..40).map(|length| "k".repeat(length)).collect();
        for key in &keys {
            map.change(hash(key), key.as_bytes(), |_| {
                Change::To(entry(key.as_bytes(), (), None))
            });
        }
        let held = map.clone();
        assert!(map.change(hash("k"), b"k", |_| Change::Gone));
        assert!(map.get(hash("k"), b"k").is_none());
        for key in &keys {
            assert!(held.get(hash(key), key.as_bytes()).is_some());
        }
    }
}
