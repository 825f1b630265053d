//! The filters with wildcards, as a trie of levels, read without locks while one writer at a time
//! changes it.
//!
//! A node stands for one level or, where nothing branches, for several: the 1,000 filters
//! `device/{i}/+/x` are one node `device` with 1,000 children `{i}/+/x`. A change
//! puts a new node or a new trie in the place of the one that it concerns; a reader finds either.

use foldhash::quality::RandomState;
use triomphe::{Arc, ThinArc};

use super::level_map::{Change, Keyed, LevelMap};
use super::targets::{Target, Targets};

const SINGLE_LEVEL: &[u8] = b"+";
const MULTI_LEVEL: &[u8] = b"#";

/// Filters, each with its targets. Cloning shares.
///
/// Depth is bounded by the levels of a filter, and so are recursion and the cost of a change. The
/// trie has fewer than two nodes per filter.
pub(crate) struct Trie<T: Target>(Option<Arc<Children<T>>>);

/// What follows a node; at least one of the three is there.
struct Children<T: Target> {
    literal: LevelMap<Node<T>>,
    /// The child whose first level is `+`. Beside the map, because every match asks for it.
    single_level: Option<Node<T>>,
    /// The child `#`.
    multi_level: Option<Node<T>>,
}

/// One or more levels of a filter: the slice is their text, joined by `/`.
///
/// One allocation, without padding to speak of, because there is one for every filter.
struct Node<T: Target>(ThinArc<Body<T>, u8>);

struct Body<T: Target> {
    /// Those of the filter that ends here. A node without targets has two children or more.
    targets: Option<Targets<T>>,
    below: Trie<T>,
}

impl<T: Target> Trie<T> {
    pub(crate) const EMPTY: Self = Self(None);

    /// The targets of exactly this filter.
    pub(crate) fn get(&self, hashing: &RandomState, filter: &str) -> Option<Targets<T>> {
        self.get_levels(hashing, filter.as_bytes())
    }

    /// With `targets` for exactly this filter; with `None`, without the filter.
    pub(crate) fn with(
        &self,
        hashing: &RandomState,
        filter: &str,
        targets: Option<Targets<T>>,
    ) -> Change<Self> {
        self.with_levels(hashing, filter.as_bytes(), targets)
    }

    /// Calls `found` with the targets of every filter that matches `topic`, each filter once.
    ///
    /// Visits nodes that match a beginning of the topic: the cost is bounded by them, however many
    /// filters there are, and by 2^levels however they are chosen. `$` has no meaning here.
    pub(crate) fn matching(
        &self,
        hashing: &RandomState,
        topic: &str,
        found: &mut impl FnMut(&Targets<T>),
    ) {
        self.matching_levels(hashing, Some(topic.as_bytes()), found);
    }

    fn get_levels(&self, hashing: &RandomState, rest: &[u8]) -> Option<Targets<T>> {
        let node = self.child(hashing, first_level(rest))?;
        let shared = shared_levels(node.label(), rest);
        match (after(node.label(), shared), after(rest, shared)) {
            (Some(_), _) => None,
            (None, Some(levels)) => node.body().below.get_levels(hashing, levels),
            (None, None) => node.body().targets.clone(),
        }
    }

    fn with_levels(
        &self,
        hashing: &RandomState,
        rest: &[u8],
        targets: Option<Targets<T>>,
    ) -> Change<Self> {
        let level = first_level(rest);
        let changed = match (self.child(hashing, level), targets) {
            (Some(node), targets) => node.with_levels(hashing, rest, targets),
            (None, Some(targets)) => Change::To(Node::new(rest, Some(targets), Self::EMPTY)),
            (None, None) => Change::InPlace,
        };
        match changed {
            Change::InPlace => Change::InPlace,
            Change::To(node) => match self.with_child(hashing, &node) {
                Some(trie) => Change::To(trie),
                None => Change::InPlace,
            },
            Change::Gone => self.without_child(hashing, level),
        }
    }

