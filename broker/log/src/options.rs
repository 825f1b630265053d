//! How a log is kept.

use std::hash::{BuildHasher, RandomState};

/// The largest [`Options::segment_bytes`]: 1 GiB.
pub const MAX_SEGMENT_BYTES: u64 = 1 << 30;

/// When a record counts as committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once it is synced: it survives power loss.
    #[default]
    Fsync,
    /// Once the operating system has it: it survives the process, and a power loss takes at most
    /// what the system had not written yet (usually the last 30 s), from the end.
    Os,
}

/// How a log is kept. Each field's default is right for a broker; take
/// `Options { .., ..Options::default() }`.
#[derive(Clone, Debug)]
pub struct Options {
    /// When a record counts as committed.
    pub durability: Durability,
    /// A segment that has reached this many bytes is followed by the next; 64 MiB, at most
    /// [`MAX_SEGMENT_BYTES`]. Space is reclaimed by whole segments: smaller ones cost more syncs.
    pub segment_bytes: u64,
    /// Bytes appended and not yet committed, above which [`Log::append`](crate::Log::append) waits;
    /// 64 MiB.
    pub buffer_bytes: usize,
    /// Free bytes on the disk below which the log reports that it is full, while it still goes on
    /// writing; 256 MiB. What runs below it: compaction, and what is already under way.
    pub low_space_bytes: u64,
    /// Marks the segments that this process creates, so that bytes of a record cannot pass for a
    /// frame of the log. Drawn at random by `default()`; fixed where a test wants the same bytes.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            durability: Durability::Fsync,
            segment_bytes: 64 << 20,
            buffer_bytes: 64 << 20,
            low_space_bytes: 256 << 20,
            // A new RandomState is keyed by the system's random numbers.
            seed: RandomState::new().hash_one(0),
        }
    }
}
