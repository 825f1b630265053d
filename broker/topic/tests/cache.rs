//! What a worker's cache keeps, and for how long.

use std::sync::Arc;

use dunlin_topic::{Cache, CacheLimits, Index, Target, TopicFilter, TopicName};

/// A target that says how many copies of it there are.
#[derive(Clone)]
struct Counted(Arc<()>);

impl Target for Counted {
    type Key = usize;

    fn key(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }
}

/// A filter's target that was looked up and then removed: the cache alone knows it.
fn outdated(limits: CacheLimits) -> (Index<Counted>, Cache<Counted>, Arc<()>) {
    let (index, mut cache) = (Index::new(), Cache::new(limits));
    let counted = Arc::new(());
    let filter = TopicFilter::new("a/+").expect("a valid filter");
    let topic = TopicName::new("a/b").expect("a valid name");
    let target = Counted(Arc::clone(&counted));
    let key = target.key();
    index.insert(filter, target);
    assert_eq!(index.lookup(topic, &mut cache).len(), 1);
    assert!(index.remove(filter, &key).is_some());
    (index, cache, counted)
}

#[test]
fn a_whole_round_of_sweeps_lets_go_of_what_is_out_of_date() {
    let limits = CacheLimits::default();
    let (index, mut cache, counted) = outdated(limits);
    assert!(Arc::strong_count(&counted) > 1);
    for _ in 0..limits.entries / 64 {
        index.sweep(&mut cache, 64);
    }
    assert_eq!(Arc::strong_count(&counted), 1);
}

#[test]
fn the_next_sweep_lets_go_of_an_answer_too_large_to_keep() {
    let (index, mut cache, counted) = outdated(CacheLimits {
        entries: 64,
        bytes: 0,
    });
    index.sweep(&mut cache, 1);
    assert_eq!(Arc::strong_count(&counted), 1);
}

#[test]
fn a_new_answer_takes_the_place_of_the_one_for_its_topic() {
    let (index, mut cache, counted) = outdated(CacheLimits::default());
    let topic = TopicName::new("a/b").expect("a valid name");
    assert!(index.lookup(topic, &mut cache).is_empty());
    assert_eq!(Arc::strong_count(&counted), 1);
}

#[test]
fn a_cleared_cache_keeps_nothing() {
    let (_index, mut cache, counted) = outdated(CacheLimits::default());
    cache.clear();
    assert_eq!(Arc::strong_count(&counted), 1);
}

#[test]
fn a_sweep_keeps_what_is_current() {
    let (index, mut cache, counted) = outdated(CacheLimits::default());
    let topic = TopicName::new("a/b").expect("a valid name");
    let filter = TopicFilter::new("+/b").expect("a valid filter");
    index.insert(filter, Counted(Arc::clone(&counted)));
    index.lookup(topic, &mut cache);
    let copies = Arc::strong_count(&counted);
    index.sweep(&mut cache, CacheLimits::default().entries);
    assert_eq!(Arc::strong_count(&counted), copies);
}

#[test]
fn an_answer_makes_room_for_the_next_within_the_limit_in_bytes() {
    let (index, counted) = (Index::new(), Arc::new(()));
    let filter = TopicFilter::new("+").expect("a valid filter");
    index.insert(filter, Counted(Arc::clone(&counted)));
    // A topic of 8 bytes and a target of 8 are an eighth of this.
    let mut cache = Cache::new(CacheLimits {
        entries: 4096,
        bytes: 128,
    });
    for n in 0..1000 {
        let topic = format!("topic{n:03}");
        index.lookup(TopicName::new(&topic).expect("a valid name"), &mut cache);
    }
    let held = Arc::strong_count(&counted) - 2;
    assert_eq!(held, 8);
}

#[test]
fn a_cache_keeps_as_many_answers_as_there_is_room_for() {
    let (index, counted) = (Index::new(), Arc::new(()));
    let filter = TopicFilter::new("+").expect("a valid filter");
    index.insert(filter, Counted(Arc::clone(&counted)));
    let mut cache = Cache::new(CacheLimits::default());
    for n in 0..30 {
        let topic = format!("topic{n:03}");
        index.lookup(TopicName::new(&topic).expect("a valid name"), &mut cache);
    }
    assert_eq!(Arc::strong_count(&counted) - 2, 30);
}

#[test]
fn a_full_cache_gives_up_one_answer_for_each_new_one() {
    let (index, counted) = (Index::new(), Arc::new(()));
    let filter = TopicFilter::new("+").expect("a valid filter");
    index.insert(filter, Counted(Arc::clone(&counted)));
    let mut cache = Cache::new(CacheLimits {
        entries: 4,
        bytes: 128,
    });
    for n in 0..100 {
        let topic = format!("topic{n:03}");
        index.lookup(TopicName::new(&topic).expect("a valid name"), &mut cache);
        assert_eq!(Arc::strong_count(&counted) - 2, 4.min(n + 1));
    }
}

#[test]
fn a_current_answer_is_given_again() {
    let (index, mut cache) = (Index::new(), Cache::new(CacheLimits::default()));
    for filter in ["a/+", "+/b"] {
        let filter = TopicFilter::new(filter).expect("a valid filter");
        index.insert(filter, Counted(Arc::default()));
    }
    let topic = TopicName::new("a/b").expect("a valid name");
    let mut lookup = || {
        index
            .lookup(topic, &mut cache)
            .wildcard
            .clone()
            .expect("two")
    };
    let (first, second) = (lookup(), lookup());
    assert!(Arc::ptr_eq(&first, &second));
}

#[test]
fn changes_elsewhere_leave_an_answer_as_it_is() {
    let (index, mut cache) = (Index::new(), Cache::new(CacheLimits::default()));
    let insert = |filter: &str| {
        let filter = TopicFilter::new(filter).expect("a valid filter");
        index.insert(filter, Counted(Arc::default()));
    };
    insert("a/+");
    insert("+/b");
    let topic = TopicName::new("a/b").expect("a valid name");
    let mut lookup = || {
        index
            .lookup(topic, &mut cache)
            .wildcard
            .clone()
            .expect("two")
    };
    for below in ["+/c", "c/+", "c"] {
        let kept = (0..20).filter(|n| {
            let before = lookup();
            insert(&format!("elsewhere{n}/{below}"));
            Arc::ptr_eq(&before, &lookup())
        });
        // Few topics share what counts their changes.
        assert!(kept.count() > 15, "{below}");
    }
}
