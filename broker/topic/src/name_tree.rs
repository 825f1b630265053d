//! From a filter to the names that it matches: the other direction of the index.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::Bound;

use crate::filter::{MULTI_LEVEL, SINGLE_LEVEL};
use crate::{TopicFilter, TopicName};

/// Values by topic name, which can be asked for all that a filter matches.
///
/// The names stand in one ordered map, so that all that lies below a name follows it directly. A
/// scan leaps through it: from a name that does not match it seeks the first after it that may. So
/// it costs the matches, and a seek for each part of the tree that it must look into: `a/+/c`
/// looks below every `a/*`, and nowhere else.
#[derive(Debug, Clone)]
pub struct NameTree<V> {
    /// By name, with [`SEPARATOR`] for `/`.
    names: BTreeMap<Box<str>, V>,
}

/// Stands for `/` in the keys. No name contains it \[MQTT-4.7.3-2\], and it is the least of all
/// characters: so the order of strings is the order by levels.
const SEPARATOR: char = '\0';
/// The next after [`SEPARATOR`]: a key with this appended is greater than all that lies below the key.
const PAST_SEPARATOR: char = '\u{1}';

/// Where a scan goes on. It stays good whatever is inserted or removed meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(Box<str>);

/// One step of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan<V> {
    /// What matches, level by level in order; perhaps nothing although there is more to come.
    pub matches: Vec<(String, V)>,
    /// Where to go on; `None` when the scan is over.
    pub next: Option<Cursor>,
}

impl<V: Clone> NameTree<V> {
    /// An empty tree.
    pub fn new() -> Self {
        Self {
            names: BTreeMap::new(),
        }
    }

    /// Sets the value of `name` and returns the one before.
    pub fn insert(&mut self, name: TopicName<'_>, value: V) -> Option<V> {
        self.names.insert(key(name).into_boxed_str(), value)
    }

    /// Removes `name` and returns its value.
    pub fn remove(&mut self, name: TopicName<'_>) -> Option<V> {
        self.names.remove(key(name).as_str())
    }

    /// The value of `name`.
    pub fn get(&self, name: TopicName<'_>) -> Option<&V> {
        self.names.get(key(name).as_str())
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Looks at `limit` names, at least one, from where an earlier step with the same filter ended.
    ///
    /// A name that is there from the first step to the last is found exactly once.
    pub fn scan(&self, filter: TopicFilter<'_>, from: Option<&Cursor>, limit: usize) -> Scan<V> {
        let mut matches = Vec::new();
        let mut names = match from {
            Some(cursor) => self.from(&cursor.0),
            None => self.from(&least_match(filter.levels())),
        };
        for _ in 0..limit.max(1) {
            let Some((key, value)) = names.next() else {
                return Scan {
                    matches,
                    next: None,
                };
            };
            match leap(filter, key) {
                Leap::Match => matches.push((name(key), value.clone())),
                Leap::To(target) => names = self.from(&target),
                Leap::End => {
                    return Scan {
                        matches,
                        next: None,
                    };
                }
            }
        }
        let next = names.next().map(|(key, _)| Cursor(key.clone()));
        Scan { matches, next }
    }

    fn from(&self, least: &str) -> Range<'_, Box<str>, V> {
        self.names
            .range::<str, _>((Bound::Included(least), Bound::Unbounded))
    }
}

impl<V: Clone> Default for NameTree<V> {
    fn default() -> Self {
        Self::new()
    }
}

/// What a scan does at a key.
enum Leap {
    /// Takes it and goes on with the next.
    Match,
    /// Nothing between the key and this one matches.
    To(String),
    /// Neither the key nor any after it matches.
    End,
}

fn leap(filter: TopicFilter<'_>, key: &str) -> Leap {
    if filter.starts_with_wildcard() && key.starts_with('$') {
        return Leap::To("%".to_owned()); // the character after `$` [MQTT-4.7.2-1]
    }
    let mut wanted_levels = filter.levels();
    let mut given_levels = key.split(SEPARATOR);
    let mut passed_wildcard = false;
    // Where the level begins that is looked at. What is before it matches.
    let mut start = 0;
    loop {
        let rest = wanted_levels.clone();
        let beyond = |start: usize| match passed_wildcard {
            true => Leap::To(format!("{}{PAST_SEPARATOR}", &key[..start - 1])),
            false => Leap::End,
        };
        match (wanted_levels.next(), given_levels.next()) {
            (Some(MULTI_LEVEL), _) | (None, None) => return Leap::Match,
            (None, Some(_)) => return beyond(start),
            (Some(_), None) => return Leap::To(format!("{key}{SEPARATOR}{}", least_match(rest))),
            (Some(SINGLE_LEVEL), Some(given)) => {
                passed_wildcard = true;
                start += given.len() + 1;
            }
            (Some(wanted), Some(given)) => match given.cmp(wanted) {
                Ordering::Equal => start += given.len() + 1,
                Ordering::Less => {
                    return Leap::To(format!("{}{}", &key[..start], least_match(rest)));
                }
                Ordering::Greater => return beyond(start),
            },
        }
    }
}

