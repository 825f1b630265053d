use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dunlin_codec::{PacketType, Properties, PropertyPlace, Qos};
use dunlin_time::Wall;
use triomphe::ThinArc;

/// An application message, stored once however many queues refer to it: one allocation holding
/// the topic name, the properties that pass through a server unchanged, and the payload.
///
/// Cloning counts a reference.
#[derive(Clone)]
pub struct Message(ThinArc<Head, u8>);

struct Head {
    /// Given by the store that keeps the message; 0 without one.
    number: AtomicU64,
    publisher: u64,
    expires: Option<Wall>,
    forwarded_length: u32,
    topic_length: u16,
    qos: Qos,
    retain: bool,
}

/// What a [`Message`] is made of.
#[derive(Clone, Copy, Debug)]
pub struct MessageParts<'a> {
    /// Number of the publishing session; 0 for messages of the server itself. For No Local.
    pub publisher: u64,
    /// The QoS it was published with: the most that any subscriber gets.
    pub qos: Qos,
    /// The RETAIN flag it was published with.
    pub retain: bool,
    /// When it is dropped undelivered [MQTT-3.3.2-5].
    pub expires: Option<Wall>,
    /// A valid topic name; at most 65,535 bytes.
    pub topic: &'a str,
    /// Encoded properties that pass through (`Properties::copy_forwarded`).
    pub forwarded: &'a [u8],
    /// The application's bytes.
    pub payload: &'a [u8],
}

impl MessageParts<'_> {
    /// When a message is dropped undelivered that is published at `now` with this Message Expiry
    /// Interval, in seconds (3.3.2.3.3). One of 0 is meant for whoever is there: it lasts the
    /// second that they need to get it.
    pub fn expires(interval: u32, now: Wall) -> Wall {
        now + Duration::from_secs(interval.max(1).into())
    }
}

impl Message {
    /// Copies the parts into a message; `scratch` is any buffer, used to gather them.
    pub fn new(parts: MessageParts<'_>, scratch: &mut Vec<u8>) -> Self {
        scratch.clear();
        scratch.extend_from_slice(parts.topic.as_bytes());
        scratch.extend_from_slice(parts.forwarded);
        scratch.extend_from_slice(parts.payload);
        let head = Head {
            number: AtomicU64::new(0),
            publisher: parts.publisher,
            expires: parts.expires,
            forwarded_length: parts.forwarded.len() as u32,
            topic_length: parts.topic.len() as u16,
            qos: parts.qos,
            retain: parts.retain,
        };
        Message(ThinArc::from_header_and_slice(head, scratch))
    }

    /// What the store that keeps the message knows it by; `None` if none does.
    pub fn stored_as(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.0.header.header.number.load(Ordering::Relaxed))
    }

    /// Says what a store knows the message by: once, before any queue has it.
    pub fn set_stored_as(&self, number: NonZeroU64) {
        let own = &self.0.header.header.number;
        own.store(number.get(), Ordering::Relaxed);
    }

    /// Number of the session that published it; 0 for the server itself.
    pub fn publisher(&self) -> u64 {
        self.0.header.header.publisher
    }

    /// The QoS it was published with.
    pub fn qos(&self) -> Qos {
        self.0.header.header.qos
    }

    /// The RETAIN flag it was published with.
    pub fn retain(&self) -> bool {
        self.0.header.header.retain
    }

    /// When it is dropped undelivered.
    pub fn expires(&self) -> Option<Wall> {
        self.0.header.header.expires
    }

    /// The topic name.
    pub fn topic(&self) -> &str {
        // The bytes came from a &str in `new`, the only constructor.
        std::str::from_utf8(&self.0.slice[..self.topic_length()]).unwrap_or_default()
    }

    /// The topic name's bytes, without checking them again.
    pub fn topic_bytes(&self) -> &[u8] {
        &self.0.slice[..self.topic_length()]
    }

    /// The encoded properties that pass through unchanged.
    pub fn forwarded(&self) -> &[u8] {
        &self.0.slice[self.topic_length()..self.payload_offset()]
    }

    /// The same as [`Properties`]; empty if they cannot be read, which `new`'s caller excludes.
    pub fn properties(&self) -> Properties<'_> {
        Properties::parse(self.forwarded(), PropertyPlace::Packet(PacketType::Publish))
            .unwrap_or(Properties::EMPTY)
    }

    /// The application's bytes.
    pub fn payload(&self) -> &[u8] {
        &self.0.slice[self.payload_offset()..]
    }

    /// Bytes of topic name, properties and payload together.
    pub fn content_bytes(&self) -> usize {
        self.0.slice.len()
    }

    /// Bytes that this message keeps in memory.
    pub fn memory(&self) -> usize {
        size_of::<Head>() + 2 * size_of::<usize>() + self.0.slice.len()
    }

    fn topic_length(&self) -> usize {
        self.0.header.header.topic_length.into()
    }

    fn payload_offset(&self) -> usize {
        self.topic_length() + self.0.header.header.forwarded_length as usize
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic())
            .field("qos", &self.qos())
            .field("retain", &self.retain())
            .field("payload_bytes", &self.payload().len())
            .finish()
    }
}

