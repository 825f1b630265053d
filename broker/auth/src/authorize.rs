//! The port for those who say what a client may do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dunlin_codec::{Properties, Qos};
use dunlin_topic::{TopicFilter, TopicName};

use crate::GrantedRules;

/// Says what a client may publish and receive.
///
/// Called on the hot path: an implementation answers from memory and within microseconds.
pub trait Authorizer: Send + Sync {
    /// May `who` publish to, or receive from, this topic?
    fn authorize(&self, who: &Principal, question: &Question<'_>) -> Answer;

    /// May `who` subscribe at all?
    ///
    /// The default accepts: what is delivered is decided by [`coverage`](Self::coverage)
    /// and, where that is mixed, message by message.
    fn subscribe(&self, who: &Principal, subscribing: &Subscribing<'_>) -> Decision {
        let _ = (who, subscribing);
        Decision::Allow
    }

    /// How much of what matches `filter` may `who` receive?
    ///
    /// `filter` is the one matched against names: of `$share/group/filter` only the last part.
    /// [`Coverage::Mixed`] is always a correct answer; the others must be certain, because
    /// nobody asks again until the [`epoch`](Self::epoch) changes.
    fn coverage(&self, who: &Principal, filter: TopicFilter<'_>) -> Coverage;

    /// A number that rises whenever an answer given earlier may have become wrong.
    fn epoch(&self) -> u64 {
        0
    }
}

/// What a client is about to do with a message.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Whether it sends or receives.
    pub action: Action,
    /// Where.
    pub topic: TopicName<'a>,
    /// Of the message.
    pub qos: Qos,
    /// Of the message.
    pub retain: bool,
    /// Of the PUBLISH; empty for a delivery.
    pub properties: Properties<'a>,
}

impl<'a> Question<'a> {
    /// A question about a message of which nothing else is known.
    pub fn new(action: Action, topic: TopicName<'a>) -> Self {
        Question {
            action,
            topic,
            qos: Qos::AtMostOnce,
            retain: false,
            properties: Properties::EMPTY,
        }
    }
}

/// A subscription that a client asks for.
#[derive(Clone, Copy, Debug)]
pub struct Subscribing<'a> {
    /// Of `$share/group/filter` only the last part.
    pub filter: TopicFilter<'a>,
    /// Maximum QoS.
    pub qos: Qos,
    /// Of the SUBSCRIBE.
    pub properties: Properties<'a>,
}

/// What is asked of an [`Authorizer`] for a topic name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The client sends a message.
    Publish,
    /// A message is about to be delivered to the client.
    Receive,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes, if nobody else denies it.
    Allow,
    /// No.
    Deny,
    /// No opinion. What nobody has an opinion of is denied.
    Next,
    /// It could not be decided: treated as no, but the client is not to blame.
    Unavailable,
}

/// An answer of an [`Authorizer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Yes or no.
    pub decision: Decision,
    /// Whether it may be given again without asking.
    pub holds: Holds,
}

/// How long an [`Answer`] holds for the same client and action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// For this topic, until the [`epoch`](Authorizer::epoch) changes.
    UntilEpoch,
    /// At most so long.
    For {
        /// From now.
        time: Duration,
        /// A valid topic filter: for all topics that match it; `None` for this topic.
        scope: Option<Box<str>>,
    },
    /// For this very question.
    Once,
}

impl From<Decision> for Answer {
    /// Holds until the epoch changes.
    fn from(decision: Decision) -> Self {
        Answer {
            decision,
            holds: Holds::UntilEpoch,
        }
    }
}

/// How much of what matches a filter a client may receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Every topic: deliver without asking.
    All,
    /// No topic: deliver nothing.
    None,
    /// Some: ask for each message.
    Mixed,
}

/// A connected client, as the rules see it.
///
/// Immutable, so that what the rules need of its names is worked out once.
#[derive(Clone, Debug)]
pub struct Principal {
    client_id: Arc<str>,
    username: Option<Arc<str>>,
    client_id_is_level: bool,
    username_is_level: bool,
    more: Option<Arc<More>>,
}

