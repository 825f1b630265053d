//! A checksummed, segmented log with group commit.
//!
//! ```text
//!  append ─▶ the open batch ─▶ written, synced ─▶ committed ─▶ wakers
//!  append ─▶        (one commit is one batch, whatever the number of records in it)
//!
//!  0000000000000001.log   0000000000000002.log   0000000000000003.log
//!  header batch batch …   header batch batch …   header batch batch ▏next
//! ```
//!
//! A record is bytes; what they mean is the caller's affair. [`Log::append`] puts a record into
//! memory and says with which [`Position`] it will be durable; [`Log::run`], on a thread of its
//! own, writes what has gathered as one batch, syncs it, and wakes those who wait. [`Log::open`]
//! hands every record that survived to the caller, in the order of their appends.
//!
//! What it promises: a committed record is there after any crash, power loss included, as long as
//! the disk keeps what it reported as synced. What was appended later is there up to some batch and
//! not beyond it. Damage to what was once synced is an error that names file and offset, never a
//! silent loss; the one exception is the very last batch, whose damage nothing tells from a torn
//! write.
//!
//! Space comes back by whole segments: the caller appends again what still lives in the oldest
//! ones, waits for the commit, and calls [`Log::drop_before`].
//!
//! All input and output goes through [`Disk`]: [`Directory`] is the real one, [`MemoryDisk`] and
//! [`FaultyDisk`] are for tests. The clock is read by [`Log::run`] alone, to know how long to sleep.
//! Start reading in `log.rs`; the bytes on disk are in `format.rs`, their way back into memory in
//! `recovery.rs`.
#![forbid(unsafe_code)]

mod counts;
mod directory;
mod disk;
mod error;
mod faulty;
mod format;
mod log;
mod memory;
mod options;
mod queue;
mod recovery;
mod run;
mod segment;
mod segments;
mod space;
mod waiting;
mod window;
mod writer;

pub use counts::Counts;
pub use directory::{Directory, DirectoryError};
pub use disk::{Disk, DiskFile, SyncPoint};
pub use error::{CommitError, OpenError};
pub use faulty::{Crashed, FaultyDisk};
pub use format::MAX_RECORD_BYTES;
pub use log::Log;
pub use memory::MemoryDisk;
pub use options::{Durability, MAX_SEGMENT_BYTES, Options};
pub use queue::{Appended, Position, Urgency};
pub use recovery::{Found, Progress, Replay, Torn, inspect};
