//! What becomes of messages on their way through a bridge between this broker and another.

use crate::{Plugin, Property, Qos};

/// A plugin that passes, changes, drops and adds messages that a bridge carries. It must answer
/// within 50 milliseconds; the bridge waits meanwhile.
///
/// ```
/// use dunlin_sdk::{Bridge, Fate, Manifest, Plugin, bridge::Message};
///
/// /// What leaves is told whose it is.
/// #[derive(serde::Deserialize)]
/// struct Site {
///     name: String,
/// }
///
/// impl Plugin for Site {
///     fn describe() -> Manifest {
///         dunlin_sdk::manifest!().schema(r#"{"required": ["name"]}"#)
///     }
/// }
///
/// impl Bridge for Site {
///     fn egress(&mut self, _: &str, mut message: Message) -> Fate {
///         message.user_properties.push(("site".into(), self.name.clone()));
///         Fate::Replace(message)
///     }
/// }
///
/// dunlin_sdk::bridge!(Site);
/// ```
///
/// `bridge` is the bridge's name in the configuration.
pub trait Bridge: Plugin {
    /// What becomes of a message from this broker to the other.
    fn egress(&mut self, bridge: &str, message: Message) -> Fate {
        let _ = (bridge, message);
        Fate::Pass
    }

    /// What becomes of a message from the other broker to this one.
    fn ingress(&mut self, bridge: &str, message: Message) -> Fate {
        let _ = (bridge, message);
        Fate::Pass
    }

    /// The same for a batch from this broker to the other: what goes on, in the order in which it
    /// is to be published. For plugins that add messages.
    ///
    /// # Errors
    /// In words for the broker's log: the batch is held, and shown again after a second.
    fn egress_all(&mut self, bridge: &str, batch: Vec<Message>) -> Result<Vec<Mapped>, String> {
        Ok(each(batch, |message| self.egress(bridge, message)))
    }

    /// The same for a batch from the other broker to this one.
    ///
    /// # Errors
    /// As for [`Bridge::egress_all`].
    fn ingress_all(&mut self, bridge: &str, batch: Vec<Message>) -> Result<Vec<Mapped>, String> {
        Ok(each(batch, |message| self.ingress(bridge, message)))
    }
}

/// A message on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Topic name, as it is to be where it goes.
    pub topic: String,
    /// The application's bytes.
    pub payload: Vec<u8>,
    /// QoS to publish it with; a broker that takes less gets less.
    pub qos: Qos,
    /// RETAIN.
    pub retain: bool,
    /// Seconds that it may live from now; `None` without an end.
    pub expires_in: Option<u32>,
    /// Payload Format Indicator (MQTT 5, 3.3.2.3.2): the payload is said to be UTF-8.
    pub text: bool,
    /// Content Type (MQTT 5, 3.3.2.3.9).
    pub content_type: Option<String>,
    /// Response Topic (MQTT 5, 3.3.2.3.5).
    pub response_topic: Option<String>,
    /// Correlation Data (MQTT 5, 3.3.2.3.6).
    pub correlation_data: Option<Vec<u8>>,
    /// User properties. By those named `dunlin-bridge` bridges know what they have carried: they
    /// stay, or messages may go round in circles.
    pub user_properties: Vec<Property>,
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

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on as it is.
    Pass,
    /// It is left out, and counts as delivered.
    Drop,
    /// Another goes on in its place.
    Replace(Message),
}

/// What goes on of a batch. The places that [`Pass`](Mapped::Pass) and [`Replace`](Mapped::Replace)
/// name rise, and none is named twice; those that are not named are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// The message at this place of the batch, from 0, as it is.
    Pass(u32),
    /// Another in the place of that one.
    Replace(u32, Message),
    /// One that comes from none of the batch: nobody is told whether it has arrived.
    Add(Message),
}

fn each(batch: Vec<Message>, mut fate: impl FnMut(Message) -> Fate) -> Vec<Mapped> {
    let fates = (0..)
        .zip(batch)
        .map(|(place, message)| match fate(message) {
            Fate::Pass => Some(Mapped::Pass(place)),
            Fate::Drop => None,
            Fate::Replace(other) => Some(Mapped::Replace(place, other)),
        });
    fates.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Manifest;

    /// Lets only `a` out, and nothing in but below its bridge's name.
    #[derive(serde::Deserialize)]
    struct Gate {}

    impl Plugin for Gate {
        fn describe() -> Manifest {
            Manifest::new("gate", "1.0.0")
        }
    }

    impl Bridge for Gate {
        fn egress(&mut self, _: &str, message: Message) -> Fate {
            match message.topic == "a" {
                true => Fate::Pass,
                false => Fate::Drop,
            }
        }

        fn ingress(&mut self, bridge: &str, message: Message) -> Fate {
            Fate::Replace(Message {
                topic: format!("{bridge}/{}", message.topic),
                ..message
            })
        }
    }

    #[test]
    fn a_batch_is_its_messages_one_by_one() {
        let batch = || ["b", "a", "b", "a"].map(|topic| Message::new(topic, "x"));
        let out = Gate {}.egress_all("plant", batch().into());
        assert_eq!(out, Ok(vec![Mapped::Pass(1), Mapped::Pass(3)]));
        let back = Gate {}.ingress_all("plant", vec![Message::new("a", "x")]);
        let other = Message::new("plant/a", "x");
        assert_eq!(back, Ok(vec![Mapped::Replace(0, other)]));
    }
}
