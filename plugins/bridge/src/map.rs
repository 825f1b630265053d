//! Where a plugin may look at messages on their way.

use std::fmt;
use std::time::Duration;

use dunlin_codec::{PacketId, PropertiesBuf, Qos};
use dunlin_time::Monotonic;

/// Changes messages between the two brokers.
///
/// Called on the bridge's task, so a call must be over within milliseconds. A batch is what one
/// read from a socket brought, or what goes into one request of a webhook. A message that is taken out of it counts as delivered; one that is
/// put in ([`Mapped::new`]) goes out without anybody waiting for it.
pub trait Map: Send + Sync {
    /// Messages from our broker, with the topics that they will have in the other.
    ///
    /// # Errors
    /// The batch is held and tried again; its messages must be as they were.
    fn egress(&self, batch: &mut Vec<Mapped>) -> Result<(), Fault>;

    /// Messages from the other broker, with the topics that they will have in ours.
    ///
    /// # Errors
    /// As for [`Map::egress`].
    fn ingress(&self, batch: &mut Vec<Mapped>) -> Result<(), Fault>;
}

/// Leaves messages as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity;

impl Map for Identity {
    fn egress(&self, _: &mut Vec<Mapped>) -> Result<(), Fault> {
        Ok(())
    }

    fn ingress(&self, _: &mut Vec<Mapped>) -> Result<(), Fault> {
        Ok(())
    }
}

/// Why a map could not look at a batch: for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(pub String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A message on its way.
#[derive(Debug)]
pub struct Mapped {
    /// A topic name; a message whose name is none is dropped.
    pub topic: String,
    /// The application's bytes.
    pub payload: Vec<u8>,
    /// What it will be published with, unless the receiving broker takes less.
    pub qos: Qos,
    /// The RETAIN flag.
    pub retain: bool,
    /// Payload format, content type, response topic, correlation data and user properties.
    pub properties: PropertiesBuf,
    /// Seconds that it may live from now.
    pub expiry: Option<u32>,
    pub(crate) origin: Origin,
}

/// Where a message came from: whom to tell when it has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Counts the messages of a direction; 0 for what nobody waits for.
    pub number: u64,
    /// Its packet id there, above QoS 0.
    pub packet_id: Option<PacketId>,
    /// When it came; later, once its expiry was lowered.
    pub arrived: Monotonic,
}

impl Mapped {
    /// A message that the map adds.
    pub fn new(topic: String, payload: Vec<u8>) -> Self {
        Mapped {
            topic,
            payload,
            qos: Qos::AtMostOnce,
            retain: false,
            properties: PropertiesBuf::new(),
            expiry: None,
            origin: Origin::default(),
        }
    }

    /// Takes the whole seconds since it came from its expiry; `false` if it has expired.
    pub(crate) fn age(&mut self, now: Monotonic) -> bool {
        let Some(expiry) = self.expiry else {
            return true;
        };
        let seconds = (now - self.origin.arrived).as_secs();
        let passed = u32::try_from(seconds).unwrap_or(u32::MAX);
        let Some(left) = expiry.checked_sub(passed) else {
            return false;
        };
        self.expiry = Some(left);
        self.origin.arrived = self.origin.arrived + Duration::from_secs(seconds);
        true
    }

    /// Memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Mapped>() + self.content_bytes()
    }

    /// Topic, properties and payload.
    pub(crate) fn content_bytes(&self) -> usize {
        let properties = self.properties.as_properties().as_bytes().len();
        self.topic.len() + self.payload.len() + properties
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_grows_older_by_whole_seconds() {
        let mut mapped = Mapped::new("t".into(), Vec::new());
        assert!(mapped.age(Monotonic(u64::MAX)));
        mapped.expiry = Some(3);
        mapped.origin.arrived = Monotonic(500);
        for (now, alive, left) in [
            (1_400, true, 3),
            (1_600, true, 2),
            (2_400, true, 2),
            (3_500, true, 0),
            (4_499, true, 0),
            (4_500, false, 0),
        ] {
            assert_eq!(mapped.age(Monotonic(now)), alive, "{now}");
            assert_eq!(mapped.expiry, Some(left), "{now}");
        }
    }
}
