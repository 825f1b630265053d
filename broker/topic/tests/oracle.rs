//! The indexes against naive twins that apply `TopicFilter::matches` to everything they hold.

use std::collections::{BTreeMap, BTreeSet};

use dunlin_topic::{Cache, CacheLimits, Index, NameTree, Target, TopicFilter, TopicName};
use proptest::prelude::*;

/// A subscriber with its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Client {
    id: u8,
    options: u8,
}

impl Target for Client {
    type Key = u8;

    fn key(&self) -> u8 {
        self.id
    }
}

#[derive(Debug, Clone)]
enum Step {
    Insert(String, Client),
    Remove(String, u8),
    Lookup(String),
}

/// So few levels that filters share beginnings, match often, and come back after removal.
fn name() -> impl Strategy<Value = String> {
    let level = prop::sample::select(vec!["", "a", "b", "ab", "$x"]);
    prop::collection::vec(level, 1..6).prop_map(joined)
}

fn filter() -> impl Strategy<Value = String> {
    let level = prop::sample::select(vec!["", "a", "b", "ab", "$x", "+", "+", "+"]);
    (
        prop::collection::vec(level, 0..5),
        prop::option::of(Just("#")),
    )
        .prop_map(|(levels, last)| joined(levels.into_iter().chain(last).collect()))
}

/// The levels as one topic. One empty level alone is none; the nearest that is stands for it.
fn joined(levels: Vec<&str>) -> String {
    match levels.join("/") {
        empty if empty.is_empty() => "/".to_owned(),
        topic => topic,
    }
}

fn step(clients: u8) -> impl Strategy<Value = Step> {
    let client = (0..clients, any::<u8>()).prop_map(|(id, options)| Client { id, options });
    prop_oneof![
        3 => (filter(), client).prop_map(|(filter, client)| Step::Insert(filter, client)),
        2 => (filter(), 0..clients).prop_map(|(filter, id)| Step::Remove(filter, id)),
        2 => name().prop_map(Step::Lookup),
    ]
}

#[derive(Default)]
struct NaiveIndex(BTreeMap<(String, u8), Client>);

impl NaiveIndex {
    fn has(&self, filter: &str) -> bool {
        self.0.keys().any(|(present, _)| present == filter)
    }

    fn matching(&self, topic: TopicName<'_>, wildcards: bool) -> Vec<Client> {
        let mut matching: Vec<_> = self
            .0
            .iter()
            .filter(|((filter, _), _)| {
                let filter = TopicFilter::new(filter).expect("a valid filter");
                filter.has_wildcards() == wildcards && filter.matches(topic)
            })
            .map(|(_, client)| *client)
            .collect();
        matching.sort_unstable();
        matching
    }
}

fn sorted(targets: Option<&[Client]>) -> Vec<Client> {
    let mut targets = targets.unwrap_or_default().to_vec();
    targets.sort_unstable();
    targets
}

