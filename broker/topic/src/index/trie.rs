//! The filters with wildcards, as a trie of levels, read without locks while one writer at a time
//! changes it.
//!
//! A node stands for one level or, where nothing branches, for several: the 1,000 filters
//! `device/{i}/+/x` are one node `device` with 1,000 children `{i}/+/x`. A change puts a new node
//! in the place of the one that it concerns; a reader finds either.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;
use triomphe::Arc;

use super::level_map::{Change, Entry, LevelMap, entry, label, value};
use super::targets::{Target, Targets};

const SINGLE_LEVEL: &[u8] = b"+";
const MULTI_LEVEL: &[u8] = b"#";

/// Filters, each with its targets.
///
/// Depth is bounded by the levels of a filter, and so are recursion and the cost of a change. The
/// trie has fewer than two nodes per filter.
pub(crate) struct Trie<T: Target> {
    literal: LevelMap<Body<T>>,
    /// The child whose first level is `+`. Beside the map, because every match asks for it.
    single_level: LevelMap<Body<T>>,
    /// The child `#`.
    multi_level: LevelMap<Body<T>>,
}

/// One or more levels of a filter, which are its label.
type Node<T> = Entry<Body<T>>;

struct Body<T: Target> {
    /// Those of the filter that ends here. A node without targets has two children or more.
    targets: Option<Targets<T>>,
    below: Option<Arc<Trie<T>>>,
}

impl<T: Target> Trie<T> {
    /// Gives exactly this filter the targets that `change` makes of those that it has; with
    /// `None`, takes it out. All filters here begin with as many levels as `key`, a beginning of
    /// this one, or with a wildcard. Whether that leaves one child at most, of more.
    pub(crate) fn change(
        &self,
        hashing: &RandomState,
        key: &[u8],
        filter: &[u8],
        change: impl FnOnce(Option<&Targets<T>>) -> Option<Targets<T>>,
    ) -> bool {
        let (children, hash) = self.children(hashing, key);
        let gone = children.change(hash, key, |child| match child {
            Some(node) => changed(hashing, node, filter, change),
            None => match change(None) {
                Some(targets) => Change::To(leaf(filter, targets)),
                None => Change::None,
            },
        });
        gone && (self.is_empty() || self.only_child().is_some())
    }

    /// Calls `found` with the targets of every filter that matches the levels `rest` of a topic,
    /// each filter once; `None` is not the same as an empty level.
    ///
    /// Visits nodes that match a beginning of the topic: the cost is bounded by them, however many
    /// filters there are, and by 2^levels however they are chosen. `$` has no meaning here.
    fn matching(
        &self,
        hashing: &RandomState,
        rest: Option<&[u8]>,
        found: &mut impl FnMut(&Targets<T>),
    ) {
        self.matching_wildcard(hashing, rest, found);
        if let Some(rest) = rest {
            self.matching_literal(hashing, first_level(rest), rest, found);
        }
    }

    /// The filters that begin with a wildcard.
    pub(crate) fn matching_wildcard(
        &self,
        hashing: &RandomState,
        rest: Option<&[u8]>,
        found: &mut impl FnMut(&Targets<T>),
    ) {
        if let Some(node) = &*self.multi_level.get(0, MULTI_LEVEL) {
            found_in(node, found);
        }
        let Some(rest) = rest else { return };
        if let Some(node) = &*self.single_level.get(0, SINGLE_LEVEL) {
            let rest = after(rest, first_level(rest).len());
            matching(hashing, node, SINGLE_LEVEL, rest, found);
        }
    }

    /// The filters that begin with `key`, as `rest` does.
    pub(crate) fn matching_literal(
        &self,
        hashing: &RandomState,
        key: &[u8],
        rest: &[u8],
        found: &mut impl FnMut(&Targets<T>),
    ) {
        if let Some(node) = &*self.literal.get(hashing.hash_one(key), key) {
            matching(hashing, node, key, after(rest, key.len()), found);
        }
    }

    /// Where the child of `key` has its place, and by which hash.
    fn children(&self, hashing: &RandomState, key: &[u8]) -> (&LevelMap<Body<T>>, u64) {
        match key {
            SINGLE_LEVEL => (&self.single_level, 0),
            MULTI_LEVEL => (&self.multi_level, 0),
            _ => (&self.literal, hashing.hash_one(key)),
        }
    }

    fn add(&self, hashing: &RandomState, node: Node<T>) {
        let key = first_level(label(&node)).to_vec();
        let (children, hash) = self.children(hashing, &key);
        children.change(hash, &key, |_| Change::To(node));
    }

    fn is_empty(&self) -> bool {
        self.all().into_iter().all(LevelMap::is_empty)
    }

