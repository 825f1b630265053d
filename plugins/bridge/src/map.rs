//! Where a plugin may look at messages on their way.

use std::fmt;

use dunlin_codec::{PacketId, PropertiesBuf, Qos};

/// Changes messages between the two brokers.
///
/// Called on the bridge's task, so a call must be over within milliseconds. A batch is what one
/// read from a socket brought. A message that is taken out of it counts as delivered; one that is
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

    pub(crate) fn bytes(&self) -> usize {
        let properties = self.properties.as_properties().as_bytes().len();
        size_of::<Mapped>() + self.topic.len() + self.payload.len() + properties
    }
}
