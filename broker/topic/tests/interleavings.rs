//! The interleavings of writers and readers around a cached answer, explored by loom.
//!
//! The file under test is compiled a second time, on loom's atomics.

#[path = "../src/index/generation.rs"]
mod generation;

mod sync {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
}

use generation::{Generation, Stamped};
use loom::sync::Arc;
use loom::thread;
use sync::{AtomicU64, Ordering};

/// A part of the index: what it holds is read and written without any order of its own, so that
/// the generation alone must carry the change over.
#[derive(Default)]
struct Part {
    data: AtomicU64,
    generation: Generation,
}

impl Part {
    fn insert(&self) {
        self.data.store(1, Ordering::Relaxed);
        self.generation.advance();
    }
}

type Parts = [Part; 3];

fn generations(parts: &Parts) -> [&Generation; 3] {
    parts.each_ref().map(|part| &part.generation)
}

fn read(parts: &Parts) -> Stamped<[u64; 3]> {
    Stamped::read(generations(parts), || {
        parts
            .each_ref()
            .map(|part| part.data.load(Ordering::Relaxed))
    })
}

/// As `Index::lookup` does it.
fn lookup(parts: &Parts, cached: &mut Stamped<[u64; 3]>) -> [u64; 3] {
    if !cached.is_current(generations(parts)) {
        *cached = read(parts);
    }
    *cached.value()
}

/// Every interleaving with up to three preemptions; without a bound two writers take minutes.
fn explore(scenario: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(scenario);
}

#[test]
fn a_lookup_after_insert_returned_sees_it() {
    explore(|| {
        let parts = Arc::new(Parts::default());
        let writer = thread::spawn({
            let parts = Arc::clone(&parts);
            move || parts[1].insert()
        });
        // Cached at any moment of the insert.
        let mut cached = read(&parts);
        writer.join().expect("the writer returns");
        assert_eq!(lookup(&parts, &mut cached), [0, 1, 0]);
    });
}

#[test]
fn lookups_beside_two_inserts_never_go_stale_or_back() {
    explore(|| {
        let parts = Arc::new(Parts::default());
        let writers = [0, 2].map(|part| {
            let parts = Arc::clone(&parts);
            thread::spawn(move || parts[part].insert())
        });
        let mut cached = read(&parts);
        let before = lookup(&parts, &mut cached);
        let after = lookup(&parts, &mut cached);
        assert!(
            before
                .iter()
                .zip(&after)
                .all(|(before, after)| before <= after)
        );
        for writer in writers {
            writer.join().expect("the writer returns");
        }
        assert_eq!(lookup(&parts, &mut cached), [1, 0, 1]);
    });
}

/// Two inserts into one part: the second must not hide the first.
#[test]
fn a_lookup_after_two_inserts_into_one_part_sees_both() {
    explore(|| {
        let parts = Arc::new(Parts::default());
        let other = Arc::new(AtomicU64::new(0));
        let writer = thread::spawn({
            let (parts, other) = (Arc::clone(&parts), Arc::clone(&other));
            move || {
                other.store(1, Ordering::Relaxed);
                parts[0].generation.advance();
            }
        });
        let second = thread::spawn({
            let parts = Arc::clone(&parts);
            move || parts[0].insert()
        });
        let read = || {
            Stamped::read(generations(&parts), || {
                (
                    other.load(Ordering::Relaxed),
                    parts[0].data.load(Ordering::Relaxed),
                )
            })
        };
        let mut cached = read();
        writer.join().expect("the writer returns");
        second.join().expect("the writer returns");
        if !cached.is_current(generations(&parts)) {
            cached = read();
        }
        assert_eq!(*cached.value(), (1, 1));
    });
}
