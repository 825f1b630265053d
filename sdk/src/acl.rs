//! What a client may do.

use std::time::Duration;

use crate::{Client, Plugin, Property, Qos};

/// A plugin that says what clients may do. It must answer within a millisecond, from memory.
pub trait Acl: Plugin {
    /// May the client do this?
    fn authorize(&mut self, client: &Client, question: &Question) -> Answer;

    /// The same for several questions of one client: an answer to each, in their order.
    fn authorize_all(&mut self, client: &Client, questions: &[Question]) -> Vec<Answer> {
        questions
            .iter()
            .map(|question| self.authorize(client, question))
            .collect()
    }
}

/// What the client is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a message.
    Publish,
    /// Receive a message.
    Receive,
    /// Subscribe; what it then receives is asked separately.
    Subscribe,
}

/// One thing that a client is about to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What.
    pub action: Action,
    /// A topic name; a topic filter for [`Action::Subscribe`].
    pub topic: String,
    /// Of the message or the subscription.
    pub qos: Qos,
    /// RETAIN of the message.
    pub retain: bool,
    /// Of the PUBLISH or SUBSCRIBE; empty for [`Action::Receive`].
    pub user_properties: Vec<Property>,
}

impl Question {
    /// A question about QoS 0 without RETAIN and user properties.
    pub fn new(action: Action, topic: impl Into<String>) -> Self {
        Question {
            action,
            topic: topic.into(),
            qos: Qos::AtMostOnce,
            retain: false,
            user_properties: Vec::new(),
        }
    }

    /// May it publish?
    pub fn publish(topic: impl Into<String>) -> Self {
        Question::new(Action::Publish, topic)
    }

    /// May it receive?
    pub fn receive(topic: impl Into<String>) -> Self {
        Question::new(Action::Receive, topic)
    }

    /// May it subscribe?
    pub fn subscribe(filter: impl Into<String>) -> Self {
        Question::new(Action::Subscribe, filter)
    }
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It may, if nobody denies it.
    Allow,
    /// It may not.
    Deny,
    /// No opinion. What nobody has an opinion of is denied.
    Next,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Yes or no.
    pub effect: Effect,
    /// For how many milliseconds the broker may give the same answer without asking; 0 not at all.
    /// An answer that depends on QoS, RETAIN or user properties must say 0.
    pub ttl_ms: u32,
    /// A topic filter that matches the topic asked about: the answer is the same for all that match
    /// it. `None`: for this very topic.
    pub scope: Option<String>,
}

impl Answer {
    /// An answer to this question only.
    pub fn new(effect: Effect) -> Self {
        Answer {
            effect,
            ttl_ms: 0,
            scope: None,
        }
    }

    /// It may.
    pub fn allow() -> Self {
        Answer::new(Effect::Allow)
    }

    /// It may not.
    pub fn deny() -> Self {
        Answer::new(Effect::Deny)
    }

    /// No opinion.
    pub fn next() -> Self {
        Answer::new(Effect::Next)
    }

    /// It may if this holds; otherwise no opinion.
    pub fn allow_if(condition: bool) -> Self {
        Answer::new(if condition {
            Effect::Allow
        } else {
            Effect::Next
        })
    }

    /// It may not if this holds; otherwise no opinion.
    pub fn deny_if(condition: bool) -> Self {
        Answer::new(if condition {
            Effect::Deny
        } else {
            Effect::Next
        })
    }

    /// Holds for so long; at most 49 days.
    #[must_use]
    pub fn for_time(self, time: Duration) -> Self {
        Answer {
            ttl_ms: u32::try_from(time.as_millis()).unwrap_or(u32::MAX),
            ..self
        }
    }

    /// Holds for all topics that match this filter, which the topic asked about does.
    #[must_use]
    pub fn for_scope(self, filter: impl Into<String>) -> Self {
        Answer {
            scope: Some(filter.into()),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_time_is_the_longest_time() {
        let answer = Answer::allow().for_time(Duration::MAX);
        assert_eq!(answer.ttl_ms, u32::MAX);
        assert_eq!(
            Answer::allow_if(true)
                .for_time(Duration::from_secs(1))
                .ttl_ms,
            1000
        );
        assert_eq!(Answer::allow_if(false).effect, Effect::Next);
        assert_eq!(Answer::deny_if(true).effect, Effect::Deny);
    }
}
