//! Real threads on one index: what an insert or remove has returned, a lookup sees.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use dunlin_topic::{Cache, CacheLimits, Index, Target, TopicFilter, TopicName};

#[derive(Clone)]
struct Client(u32);

impl Target for Client {
    type Key = u32;

    fn key(&self) -> u32 {
        self.0
    }
}

const ROUNDS: u32 = 2_000;

fn filter(text: &str) -> TopicFilter<'_> {
    TopicFilter::new(text).expect("a valid filter")
}

fn finds(index: &Index<Client>, cache: &mut Cache<Client>, topic: &str, id: u32) -> bool {
    let topic = TopicName::new(topic).expect("a valid name");
    index
        .lookup(topic, cache)
        .iter()
        .any(|client| client.0 == id)
}

/// Each thread changes filters of every kind beside the others', and looks at once.
#[test]
fn every_thread_sees_its_own_changes_at_once() {
    let index = Index::new();
    let filters = [
        "device/+/state",
        "device/7/#",
        "device/7/state",
        "#",
        "+/7/state",
        "device/#",
    ];
    thread::scope(|scope| {
        for id in 0..4 {
            let index = &index;
            scope.spawn(move || {
                let mut cache = Cache::new(CacheLimits::default());
                for round in 0..ROUNDS {
                    let filter = filter(filters[(round + id) as usize % filters.len()]);
                    assert!(!finds(index, &mut cache, "device/7/state", id));
                    assert!(index.insert(filter, Client(id)).replaced.is_none());
                    assert!(finds(index, &mut cache, "device/7/state", id), "{filter}");
                    assert!(index.remove(filter, &id).is_some());
                }
            });
        }
    });
    assert!(index.is_empty());
}

/// Writers come and go on filters that share nodes with one that stays.
#[test]
fn a_filter_that_stays_is_always_found() {
    let index = Index::new();
    let staying = ["a/b/+/d", "a/b/c/#", "a/b/c/d"];
    for text in staying {
        index.insert(filter(text), Client(0));
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for id in 1..3 {
            let (index, stop) = (&index, &stop);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    for text in [
                        "a/b/+",
                        "a/b/+/d/e",
                        "a/b/c/+/e",
                        "a/b/#",
                        "a/b/c/d",
                        "a/b/+/d",
                    ] {
                        index.insert(filter(text), Client(id));
                    }
                    for text in [
                        "a/b/+/d/e",
                        "a/b/+",
                        "a/b/c/d",
                        "a/b/#",
                        "a/b/c/+/e",
                        "a/b/+/d",
                    ] {
                        assert!(index.remove(filter(text), &id).is_some(), "{text} {round}");
                    }
                }
                stop.store(true, Ordering::Relaxed);
            });
        }
        let mut cache = Cache::new(CacheLimits::default());
        let topic = TopicName::new("a/b/c/d").expect("a valid name");
        while !stop.load(Ordering::Relaxed) {
            let matches = index.lookup(topic, &mut cache);
            assert_eq!(
                matches.iter().filter(|client| client.0 == 0).count(),
                staying.len()
            );
        }
    });
    assert_eq!(index.len(), staying.len());
}

/// A filter whose targets pass between a slice and a group while others read it.
#[test]
fn a_group_grows_and_shrinks_under_readers() {
    let index = Index::new();
    index.insert(filter("news/#"), Client(0));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS / 40 {
                (1..40).for_each(|id| assert!(!index.insert(filter("news/#"), Client(id)).first));
                (1..40).for_each(|id| assert!(index.remove(filter("news/#"), &id).is_some()));
            }
            stop.store(true, Ordering::Relaxed);
        });
        let mut cache = Cache::new(CacheLimits::default());
        while !stop.load(Ordering::Relaxed) {
            assert!(finds(&index, &mut cache, "news/today", 0));
        }
    });
    assert_eq!(index.len(), 1);
}
