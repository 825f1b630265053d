//! A hash map from a topic level to what lies below it, read without locks while one writer at a
//! time changes it (a hash array mapped trie: Bagwell, "Ideal Hash Trees", 2001).
//!
//! A change copies the one small branch that it concerns and puts the copy in its place: a reader
//! finds either. Only a change at the top makes a new map. Copying the path from there, as
//! persistent maps do, would count a reference to each neighbour of each branch on the way; with
//! a million levels, that is to wait for memory forty times.
//!
//! A key's hash is an endless stream of digits, one per depth: where 64 bits run out, the key is
//! hashed again with the number of the round. So two different keys part somewhere, and no bucket
//! of collisions is needed.

use std::hash::BuildHasher;

use arc_swap::ArcSwapAny;
use foldhash::quality::RandomState;
use triomphe::ThinArc;

/// An entry that holds its own key.
pub(crate) trait Keyed: Clone {
    fn key(&self) -> &[u8];
}

/// Cloning shares, also the changes that are made in place.
pub(crate) struct LevelMap<E>(Option<Branch<E>>);

/// The occupied slots of 32, in order; the bits of `occupied` say which they are.
type Branch<E> = ThinArc<Occupied, Slot<E>>;

#[derive(Clone, Copy)]
struct Occupied(u32);

enum Slot<E> {
    Entry(E),
    /// Holds at least two entries, directly or below.
    Branch(ArcSwapAny<Branch<E>>),
}

/// What a change makes of a value.
pub(crate) enum Change<V> {
    /// Itself: what was to change is changed, in place.
    InPlace,
    /// Another, to be put where it stands.
    To(V),
    /// Nothing is left of it.
    Gone,
}

impl<E: Keyed> LevelMap<E> {
    pub(crate) const EMPTY: Self = Self(None);

    pub(crate) fn get(&self, hashing: &RandomState, key: &[u8]) -> Option<E> {
        branch_get(self.0.as_ref()?, &mut Digits::new(hashing, key))
    }

    /// With `entry` added, or put in place of the one with its key; `None` if this map has it now.
    pub(crate) fn with(&self, hashing: &RandomState, entry: &E) -> Option<Self> {
        let mut digits = Digits::new(hashing, entry.key());
        let branch = match &self.0 {
            Some(branch) => branch_with(branch, &mut digits, entry)?,
            None => single(digits.next(), Slot::Entry(entry.clone())),
        };
        Some(Self(Some(branch)))
    }

