//! Sessions, their queues and retained messages: where they are kept.
//!
//! ```text
//!  router ── record(changes) ──▶ Disk ── one record ──▶ log ──▶ files
//!                                 │                      │
//!                                 ▼                      ▼ at the next start
//!                               Image ◀───── every step of every record
//! ```
//!
//! [`Disk`] keeps them through crashes: every change is a record in a log (`dunlin-log`), and the
//! image of the log in memory says what still lives, for compaction. [`Memory`] keeps them for as
//! long as the process lives.
//!
//! Either way a session's queue is its inbox in the router, and a retained value is in the router's
//! tree. Start reading in `image.rs`; the bytes of a record are in `record.rs`. [`inspect()`] is for
//! people who look into a directory.
#![forbid(unsafe_code)]

mod compact;
mod disk;
mod image;
mod inspect;
mod memory;
mod record;
mod restore;
#[cfg(test)]
mod tests;
mod wire;

pub use disk::Disk;
pub use inspect::{
    Contents, Delivered, StoredEntry, StoredSession, StoredSubscription, Totals, inspect,
};
pub use memory::Memory;
pub use restore::Restored;
