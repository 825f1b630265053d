//! The port for those who change or drop messages before they are routed.

use dunlin_codec::{Properties, Qos};
use dunlin_topic::TopicName;

use crate::Principal;

/// Looks at messages that a client may publish.
///
/// Called on the hot path: an implementation answers from memory and within microseconds.
pub trait PublishFilter: Send + Sync {
    /// Whether messages of this topic are to be shown.
    fn concerns(&self, topic: TopicName<'_>) -> bool;

    /// What becomes of a message.
    fn on_publish(&self, who: &Principal, message: &Publishing<'_>) -> Filtered;
}

/// A message that its publisher may publish.
#[derive(Clone, Copy, Debug)]
pub struct Publishing<'a> {
    /// Where.
    pub topic: TopicName<'a>,
    /// The application's bytes.
    pub payload: &'a [u8],
    /// Its QoS.
    pub qos: Qos,
    /// Whether it becomes the topic's retained message.
    pub retain: bool,
    /// Of the PUBLISH.
    pub properties: Properties<'a>,
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filtered {
    /// It goes on as it is.
    Pass,
    /// It goes nowhere; the text says why.
    Drop(String),
    /// It goes on, changed.
    Replace(Replacement),
    /// It could not be decided: it goes nowhere, but the client is not to blame.
    Unavailable,
}

/// What to change of a message; `None` leaves a part as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replacement {
    /// Another topic name, where the publisher must have the right to publish, too.
    pub topic: Option<String>,
    /// Another payload.
    pub payload: Option<Vec<u8>>,
    /// Other user properties, for all that there were.
    pub user_properties: Option<Vec<(String, String)>>,
    /// Another Content Type.
    pub content_type: Option<String>,
}