    /// The child, if there is exactly one.
    fn only_child(&self) -> Option<Node<T>> {
        let mut occupied = self
            .all()
            .into_iter()
            .filter(|children| !children.is_empty());
        let only = occupied.next()?.only()?;
        occupied.next().is_none().then_some(only)
    }

    fn all(&self) -> [&LevelMap<Body<T>>; 3] {
        [&self.literal, &self.single_level, &self.multi_level]
    }
}

fn leaf<T: Target>(label: &[u8], targets: Targets<T>) -> Node<T> {
    let (targets, below) = (Some(targets), None);
    entry(label, Body { targets, below }, None)
}

/// What becomes of `node` when `filter`, which begins with its first level, changes.
fn changed<T: Target>(
    hashing: &RandomState,
    node: &Node<T>,
    filter: &[u8],
    change: impl FnOnce(Option<&Targets<T>>) -> Option<Targets<T>>,
) -> Change<Body<T>> {
    let shared = shared_levels(label(node), filter);
    let Body { targets, below } = value(node);
    match (after(label(node), shared), after(filter, shared), below) {
        (None, None, _) => match (change(targets.as_ref()), targets) {
            (Some(new), Some(present)) if new.is(present) => Change::None,
            (new, _) => settled(node, new, below.clone()),
        },
        (None, Some(rest), Some(trie)) => {
            match trie.change(hashing, first_level(rest), rest, change) {
                true => settled(node, targets.clone(), below.clone()),
                false => Change::None,
            }
        }
        (lower, rest, _) => {
            let Some(added) = change(None) else {
                return Change::None;
            };
            let below = Trie::default();
            let mut upper = targets.clone();
            if let Some(lower) = lower {
                upper = None;
                below.add(hashing, entry(lower, value(node).clone(), None));
            }
            match rest {
                Some(rest) => below.add(hashing, leaf(rest, added)),
                None => upper = Some(added),
            }
            let body = Body {
                targets: upper,
                below: Some(Arc::new(below)),
            };
            Change::To(entry(&filter[..shared], body, Some(node)))
        }
    }
}

/// What `node` becomes with these: none without targets and children, and joined with its child
/// where nothing branches.
fn settled<T: Target>(
    node: &Node<T>,
    targets: Option<Targets<T>>,
    below: Option<Arc<Trie<T>>>,
) -> Change<Body<T>> {
    let below = below.filter(|below| !below.is_empty());
    if targets.is_none() {
        let Some(below) = &below else {
            return Change::Gone;
        };
        if let Some(child) = below.only_child() {
            let label = [label(node), label(&child)].join(&b'/');
            return Change::To(entry(&label, value(&child).clone(), Some(node)));
        }
    }
    Change::To(entry(label(node), Body { targets, below }, Some(node)))
}

/// `rest` are the levels that follow those that match `key`, with which the node's label begins.
fn matching<T: Target>(
    hashing: &RandomState,
    node: &Node<T>,
    key: &[u8],
    mut rest: Option<&[u8]>,
    found: &mut impl FnMut(&Targets<T>),
) {
    let unmatched = after(label(node), key.len());
    for wanted in unmatched.into_iter().flat_map(levels) {
        if wanted == MULTI_LEVEL {
            return found_in(node, found);
        }
        let Some(given) = rest else { return };
        let level = first_level(given);
        if wanted != SINGLE_LEVEL && wanted != level {
            return;
        }
        rest = after(given, level.len());
    }
    if rest.is_none() {
        found_in(node, found);
    }
    if let Some(below) = &value(node).below {
        below.matching(hashing, rest, found);
    }
}

fn found_in<T: Target>(node: &Node<T>, found: &mut impl FnMut(&Targets<T>)) {
    if let Some(targets) = &value(node).targets {
        found(targets);
    }
}

impl<T: Target> Default for Trie<T> {
    fn default() -> Self {
        Self {
            literal: LevelMap::default(),
            single_level: LevelMap::default(),
            multi_level: LevelMap::default(),
        }
    }
}

impl<T: Target> Clone for Body<T> {
    fn clone(&self) -> Self {
        Self {
            targets: self.targets.clone(),
            below: self.below.clone(),
        }
    }
}

fn levels(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'/')
}

fn first_level(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|&byte| byte == b'/');
    &text[..end.unwrap_or(text.len())]
}

/// The length of the levels that both begin with, of which there is at least one.
fn shared_levels(left: &[u8], right: &[u8]) -> usize {
    let shared = levels(left)
        .zip(levels(right))
        .take_while(|(left, right)| left == right);
    shared.map(|(level, _)| level.len() + 1).sum::<usize>() - 1
}

