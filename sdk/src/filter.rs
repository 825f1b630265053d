//! What becomes of a message that a client publishes, before it is routed.

use crate::{Client, Plugin, Property, Qos};

/// A plugin that passes, changes or drops messages whose topics its manifest names. It must answer
/// within a millisecond.
///
/// ```
/// use dunlin_sdk::{Client, Filter, Manifest, Message, Plugin, Verdict};
///
/// #[derive(serde::Deserialize)]
/// struct NoEmpty {}
///
/// impl Plugin for NoEmpty {
///     fn describe() -> Manifest {
///         dunlin_sdk::manifest!().topics(["sensors/#"])
///     }
/// }
///
/// impl Filter for NoEmpty {
///     fn on_publish(&mut self, _: &Client, message: &Message) -> Verdict {
///         match message.payload.is_empty() {
///             true => Verdict::Drop("an empty reading".into()),
///             false => Verdict::Pass,
///         }
///     }
/// }
///
/// dunlin_sdk::filter!(NoEmpty);
/// ```
pub trait Filter: Plugin {
    /// Judges one message.
    fn on_publish(&mut self, client: &Client, message: &Message) -> Verdict;
}

/// A message that its publisher may publish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Topic name.
    pub topic: String,
    /// The application's bytes.
    pub payload: Vec<u8>,
    /// QoS.
    pub qos: Qos,
    /// RETAIN.
    pub retain: bool,
    /// User properties.
    pub user_properties: Vec<Property>,
    /// Content Type (MQTT 5, 3.3.2.3.9).
    pub content_type: Option<String>,
}

impl Message {
    /// A message of QoS 0.
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Message {
            topic: topic.into(),
            payload: payload.into(),
            ..Message::default()
        }
    }
}

/// What to change; `None` leaves a part as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replacement {
    /// Another topic name; the publisher must have the right to publish there, too.
    pub topic: Option<String>,
    /// Another payload.
    pub payload: Option<Vec<u8>>,
    /// Other user properties, for all that there were.
    pub user_properties: Option<Vec<Property>>,
    /// Another Content Type.
    pub content_type: Option<String>,
}

/// What becomes of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on as it is.
    Pass,
    /// It goes nowhere, for this reason; the publisher is told that it was not authorized.
    Drop(String),
    /// It goes on, changed.
    Replace(Replacement),
}

impl Verdict {
    /// It goes on with another payload.
    pub fn payload(payload: impl Into<Vec<u8>>) -> Self {
        Verdict::Replace(Replacement {
            payload: Some(payload.into()),
            ..Replacement::default()
        })
    }
}