    /// Without the entry of `key`, which need not be there.
    pub(crate) fn without(&self, hashing: &RandomState, key: &[u8]) -> Change<Self> {
        let Some(branch) = &self.0 else {
            return Change::InPlace;
        };
        match branch_without(branch, &mut Digits::new(hashing, key)) {
            Change::InPlace => Change::InPlace,
            Change::To(branch) => Change::To(Self(Some(branch))),
            Change::Gone => Change::Gone,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The entry, if there is exactly one.
    pub(crate) fn only(&self) -> Option<&E> {
        match &self.0.as_ref()?.slice {
            [Slot::Entry(entry)] => Some(entry),
            _ => None,
        }
    }
}

fn branch_get<E: Keyed>(branch: &Branch<E>, digits: &mut Digits<'_>) -> Option<E> {
    let position = branch.header.header.find(digits.next())?;
    match &branch.slice[position] {
        Slot::Entry(entry) => (entry.key() == digits.key).then(|| entry.clone()),
        Slot::Branch(below) => branch_get(&below.load(), digits),
    }
}

/// `None` if the change was made in place.
fn branch_with<E: Keyed>(
    branch: &Branch<E>,
    digits: &mut Digits<'_>,
    entry: &E,
) -> Option<Branch<E>> {
    let digit = digits.next();
    let Some(position) = branch.header.header.find(digit) else {
        return Some(inserted(branch, digit, Slot::Entry(entry.clone())));
    };
    let slot = match &branch.slice[position] {
        Slot::Entry(present) if present.key() == entry.key() => Slot::Entry(entry.clone()),
        Slot::Entry(present) => Slot::branch(parted(present, digits, entry)),
        Slot::Branch(below) => {
            if let Some(changed) = branch_with(&below.load(), digits, entry) {
                below.store(changed);
            }
            return None;
        }
    };
    Some(replaced(branch, position, slot))
}

/// A branch of two entries whose digits are the same up to here.
fn parted<E: Keyed>(present: &E, digits: &mut Digits<'_>, entry: &E) -> Branch<E> {
    let present_digit = Digits::at(digits.hashing, present.key(), digits.depth).next();
    let digit = digits.next();
    if digit == present_digit {
        return single(digit, Slot::branch(parted(present, digits, entry)));
    }
    let present = single(present_digit, Slot::Entry(present.clone()));
    inserted(&present, digit, Slot::Entry(entry.clone()))
}

/// `digits` are those of the key to remove; what remains is in the shape that inserting makes.
fn branch_without<E: Keyed>(branch: &Branch<E>, digits: &mut Digits<'_>) -> Change<Branch<E>> {
    let digit = digits.next();
    let Some(position) = branch.header.header.find(digit) else {
        return Change::InPlace;
    };
    let below = match &branch.slice[position] {
        Slot::Entry(entry) if entry.key() != digits.key => return Change::InPlace,
        Slot::Entry(_) if branch.slice.len() == 1 => return Change::Gone,
        Slot::Entry(_) => return Change::To(removed(branch, digit, position)),
        Slot::Branch(below) => below,
    };
    let changed = branch_without(&below.load(), digits);
    match changed {
        Change::InPlace => Change::InPlace,
        Change::Gone => Change::To(removed(branch, digit, position)),
        Change::To(left) => match &left.slice {
            [Slot::Entry(only)] => {
                Change::To(replaced(branch, position, Slot::Entry(only.clone())))
            }
            _ => {
                below.store(left);
                Change::InPlace
            }
        },
    }
}

fn single<E>(digit: u32, slot: Slot<E>) -> Branch<E> {
    ThinArc::from_header_and_iter(Occupied(1 << digit), std::iter::once(slot))
}

fn replaced<E: Clone>(branch: &Branch<E>, position: usize, slot: Slot<E>) -> Branch<E> {
    let mut slot = Some(slot);
    let slots = branch.slice.iter().enumerate().map(|(at, present)| {
        if at == position { slot.take() } else { None }.unwrap_or_else(|| present.clone())
    });
    ThinArc::from_header_and_iter(branch.header.header, slots)
}

fn inserted<E: Clone>(branch: &Branch<E>, digit: u32, slot: Slot<E>) -> Branch<E> {
    let occupied = branch.header.header.with(digit);
    let position = occupied.rank(digit);
    let mut slot = Some(slot);
    let slots = (0..branch.slice.len() + 1).map(|at| {
        if at == position { slot.take() } else { None }
            .unwrap_or_else(|| branch.slice[at - usize::from(at > position)].clone())
    });
    ThinArc::from_header_and_iter(occupied, slots)
}

fn removed<E: Clone>(branch: &Branch<E>, digit: u32, position: usize) -> Branch<E> {
    let occupied = branch.header.header.without(digit);
    let slots = (0..branch.slice.len() - 1)
        .map(|at| branch.slice[at + usize::from(at >= position)].clone());
    ThinArc::from_header_and_iter(occupied, slots)
}

impl<E> Clone for LevelMap<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E> Slot<E> {
    fn branch(branch: Branch<E>) -> Self {
        Self::Branch(ArcSwapAny::new(branch))
    }
}

impl<E: Clone> Clone for Slot<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Entry(entry) => Self::Entry(entry.clone()),
            Self::Branch(branch) => Self::branch(branch.load_full()),
        }
    }
}

impl Occupied {
    /// Where the slot of `digit` stands, if it is occupied.
    fn find(self, digit: u32) -> Option<usize> {
        (self.0 & (1 << digit) != 0).then(|| self.rank(digit))
    }