fn run(steps: Vec<Step>, limits: CacheLimits) -> Result<(), TestCaseError> {
    let index = Index::new();
    let mut twin = NaiveIndex::default();
    let mut cache = Cache::new(limits);
    for step in steps {
        match step {
            Step::Insert(filter, client) => {
                let first = !twin.has(&filter);
                let inserted = index.insert(TopicFilter::new(&filter).expect("valid"), client);
                prop_assert_eq!(inserted.first, first);
                prop_assert_eq!(
                    inserted.replaced,
                    twin.0.insert((filter, client.id), client)
                );
            }
            Step::Remove(filter, id) => {
                let removed = index.remove(TopicFilter::new(&filter).expect("valid"), &id);
                let expected = twin.0.remove(&(filter.clone(), id));
                prop_assert_eq!(removed.as_ref().map(|removed| removed.target), expected);
                prop_assert!(removed.is_none_or(|removed| removed.last != twin.has(&filter)));
            }
            Step::Lookup(name) => {
                let topic = TopicName::new(&name).expect("valid");
                let matches = index.lookup(topic, &mut cache);
                prop_assert_eq!(
                    sorted(matches.exact.as_deref()),
                    twin.matching(topic, false)
                );
                prop_assert_eq!(
                    sorted(matches.wildcard.as_deref()),
                    twin.matching(topic, true)
                );
                prop_assert_eq!(matches.iter().count(), matches.len());
                prop_assert_eq!(matches.is_empty(), matches.iter().next().is_none());
                let keys: BTreeSet<_> = matches.iter().map(Target::key).collect();
                prop_assert_eq!(matches.repeats, keys.len() < matches.len());
            }
        }
        prop_assert_eq!(index.len(), twin.0.len());
        prop_assert_eq!(index.is_empty(), twin.0.is_empty());
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_index_agrees_with_its_naive_twin(steps in prop::collection::vec(step(3), 0..120)) {
        run(steps, CacheLimits::default())?;
    }

    #[test]
    fn so_it_does_with_many_targets_and_a_tiny_cache(steps in prop::collection::vec(step(40), 0..400)) {
        run(steps, CacheLimits { entries: 4, bytes: 256 })?;
    }

    #[test]
    fn covers_and_overlaps_agree_with_all_names(left in short_filter(), right in short_filter()) {
        let (left, right) = (TopicFilter::new(&left).expect("valid"), TopicFilter::new(&right).expect("valid"));
        let (mut covers, mut overlaps) = (true, false);
        for name in all_names() {
            let name = TopicName::new(&name).expect("valid");
            covers &= left.matches(name) || !right.matches(name);
            overlaps |= left.matches(name) && right.matches(name);
        }
        prop_assert_eq!(left.covers(right), covers);
        prop_assert_eq!(left.overlaps(right), overlaps);
    }

    #[test]
    fn the_name_tree_agrees_with_its_naive_twin(
        names in prop::collection::vec((name(), any::<Option<u8>>()), 0..60),
        filter in filter(),
        limit in 1..5_usize,
    ) {
        let mut tree = NameTree::new();
        let mut twin = BTreeMap::new();
        for (text, value) in names {
            let name = TopicName::new(&text).expect("valid");
            prop_assert_eq!(tree.get(name), twin.get(&text));
            match value {
                Some(value) => prop_assert_eq!(tree.insert(name, value), twin.insert(text, value)),
                None => prop_assert_eq!(tree.remove(name), twin.remove(&text)),
            }
            prop_assert_eq!(tree.len(), twin.len());
            prop_assert_eq!(tree.is_empty(), twin.is_empty());
        }
        let filter = TopicFilter::new(&filter).expect("valid");
        let mut found = BTreeMap::new();
        let mut cursor = None;
        loop {
            let scan = tree.scan(filter, cursor.as_ref(), limit);
            prop_assert!(scan.matches.len() <= limit);
            for (name, value) in scan.matches {
                prop_assert_eq!(found.insert(name, value), None, "found twice");
            }
            cursor = scan.next;
            if cursor.is_none() {
                break;
            }
        }
        twin.retain(|name, _| filter.matches(TopicName::new(name).expect("valid")));
        prop_assert_eq!(found, twin);
    }

    #[test]
    fn a_scan_survives_changes_between_its_steps(
        staying in prop::collection::btree_set(name(), 1..30),
        passing in prop::collection::btree_set(name(), 1..30),
        filter in filter(),
    ) {
        let mut tree = NameTree::new();
        for text in &staying {
            tree.insert(TopicName::new(text).expect("valid"), ());
        }
        let passing: Vec<_> = passing.difference(&staying).collect();
        let filter = TopicFilter::new(&filter).expect("valid");
        let mut found = Vec::new();
        let mut cursor = None;
        for turn in 0.. {
            let scan = tree.scan(filter, cursor.as_ref(), 2);
            found.extend(scan.matches.into_iter().map(|(name, ())| name));
            cursor = scan.next;
            if cursor.is_none() {
                break;
            }
            for (at, text) in passing.iter().enumerate() {
                let name = TopicName::new(text).expect("valid");
                if (at + turn) % 2 == 0 { tree.insert(name, ()) } else { tree.remove(name) };
            }
        }
        for text in &staying {
            let times = found.iter().filter(|name| *name == text).count();
            let expected = filter.matches(TopicName::new(text).expect("valid"));
            prop_assert_eq!(times, usize::from(expected), "{}", text);
        }
    }
}

/// Few enough levels that [`all_names`] can be all names.
fn short_filter() -> impl Strategy<Value = String> {
    let level = prop::sample::select(vec!["", "a", "$x", "+", "+"]);
    (
        prop::collection::vec(level, 0..4),
        prop::option::of(Just("#")),
    )
        .prop_map(|(levels, last)| joined(levels.into_iter().chain(last).collect()))
}

/// Every name of up to five levels, one more than the filters have. One level that no filter spells
/// stands for all such.
fn all_names() -> Vec<String> {
    const LEVELS: [&str; 4] = ["", "a", "$x", "other"];
    let mut names: Vec<String> = LEVELS.iter().map(ToString::to_string).collect();
    let mut longest = names.clone();
    for _ in 1..5 {
        let longer = longest
            .iter()
            .flat_map(|name| LEVELS.map(|level| format!("{name}/{level}")));
        longest = longer.collect();
        names.extend_from_slice(&longest);
    }
    names.retain(|name| !name.is_empty());
    names
}
