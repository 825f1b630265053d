//! The port for those who say what a client may do.

use std::sync::Arc;

use dunlin_topic::{TopicFilter, TopicName};

/// Says what a client may publish and receive.
///
/// Called on the hot path: an implementation answers from memory and within
/// microseconds, or with [`Decision::Pending`].
pub trait Authorizer: Send + Sync {
    /// May `who` publish to, or receive from, this topic?
    fn authorize(&self, who: &Principal, action: Action, topic: TopicName<'_>) -> Decision;

    /// May `who` subscribe to this filter at all?
    ///
    /// The default accepts: what is delivered is decided by [`coverage`](Self::coverage)
    /// and, where that is mixed, message by message.
    fn subscribe(&self, who: &Principal, filter: TopicFilter<'_>) -> Decision {
        let _ = (who, filter);
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

/// What is asked of an [`Authorizer`] for a topic name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The client sends a message.
    Publish,
    /// A message is about to be delivered to the client.
    Receive,
}

/// An answer of an [`Authorizer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No.
    Deny,
    /// Not known yet. Once the ticket is answered, ask the same question again.
    Pending(Ticket),
}

/// Stands for a decision that is being worked on elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

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
}
