//! A bound on how many slow hashes are computed at a time.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit},
    task::spawn_blocking,
};

/// Computes slow hashes away from the workers, a few at a time, with a bounded queue.
///
/// Shared by all listeners: it bounds the CPU and memory (19 MiB for one of our hashes)
/// that clients with wrong passwords can claim.
#[derive(Debug)]
pub struct HashingPool {
    /// One for each hash being computed.
    slots: Arc<Semaphore>,
    /// One for each client that computes or waits.
    places: Semaphore,
}

/// The right to compute one hash now.
pub(super) struct Slot<'a> {
    /// Goes with the computation, which goes on when nobody waits for it any more.
    slot: OwnedSemaphorePermit,
    _place: SemaphorePermit<'a>,
}

impl HashingPool {
    /// Computes `concurrent` hashes at a time (at least one) and lets `max_waiting` more wait.
    pub fn new(concurrent: usize, max_waiting: usize) -> Self {
        let concurrent = concurrent.clamp(1, Semaphore::MAX_PERMITS / 2);
        let max_waiting = max_waiting.min(Semaphore::MAX_PERMITS / 2);
        Self {
            slots: Arc::new(Semaphore::new(concurrent)),
            places: Semaphore::new(concurrent + max_waiting),
        }
    }

    /// Waits for a slot; `None` at once if too many wait already.
    pub(super) async fn slot(&self) -> Option<Slot<'_>> {
        let place = self.places.try_acquire().ok()?;
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        Some(Slot {
            slot,
            _place: place,
        })
    }
}

impl Default for HashingPool {
    /// Half of the CPUs; a queue that one of them works off in about 20 s.
    fn default() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(cpus / 2, 1024)
    }
}

impl Slot<'_> {
    /// Runs `task` on a thread that may block; `None` if the runtime shuts down.
    pub(super) async fn run<T: Send + 'static>(
        self,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let slot = self.slot;
        let result = spawn_blocking(move || {
            let result = task();
            drop(slot);
            result
        });
        result.await.ok()
    }
}