    /// `rest` are the levels of the topic that are left; `None` is not the same as an empty level.
    fn matching_levels(
        &self,
        hashing: &RandomState,
        rest: Option<&[u8]>,
        found: &mut impl FnMut(&Targets<T>),
    ) {
        let Some(children) = &self.0 else { return };
        if let Some(multi_level) = &children.multi_level {
            found_in(multi_level, found);
        }
        let Some(rest) = rest else { return };
        if let Some(single_level) = &children.single_level {
            single_level.matching_levels(hashing, rest, found);
        }
        if let Some(literal) = children.literal.get(hashing, first_level(rest)) {
            literal.matching_levels(hashing, rest, found);
        }
    }

    fn child(&self, hashing: &RandomState, level: &[u8]) -> Option<Node<T>> {
        let children = self.0.as_ref()?;
        match level {
            SINGLE_LEVEL => children.single_level.clone(),
            MULTI_LEVEL => children.multi_level.clone(),
            _ => children.literal.get(hashing, level),
        }
    }

    /// `None` if the change was made in place.
    fn with_child(&self, hashing: &RandomState, node: &Node<T>) -> Option<Self> {
        let mut children = self.children();
        match node.key() {
            SINGLE_LEVEL => children.single_level = Some(node.clone()),
            MULTI_LEVEL => children.multi_level = Some(node.clone()),
            _ => children.literal = children.literal.with(hashing, node)?,
        }
        Some(Self(Some(Arc::new(children))))
    }

    fn without_child(&self, hashing: &RandomState, level: &[u8]) -> Change<Self> {
        let mut children = self.children();
        match level {
            SINGLE_LEVEL => children.single_level = None,
            MULTI_LEVEL => children.multi_level = None,
            _ => match children.literal.without(hashing, level) {
                Change::InPlace => return Change::InPlace,
                Change::To(literal) => children.literal = literal,
                Change::Gone => children.literal = LevelMap::EMPTY,
            },
        }
        match children.are_none() {
            true => Change::Gone,
            false => Change::To(Self(Some(Arc::new(children)))),
        }
    }

    fn children(&self) -> Children<T> {
        match &self.0 {
            Some(children) => Children::clone(children),
            None => Children {
                literal: LevelMap::EMPTY,
                single_level: None,
                multi_level: None,
            },
        }
    }

    /// The child, if there is exactly one.
    fn only_child(&self) -> Option<&Node<T>> {
        let children = self.0.as_ref()?;
        match (&children.single_level, &children.multi_level) {
            (None, None) => children.literal.only(),
            (Some(node), None) | (None, Some(node)) if children.literal.is_empty() => Some(node),
            _ => None,
        }
    }
}

impl<T: Target> Node<T> {
    fn new(label: &[u8], targets: Option<Targets<T>>, below: Trie<T>) -> Self {
        Self(ThinArc::from_header_and_slice(
            Body { targets, below },
            label,
        ))
    }

    /// A node that is needed: none without targets and children, and joined with its child where
    /// nothing branches.
    fn needed(label: &[u8], targets: Option<Targets<T>>, below: Trie<T>) -> Option<Self> {
        if targets.is_some() {
            return Some(Self::new(label, targets, below));
        }
        below.0.as_ref()?;
        Some(match below.only_child() {
            Some(child) => {
                let label = [label, child.label()].join(&b'/');
                let Body { targets, below } = child.body();
                Self::new(&label, targets.clone(), below.clone())
            }
            None => Self::new(label, None, below),
        })
    }

    fn label(&self) -> &[u8] {
        &self.0.slice
    }

    fn body(&self) -> &Body<T> {
        &self.0.header.header
    }

    /// `rest` begins with this node's first level.
    fn with_levels(
        &self,
        hashing: &RandomState,
        rest: &[u8],
        targets: Option<Targets<T>>,
    ) -> Change<Self> {
        let shared = shared_levels(self.label(), rest);
        if let Some(lower) = after(self.label(), shared) {
            let split = self.split(hashing, &rest[..shared], lower);
            return split.with_levels(hashing, rest, targets);
        }
        let Body {
            targets: own,
            below,
        } = self.body();
        let needed = match after(rest, shared) {
            None => Self::needed(self.label(), targets, below.clone()),
            Some(rest) => match below.with_levels(hashing, rest, targets) {
                Change::InPlace => return Change::InPlace,
                Change::To(below) => Self::needed(self.label(), own.clone(), below),
                Change::Gone => Self::needed(self.label(), own.clone(), Trie::EMPTY),
            },
        };
        needed.map_or(Change::Gone, Change::To)
    }

