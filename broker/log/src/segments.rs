//! Which segments there are, and their bytes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// The segments on disk.
pub(crate) struct Segments {
    // Locked for a change of one entry, or to read both ends; never during input or output.
    bytes_of: Mutex<BTreeMap<u64, u64>>,
    bytes: AtomicU64,
}

impl Segments {
    pub fn new(bytes_of: BTreeMap<u64, u64>) -> Self {
        Segments {
            bytes: AtomicU64::new(bytes_of.values().sum()),
            bytes_of: Mutex::new(bytes_of),
        }
    }

    /// A segment has grown, or came to be.
    pub fn grew(&self, segment: u64, bytes: u64) {
        *self.bytes_of.lock().entry(segment).or_default() += bytes;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A segment is gone.
    pub fn removed(&self, segment: u64) {
        if let Some(bytes) = self.bytes_of.lock().remove(&segment) {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Those before `segment`, oldest first.
    pub fn before(&self, segment: u64) -> Vec<u64> {
        self.bytes_of
            .lock()
            .range(..segment)
            .map(|(&number, _)| number)
            .collect()
    }

    /// The oldest and the newest.
    pub fn ends(&self) -> (u64, u64) {
        let segments = self.bytes_of.lock();
        let first = segments.first_key_value().map_or(0, |(&number, _)| number);
        let last = segments.last_key_value().map_or(0, |(&number, _)| number);
        (first, last)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}