/// A message on its way to one session.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What.
    pub message: Message,
    /// Of the subscriptions that matched.
    pub identifiers: Identifiers,
    /// The shared subscription that chose this session; it gets the message back if the session
    /// ends first [MQTT-4.8.2-4].
    pub shared: Option<NonZeroU32>,
    /// The lower of the message's and the subscription's.
    pub qos: Qos,
    /// The RETAIN flag that the subscriber sees.
    pub retain: bool,
    /// Whether the subscriber's right to read this topic is still to be asked.
    pub unchecked: bool,
    /// Whether a store keeps it for this session, and is to hear what becomes of it.
    pub stored: bool,
}

/// Subscription identifiers of a delivery [MQTT-3.3.4-3].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identifiers {
    /// No matching subscription has one.
    #[default]
    None,
    /// One has.
    One(NonZeroU32),
    /// Several have.
    Many(ThinArc<(), NonZeroU32>),
}

impl Identifiers {
    /// All of them.
    #[inline]
    pub fn as_slice(&self) -> &[NonZeroU32] {
        match self {
            Identifiers::None => &[],
            Identifiers::One(identifier) => std::slice::from_ref(identifier),
            Identifiers::Many(identifiers) => &identifiers.slice,
        }
    }

    /// Both together, for a session whose subscriptions overlap.
    pub fn merge(self, other: Identifiers) -> Identifiers {
        match (self, other) {
            (Identifiers::None, other) => other,
            (own, Identifiers::None) => own,
            (own, other) => {
                let all = [own.as_slice(), other.as_slice()].concat();
                Identifiers::Many(ThinArc::from_header_and_slice((), &all))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_gives_back_its_parts() {
        let parts = MessageParts {
            publisher: 7,
            qos: Qos::AtLeastOnce,
            retain: true,
            expires: Some(Wall(9)),
            topic: "a/b",
            forwarded: &[1, 1],
            payload: b"payload",
        };
        let message = Message::new(parts, &mut Vec::new());
        assert_eq!(message.topic(), "a/b");
        assert_eq!(message.forwarded(), [1, 1]);
        assert_eq!(message.payload(), b"payload");
        assert_eq!(message.publisher(), 7);
        assert_eq!(message.qos(), Qos::AtLeastOnce);
        assert_eq!(message.topic_bytes(), b"a/b");
        assert_eq!(message.stored_as(), None);
        message.set_stored_as(NonZeroU64::MAX);
        assert_eq!(message.stored_as(), Some(NonZeroU64::MAX));
        assert_eq!(message.expires(), Some(Wall(9)));
        assert!(message.retain());
    }

    #[test]
    fn its_memory_is_its_bytes_and_a_little() {
        let of = |payload: &[u8]| {
            let parts = MessageParts {
                publisher: 0,
                qos: Qos::AtMostOnce,
                retain: false,
                expires: None,
                topic: "t",
                forwarded: &[],
                payload,
            };
            Message::new(parts, &mut Vec::new()).memory()
        };
        // A reference count, a length, and the head.
        let overhead = size_of::<([usize; 2], Head)>();
        assert_eq!(of(b""), overhead + 1);
        assert_eq!(of(&[0; 1000]), overhead + 1001);
    }

    #[test]
    fn a_delivery_fits_half_a_cache_line() {
        assert!(size_of::<Delivery>() <= 32);
    }

    #[test]
    fn identifiers_merge_in_order() {
        let one = |n| Identifiers::One(NonZeroU32::new(n).unwrap());
        assert_eq!(one(1).merge(Identifiers::None), one(1));
        let both = one(1).merge(one(2));
        assert_eq!(
            both.as_slice()
                .iter()
                .map(|id| id.get())
                .collect::<Vec<_>>(),
            [1, 2]
        );
    }
}
