//! Topic names, topic filters, and the indexes over them.
//!
//! - [`TopicName`] is what a message is published to, [`TopicFilter`] what a subscription asks for,
//!   [`Subscription`] a filter with the group of a shared subscription split off. Each is checked
//!   when it is made (MQTT 5 section 4.7) and never again.
//!
//! The crate is pure: no clock, no sockets, no runtime. It knows nothing of sessions or messages.
//!
//! Start with [`TopicFilter::matches`].

#![forbid(unsafe_code)]

mod filter;
mod name;
mod subscription;

pub use filter::TopicFilter;
pub use name::{MAX_BYTES, MAX_LEVELS, TopicError, TopicName};
pub use subscription::Subscription;
