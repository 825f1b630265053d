//! Topic names, topic filters, and the indexes over them.
//!
//! - [`TopicName`] is what a message is published to, [`TopicFilter`] what a subscription asks for,
//!   [`Subscription`] a filter with the group of a shared subscription split off. Each is checked
//!   when it is made (MQTT 5 section 4.7) and never again.
//! - [`Index`] answers who asked for a topic; many threads read it while others change it.
//! - [`NameTree`] answers which names a filter matches: retained messages are kept in it.
//!
//! The crate is pure: no clock, no sockets, no runtime. It knows nothing of sessions or messages;
//! what an index holds is its user's [`Target`].
//!
//! Start with [`TopicFilter::matches`], which is what all the rest must agree with, then
//! [`Index::lookup`].

#![forbid(unsafe_code)]

mod filter;
mod index;
mod name;
mod name_tree;
mod subscription;

/// The atomics of what is checked by exploring every interleaving; `tests/interleavings.rs` gives
/// it others.
mod sync {
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
}

pub use filter::TopicFilter;
pub use index::{Cache, CacheLimits, Index, Inserted, Matches, Removed, Target};
pub use name::{LEVELS_CEILING, MAX_BYTES, MAX_LEVELS, TopicError, TopicName};
pub use name_tree::{Cursor, NameTree, Scan};
pub use subscription::Subscription;
