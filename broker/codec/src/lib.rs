//! MQTT 3.1, 3.1.1 and 5.0 packets as bytes and back.
//!
//! One borrowed packet model serves both directions and all versions. [`decode`] takes one packet
//! from the front of a buffer and lifts 3.x into the meaning that version 5 gives it (a 3.x
//! CONNACK return code becomes a [`ReasonCode`], Clean Session becomes Clean Start plus a session
//! expiry, ...); [`encode`] lowers it again. What still differs is asked of [`Version`].
//!
//! Strict: all that the standards call malformed, or a protocol error, and that one packet alone
//! can show, is refused with the reason code that the standard names; [`Packet::check_sender`]
//! adds what only one side may send. Not here: the syntax of topic names and filters (the topic
//! crate), anything that needs a second packet (the session), sockets, clocks, allocation while
//! decoding.
//!
//! Start reading at [`Packet`], then `decode.rs`, `encode.rs` and one packet's file.
//!
//! ```
//! use dunlin_codec::{Decoded, Packet, Publish, Version, decode, encode};
//!
//! let publish = Packet::Publish(Publish { topic: "a/b", payload: b"hi", ..Publish::default() });
//! let mut bytes = Vec::new();
//! encode(&publish, Version::Mqtt311, &mut bytes)?;
//! assert_eq!(bytes, b"\x30\x07\x00\x03a/bhi");
//!
//! let Ok(Decoded::Packet { packet, length }) = decode(&bytes, Version::Mqtt311, 1024) else {
//!     unreachable!("the bytes just encoded")
//! };
//! assert_eq!((packet, length), (publish, 9));
//! # Ok::<(), dunlin_codec::EncodeError>(())
//! ```
#![forbid(unsafe_code)]

mod ack;
mod auth;
mod connack;
mod connect;
mod decode;
mod disconnect;
mod encode;
mod error;
mod packet;
mod properties;
mod property;
mod publish;
mod qos;
mod raw_property;
mod reason;
mod sender;
mod suback;
mod subscribe;
mod unsubscribe;
mod version;
mod wire;

pub use ack::{Ack, AckKind, decode_short_ack, encode_ack};
pub use auth::Auth;
pub use connack::Connack;
pub use connect::{Connect, Will};
pub use decode::{Decoded, decode, decode_publish};
pub use disconnect::Disconnect;
pub use encode::{encode, encoded_len};
pub use error::{DecodeError, EncodeError};
pub use packet::{Packet, PacketType};
pub use properties::{Properties, PropertiesBuf, PublishSummary};
pub use property::Property;
pub use publish::{Publish, PublishParts};
pub use qos::Qos;
pub use raw_property::PropertyPlace;
pub use reason::ReasonCode;
pub use sender::Sender;
pub use suback::{ReasonCodes, ReasonCodesBuf, Suback};
pub use subscribe::{
    RetainHandling, Subscribe, SubscribeFilters, SubscribeFiltersBuf, SubscriptionOptions,
};
pub use unsubscribe::{Unsubscribe, UnsubscribeFilters, UnsubscribeFiltersBuf};
pub use version::Version;

/// Names an unacknowledged PUBLISH, SUBSCRIBE or UNSUBSCRIBE; never zero [MQTT-2.2.1-3].
pub type PacketId = core::num::NonZeroU16;

/// The largest Remaining Length, and the largest variable byte integer (MQTT 5, 1.5.5).
pub const MAX_REMAINING_LENGTH: usize = 268_435_455;

/// The largest packet in bytes, fixed header included.
pub const MAX_PACKET_SIZE: usize = MAX_REMAINING_LENGTH + 5;

/// The largest CONNECT that makes sense, in bytes: its five fields of 64 KiB each (client id, will
/// topic and payload, user name, password), and 192 KiB of properties. Whoever sends it is not yet
/// authenticated, and it is kept in memory until it is complete.
pub const MAX_CONNECT_SIZE: u32 = 512 * 1024;
