//! Who waits for which batch.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

/// The wakers of those who wait, and up to where nobody has to.
pub(crate) struct Waiting {
    committed: AtomicU64,
    // A handful of batches wait at a time; locked for the push of one waker, or to take those of a
    // batch. Wakers are never woken under it.
    wakers: Mutex<BTreeMap<u64, Vec<Waker>>>,
}

impl Waiting {
    pub fn new(committed: u64) -> Self {
        Waiting {
            committed: AtomicU64::new(committed),
            wakers: Mutex::default(),
        }
    }

    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// Keeps the waker until `position` is committed; false if it is already.
    pub fn wake_at(&self, position: u64, waker: &Waker) -> bool {
        let mut wakers = self.wakers.lock();
        // Under the lock: `commit` stores first and takes the wakers afterwards.
        if self.committed() >= position {
            return false;
        }
        wakers.entry(position).or_default().push(waker.clone());
        true
    }

    /// Everything up to `position` is committed: wakes those who waited for it.
    pub fn commit(&self, position: u64) {
        self.committed.fetch_max(position, Ordering::AcqRel);
        let due = {
            let mut wakers = self.wakers.lock();
            let later = wakers.split_off(&(position + 1));
            std::mem::replace(&mut *wakers, later)
        };
        for waker in due.into_values().flatten() {
            waker.wake();
        }
    }
}