/// What is known of a client beside its names: boxed, for few are asked about it.
#[derive(Debug, Default)]
pub struct Details {
    /// What its authentication granted besides.
    pub attributes: Vec<(String, String)>,
    /// Rules that came with the grant.
    pub rules: Option<GrantedRules>,
    /// IP address and port; `None` behind a unix socket.
    pub address: Option<SocketAddr>,
    /// Name of its listener.
    pub listener: Arc<str>,
}

#[derive(Debug)]
struct More {
    details: Details,
    /// Nanoseconds that others have worked for the client, since somebody looked.
    charged: AtomicU64,
}

impl Principal {
    /// A client with this id, authenticated as `username` or anonymous.
    pub fn new(client_id: impl Into<Arc<str>>, username: Option<Arc<str>>) -> Self {
        let client_id = client_id.into();
        Self {
            client_id_is_level: is_level(&client_id),
            username_is_level: username.as_deref().is_some_and(is_level),
            client_id,
            username,
            more: None,
        }
    }

    /// With more to know of it.
    #[must_use]
    pub fn with_details(self, details: Details) -> Self {
        Principal {
            more: Some(Arc::new(More {
                details,
                charged: AtomicU64::new(0),
            })),
            ..self
        }
    }

    /// What is known beside its names.
    pub fn details(&self) -> Option<&Details> {
        self.more.as_ref().map(|more| &more.details)
    }

    /// The rules of its grant.
    pub fn rules(&self) -> Option<&GrantedRules> {
        self.details()?.rules.as_ref()
    }

    /// Notes that a plugin has worked so long for this client.
    pub fn charge(&self, time: Duration) {
        if let Some(more) = &self.more {
            let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            more.charged.fetch_add(nanoseconds, Ordering::Relaxed);
        }
    }

    /// What was noted since the last call.
    #[inline]
    pub fn take_charge(&self) -> Duration {
        match &self.more {
            Some(more) if more.charged.load(Ordering::Relaxed) > 0 => {
                Duration::from_nanos(more.charged.swap(0, Ordering::Relaxed))
            }
            _ => Duration::ZERO,
        }
    }

    /// The client identifier.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The same, to be kept elsewhere without a copy.
    pub fn shared_client_id(&self) -> &Arc<str> {
        &self.client_id
    }

    /// The user name; `None` for an anonymous client.
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// Whether the client id can stand as one level of a topic name.
    pub fn client_id_is_level(&self) -> bool {
        self.client_id_is_level
    }

    /// Whether there is a user name and it can stand as one level of a topic name.
    pub fn username_is_level(&self) -> bool {
        self.username_is_level
    }
}

/// A name with a separator or a wildcard in it would become several levels, or match others' topics.
fn is_level(name: &str) -> bool {
    !name.bytes().any(|byte| matches!(byte, b'/' | b'+' | b'#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_separator_or_wildcard_are_no_level() {
        for (name, expected) in [
            ("pump", true),
            ("", true),
            ("pump 7", true),
            ("pump/7", false),
            ("+", false),
            ("a+b", false),
            ("#", false),
            ("a#", false),
        ] {
            let who = Principal::new(name, Some(Arc::from(name)));
            assert_eq!(who.client_id_is_level(), expected, "{name:?}");
            assert_eq!(who.username_is_level(), expected, "{name:?}");
        }
        assert!(!Principal::new("pump", None).username_is_level());
    }

    #[test]
    fn what_was_charged_is_taken_once() {
        let who = Principal::new("pump", None).with_details(Details::default());
        assert_eq!(who.take_charge(), Duration::ZERO);
        who.charge(Duration::from_micros(3));
        who.charge(Duration::from_nanos(7));
        assert_eq!(who.take_charge(), Duration::from_nanos(3_007));
        assert_eq!(who.take_charge(), Duration::ZERO);
    }
}