/// The levels that follow the first `length` bytes; `None` if there are none, which is not the
/// same as one that is empty.
fn after(text: &[u8], length: usize) -> Option<&[u8]> {
    text.get(length + 1..)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc as StdArc;

    use super::*;

    impl Target for StdArc<str> {
        type Key = u8;

        fn key(&self) -> u8 {
            0
        }
    }

    #[derive(Default)]
    struct Fixture {
        hashing: RandomState,
        trie: Trie<StdArc<str>>,
    }

    impl Fixture {
        fn new(filters: &[&str]) -> Self {
            let fixture = Self::default();
            for filter in filters {
                fixture.set(filter, Some(Targets::One(StdArc::from(*filter))));
            }
            fixture
        }

        fn set(&self, filter: &str, targets: Option<Targets<StdArc<str>>>) {
            let filter = filter.as_bytes();
            let key = first_level(filter);
            self.trie.change(&self.hashing, key, filter, |_| targets);
        }

        fn matching(&self, topic: &str) -> Vec<String> {
            let mut found = Vec::new();
            let each = &mut |targets: &Targets<StdArc<str>>| {
                found.extend(targets.clone().into_slice().iter().map(ToString::to_string));
            };
            self.trie
                .matching(&self.hashing, Some(topic.as_bytes()), each);
            found.sort();
            found
        }
    }

    /// Every node as its path of labels, with a mark on those that have targets.
    fn shape(fixture: &Fixture) -> Vec<String> {
        fn visit(
            hashing: &RandomState,
            trie: &Trie<StdArc<str>>,
            path: &str,
            into: &mut Vec<String>,
        ) {
            for level in ["+", "#", "", "a", "b", "c", "d", "e"] {
                let (children, hash) = trie.children(hashing, level.as_bytes());
                let child = children.get(hash, level.as_bytes());
                let Some(node) = &*child else { continue };
                let path = format!("{path}[{}]", String::from_utf8_lossy(label(node)));
                let Body { targets, below } = value(node);
                let mark = if targets.is_some() { "*" } else { "" };
                into.push(format!("{path}{mark}"));
                if let Some(below) = below {
                    visit(hashing, below, &path, into);
                }
            }
        }
        let mut shape = Vec::new();
        visit(&fixture.hashing, &fixture.trie, "", &mut shape);
        shape
    }

    #[test]
    fn levels_that_do_not_branch_are_one_node() {
        let fixture = Fixture::new(&["a/b/+/d"]);
        assert_eq!(shape(&fixture), ["[a/b/+/d]*"]);
        fixture.set("a/b/+", Some(Targets::One(StdArc::from("x"))));
        assert_eq!(shape(&fixture), ["[a/b/+]*", "[a/b/+][d]*"]);
        fixture.set("a/b/c/#", Some(Targets::One(StdArc::from("y"))));
        assert_eq!(
            shape(&fixture),
            ["[a/b]", "[a/b][+]*", "[a/b][+][d]*", "[a/b][c/#]*"]
        );
        fixture.set("a/b/+", None);
        assert_eq!(shape(&fixture), ["[a/b]", "[a/b][+/d]*", "[a/b][c/#]*"]);
        fixture.set("a/b", None);
        fixture.set("a/b/+/e", None);
        fixture.set("e", None);
        assert_eq!(shape(&fixture), ["[a/b]", "[a/b][+/d]*", "[a/b][c/#]*"]);
        fixture.set("a/b/c/#", None);
        assert_eq!(shape(&fixture), ["[a/b/+/d]*"]);
        fixture.set("a/b/+/d", None);
        assert!(fixture.trie.is_empty());
    }

    #[test]
    fn empty_levels_count() {
        let fixture = Fixture::new(&["/+", "+/", "//#", "a//+", "+/+", "a/#"]);
        assert_eq!(fixture.matching("/"), ["+/", "+/+", "/+", "//#"]);
        assert_eq!(fixture.matching("a/"), ["+/", "+/+", "a/#"]);
        assert_eq!(fixture.matching("a//"), ["a/#", "a//+"]);
        assert_eq!(fixture.matching("a"), ["a/#"]);
        assert_eq!(fixture.matching("//x/y"), ["//#"]);
    }

    #[test]
    fn a_chain_of_the_deepest_filters_is_built_matched_and_dropped() {
        let depth = crate::LEVELS_CEILING;
        let fixture = Fixture::new(&[]);
        for levels in 1..depth {
            let filter = format!("{}/+", vec!["a"; levels].join("/"));
            fixture.set(&filter, Some(Targets::One(StdArc::from(filter.as_str()))));
        }
        assert_eq!(fixture.matching(&vec!["a"; depth].join("/")).len(), 1);
    }
}
