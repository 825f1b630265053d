use std::num::NonZeroU32;
use std::sync::Arc;

use dunlin_codec::Qos;

use crate::Subscriber;
use crate::groups::Group;

/// What the topic index holds: where matching messages go. 16 bytes.
#[derive(Clone)]
pub enum Target {
    /// To a session.
    Session(SessionTarget),
    /// To one member of a shared subscription.
    Group(Arc<Group>),
}

/// One session's subscription to one filter.
#[derive(Clone)]
pub struct SessionTarget {
    /// Whose.
    pub subscriber: Arc<Subscriber>,
    /// The client's Subscription Identifier.
    pub identifier: Option<NonZeroU32>,
    /// How.
    pub options: TargetOptions,
}

/// Subscription Options that concern delivery (section 3.8.3.1), and what the access rules said,
/// in a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetOptions(u8);

impl TargetOptions {
    /// `unchecked`: the rules allow only some topics of the filter, so each message is asked about.
    /// Messages are delivered with their own QoS where that is lower.
    pub fn new(qos: Qos, no_local: bool, retain_as_published: bool, unchecked: bool) -> Self {
        TargetOptions(
            qos as u8
                | u8::from(no_local) << 2
                | u8::from(retain_as_published) << 3
                | u8::from(unchecked) << 4,
        )
    }

    /// The same, but messages of a lower QoS are delivered with the subscription's.
    pub fn upgrading(self) -> Self {
        TargetOptions(self.0 | 32)
    }

    /// The same, but each message is asked about.
    pub fn asking_always(self) -> Self {
        TargetOptions(self.0 | 16)
    }

    /// One byte for a store.
    pub fn to_byte(self) -> u8 {
        self.0
    }

    /// From [`TargetOptions::to_byte`]; unknown bits mean nothing.
    pub fn from_byte(byte: u8) -> Self {
        TargetOptions(byte & 0b11_1111)
    }

    /// The QoS that a message published with `qos` is delivered with.
    #[inline]
    pub fn delivered(self, qos: Qos) -> Qos {
        match self.0 & 32 {
            0 => self.qos().min(qos),
            _ => self.qos(),
        }
    }

    /// Maximum QoS.
    pub fn qos(self) -> Qos {
        match self.0 & 3 {
            0 => Qos::AtMostOnce,
            1 => Qos::AtLeastOnce,
            _ => Qos::ExactlyOnce,
        }
    }

    /// Not for messages that the session itself published.
    pub fn no_local(self) -> bool {
        self.0 & 4 != 0
    }

    /// RETAIN is passed on.
    pub fn retain_as_published(self) -> bool {
        self.0 & 8 != 0
    }

    /// The right to read is still to be asked, message by message.
    pub fn unchecked(self) -> bool {
        self.0 & 16 != 0
    }
}

impl dunlin_topic::Target for Target {
    type Key = u64;

    fn key(&self) -> u64 {
        match self {
            Target::Session(target) => target.subscriber.number,
            Target::Group(group) => group.key(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_two_words() {
        assert_eq!(size_of::<Target>(), 16);
    }

    #[test]
    fn options_keep_what_they_are_given() {
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            for bits in 0..8u8 {
                let (a, b, c) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
                let options = TargetOptions::new(qos, a, b, c);
                let kept = (
                    options.no_local(),
                    options.retain_as_published(),
                    options.unchecked(),
                );
                assert_eq!((options.qos(), kept), (qos, (a, b, c)));
            }
        }
    }
}
