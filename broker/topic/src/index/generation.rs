//! How a cached answer learns that it is out of date, without a lock.
//!
//! A writer changes the data and then advances a generation; a reader takes the generations first
//! and then reads the data. So an answer that carries the present generations is not older than
//! the last change whose writer has returned.

use crate::sync::{AtomicU64, Ordering};

/// Counts the changes to some part of the index.
#[derive(Default)]
pub(crate) struct Generation(AtomicU64);

impl Generation {
    /// To be called after the change can be read.
    pub(crate) fn advance(&self) {
        // Release: who sees this number, or one after it, sees the change.
        self.0.fetch_add(1, Ordering::Release);
    }

    fn current(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// A value that was read from parts of the index.
pub(crate) struct Stamped<V> {
    /// The sum of the parts' generations before the value was read. They only grow, so the sum is
    /// the same only if each is.
    stamp: u64,
    value: V,
}

impl<V> Stamped<V> {
    /// Runs `read`, which reads the parts that `generations` count.
    pub(crate) fn read(generations: [&Generation; 3], read: impl FnOnce() -> V) -> Self {
        let stamp = sum(generations);
        Self {
            stamp,
            value: read(),
        }
    }

    /// Whether none of the parts has changed since. They must be those that were read.
    pub(crate) fn is_current(&self, generations: [&Generation; 3]) -> bool {
        self.stamp == sum(generations)
    }

    pub(crate) fn value(&self) -> &V {
        &self.value
    }
}

fn sum(generations: [&Generation; 3]) -> u64 {
    generations.into_iter().map(Generation::current).sum()
}
