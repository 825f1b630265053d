//! What the log has done, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a log has done since it was opened. Each number only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Syncs of files and of the directory.
    pub syncs: u64,
    /// Batches committed.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes written, frames and headers included.
    pub bytes: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    syncs: AtomicU64,
    batches: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    pub fn synced(&self) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
    }

    pub fn wrote(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn committed(&self, records: u32) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.records
            .fetch_add(u64::from(records), Ordering::Relaxed);
    }

    pub fn read(&self) -> Counts {
        Counts {
            syncs: self.syncs.load(Ordering::Relaxed),
            batches: self.batches.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}