    fn rank(self, digit: u32) -> usize {
        (self.0 & ((1 << digit) - 1)).count_ones() as usize
    }

    fn with(self, digit: u32) -> Self {
        Self(self.0 | 1 << digit)
    }

    fn without(self, digit: u32) -> Self {
        Self(self.0 & !(1 << digit))
    }
}

/// The digits of a key's hash from some depth on.
struct Digits<'a> {
    hashing: &'a RandomState,
    key: &'a [u8],
    depth: u32,
    /// The digits left of this round, lowest first.
    bits: u64,
}

const DIGIT_BITS: u32 = 4;
const DIGITS_PER_ROUND: u32 = u64::BITS / DIGIT_BITS;

impl<'a> Digits<'a> {
    fn new(hashing: &'a RandomState, key: &'a [u8]) -> Self {
        Self::at(hashing, key, 0)
    }

    fn at(hashing: &'a RandomState, key: &'a [u8], depth: u32) -> Self {
        let bits = hash_round(hashing, key, depth) >> (depth % DIGITS_PER_ROUND * DIGIT_BITS);
        Self {
            hashing,
            key,
            depth,
            bits,
        }
    }

    fn next(&mut self) -> u32 {
        let digit = (self.bits & ((1 << DIGIT_BITS) - 1)) as u32;
        self.depth += 1;
        self.bits >>= DIGIT_BITS;
        if self.depth.is_multiple_of(DIGITS_PER_ROUND) {
            self.bits = hash_round(self.hashing, self.key, self.depth);
        }
        digit
    }
}

fn hash_round(hashing: &RandomState, key: &[u8], depth: u32) -> u64 {
    match depth / DIGITS_PER_ROUND {
        0 => hashing.hash_one(key),
        round => hashing.hash_one((key, round)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    impl Keyed for (&'static str, u32) {
        fn key(&self) -> &[u8] {
            self.0.as_bytes()
        }
    }

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

    proptest! {
        #[test]
        fn behaves_as_a_hash_map(changes in prop::collection::vec((0..12_usize, any::<Option<u32>>()), 0..60)) {
            let hashing = RandomState::default();
            let mut map = LevelMap::EMPTY;
            let mut twin = HashMap::new();
            for (key, value) in changes {
                let key = KEYS[key];
                match value {
                    Some(value) => {
                        map = map.with(&hashing, &(key, value)).unwrap_or(map);
                        twin.insert(key, value);
                    }
                    None => {
                        map = match map.without(&hashing, key.as_bytes()) {
                            Change::InPlace => map,
                            Change::To(map) => map,
                            Change::Gone => LevelMap::EMPTY,
                        };
                        twin.remove(key);
                    }
                }
                for key in KEYS {
                    let found = map.get(&hashing, key.as_bytes()).map(|entry| entry.1);
                    prop_assert_eq!(found, twin.get(key).copied());
                }
                prop_assert_eq!(map.is_empty(), twin.is_empty());
                prop_assert_eq!(map.only().is_some(), twin.len() == 1);
            }
        }
    }

    /// Keys whose hashes agree up to `depth` are told apart below it, however deep that is.
    #[test]
    fn keys_part_at_any_depth() {
        let hashing = RandomState::default();
        for depth in [0, 1, 11, 12, 13, 24, 30] {
            let digits_of = |key: &'static str| Digits::at(&hashing, key.as_bytes(), depth);
            let both = parted(&("left", 1), &mut digits_of("right"), &("right", 2));
            for (gone, left) in [("left", ("right", 2)), ("right", ("left", 1))] {
                let Change::To(rest) = branch_without(&both, &mut digits_of(gone)) else {
                    panic!("one of two entries is left");
                };
                assert!(matches!(&rest.slice, [Slot::Entry(entry)] if *entry == left));
            }
            assert!(matches!(
                branch_without(&both, &mut digits_of("other")),
                Change::InPlace
            ));
        }
    }
}