    /// The same as a node of the levels `upper` with one below it of the levels `lower`.
    fn split(&self, hashing: &RandomState, upper: &[u8], lower: &[u8]) -> Self {
        let Body { targets, below } = self.body();
        let lower = Self::new(lower, targets.clone(), below.clone());
        let below = Trie::EMPTY.with_child(hashing, &lower);
        Self::new(upper, None, below.expect("nothing is there to change"))
    }

    fn matching_levels(
        &self,
        hashing: &RandomState,
        topic: &[u8],
        found: &mut impl FnMut(&Targets<T>),
    ) {
        let mut rest = Some(topic);
        for wanted in levels(self.label()) {
            if wanted == MULTI_LEVEL {
                return found_in(self, found);
            }
            let Some(given) = rest else { return };
            let level = first_level(given);
            if wanted != SINGLE_LEVEL && wanted != level {
                return;
            }
            rest = after(given, level.len());
        }
        if rest.is_none() {
            found_in(self, found);
        }
        self.body().below.matching_levels(hashing, rest, found);
    }
}

fn found_in<T: Target>(node: &Node<T>, found: &mut impl FnMut(&Targets<T>)) {
    if let Some(targets) = &node.body().targets {
        found(targets);
    }
}

impl<T: Target> Children<T> {
    fn are_none(&self) -> bool {
        self.literal.is_empty() && self.single_level.is_none() && self.multi_level.is_none()
    }
}

impl<T: Target> Clone for Trie<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Target> Clone for Children<T> {
    fn clone(&self) -> Self {
        Self {
            literal: self.literal.clone(),
            single_level: self.single_level.clone(),
            multi_level: self.multi_level.clone(),
        }
    }
}

impl<T: Target> Clone for Node<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Target> Keyed for Node<T> {
    fn key(&self) -> &[u8] {
        first_level(self.label())
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

    struct Fixture {
        hashing: RandomState,
        trie: Trie<StdArc<str>>,
    }

    impl Fixture {
        fn new(filters: &[&str]) -> Self {
            let mut fixture = Self {
                hashing: RandomState::default(),
                trie: Trie::EMPTY,
            };
            for filter in filters {
                fixture.set(filter, Some(Targets::One(StdArc::from(*filter))));
            }
            fixture
        }

        fn set(&mut self, filter: &str, targets: Option<Targets<StdArc<str>>>) {
            match self.trie.with(&self.hashing, filter, targets) {
                Change::InPlace => {}
                Change::To(trie) => self.trie = trie,
                Change::Gone => self.trie = Trie::EMPTY,
            }
        }

        fn matching(&self, topic: &str) -> Vec<String> {
            let mut found = Vec::new();
            self.trie.matching(&self.hashing, topic, &mut |targets| {
                found.extend(targets.clone().into_slice().iter().map(ToString::to_string));
            });
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
                let Some(node) = trie.child(hashing, level.as_bytes()) else {
                    continue;
                };
                let path = format!("{path}[{}]", String::from_utf8_lossy(node.label()));
                let mark = if node.body().targets.is_some() {
                    "*"
                } else {
                    ""
                };
                into.push(format!("{path}{mark}"));
                visit(hashing, &node.body().below, &path, into);
            }
        }
        let mut shape = Vec::new();
        visit(&fixture.hashing, &fixture.trie, "", &mut shape);
        shape
    }

    #[test]
    fn levels_that_do_not_branch_are_one_node() {
        let mut fixture = Fixture::new(&["a/b/+/d"]);
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
        assert!(fixture.trie.0.is_none());
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
        let mut fixture = Fixture::new(&[]);
        for levels in 1..depth {
            let filter = format!("{}/+", vec!["a"; levels].join("/"));
            fixture.set(&filter, Some(Targets::One(StdArc::from(filter.as_str()))));
        }
        assert_eq!(fixture.matching(&vec!["a"; depth].join("/")).len(), 1);
    }
}