/// A key that is not greater than any that matches these levels.
fn least_match<'a>(levels: impl Iterator<Item = &'a str>) -> String {
    let mut least = String::new();
    for (depth, level) in levels.enumerate() {
        if level == MULTI_LEVEL {
            break; // it matches its parent, too
        }
        if depth > 0 {
            least.push(SEPARATOR);
        }
        if level == SINGLE_LEVEL {
            break;
        }
        least.push_str(level);
    }
    least
}

fn key(name: TopicName<'_>) -> String {
    name.as_str()
        .chars()
        .map(|c| if c == '/' { SEPARATOR } else { c })
        .collect()
}

fn name(key: &str) -> String {
    key.chars()
        .map(|c| if c == SEPARATOR { '/' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(names: &[&str]) -> NameTree<usize> {
        let mut tree = NameTree::new();
        for (value, name) in names.iter().enumerate() {
            tree.insert(TopicName::new(name).expect("a name"), value);
        }
        tree
    }

    fn matches(tree: &NameTree<usize>, filter: &str) -> Vec<String> {
        let scan = tree.scan(
            TopicFilter::new(filter).expect("a filter"),
            None,
            usize::MAX,
        );
        assert_eq!(scan.next, None);
        scan.matches.into_iter().map(|(name, _)| name).collect()
    }

    /// How many steps of one name each a whole scan takes.
    fn visits(tree: &NameTree<usize>, filter: &str) -> usize {
        let filter = TopicFilter::new(filter).expect("a filter");
        let mut visits = 0;
        let mut cursor = None;
        loop {
            visits += 1;
            cursor = tree.scan(filter, cursor.as_ref(), 1).next;
            if cursor.is_none() {
                return visits;
            }
        }
    }

    #[test]
    fn a_scan_finds_what_the_filter_matches() {
        let tree = tree(&[
            "a", "a/b", "a b", "a/b/c", "a/", "/a", "/", "b/b/c", "$SYS/b", "$",
        ]);
        assert_eq!(
            matches(&tree, "#"),
            ["/", "/a", "a", "a/", "a/b", "a/b/c", "a b", "b/b/c"]
        );
        assert_eq!(matches(&tree, "+"), ["a", "a b"]);
        assert_eq!(matches(&tree, "a/#"), ["a", "a/", "a/b", "a/b/c"]);
        assert_eq!(matches(&tree, "+/b/c"), ["a/b/c", "b/b/c"]);
        assert_eq!(matches(&tree, "+/+"), ["/", "/a", "a/", "a/b"]);
        assert_eq!(matches(&tree, "$SYS/+"), ["$SYS/b"]);
        assert_eq!(matches(&tree, "a/b"), ["a/b"]);
        assert!(matches(&tree, "c/#").is_empty());
    }

    #[test]
    fn values_are_replaced_and_removed() {
        let mut tree = tree(&["a/b"]);
        let name = TopicName::new("a/b").expect("a name");
        assert_eq!(tree.insert(name, 7), Some(0));
        assert_eq!(tree.get(name), Some(&7));
        assert_eq!(tree.len(), 1);
        assert_eq!(tree.remove(name), Some(7));
        assert_eq!(tree.remove(name), None);
        assert!(tree.is_empty());
    }

    #[test]
    fn a_scan_looks_only_where_it_must() {
        let names: Vec<String> = (0..100)
            .flat_map(|i| (0..100).map(move |j| format!("site{i:02}/device{j:02}/state")))
            .collect();
        let tree = tree(&names.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(visits(&tree, "site50/device50/state") <= 2);
        assert!(visits(&tree, "site50/device50/#") <= 2);
        assert!(visits(&tree, "site50/+/state") <= 102);
        // Per site: the first device, the sought one, and what follows it.
        assert!(visits(&tree, "+/device50/state") <= 301);
        assert_eq!(visits(&tree, "nowhere/+/state"), 1);
    }

    #[test]
    fn a_step_looks_at_no_more_than_its_limit() {
        let tree = tree(&["a/1", "a/2", "a/3", "b/1"]);
        let filter = TopicFilter::new("+/1").expect("a filter");
        let first = tree.scan(filter, None, 2);
        assert_eq!(first.matches, [("a/1".to_owned(), 0)]);
        let second = tree.scan(filter, first.next.as_ref(), 2);
        assert_eq!(second.matches, [("b/1".to_owned(), 3)]);
        assert_eq!(second.next, None);
    }
}
