//! What was published, and what became of it.

use dunlin_codec::Qos;
use dunlin_time::Wall;

use crate::client::Got;

/// Which message: its place in [`Messages`].
pub type Number = usize;
/// Counts what happened in a run.
pub type Tick = u64;

/// A message of a client, or its will.
#[derive(Clone, Debug)]
pub struct Published {
    pub topic: String,
    pub qos: Qos,
    pub retain: bool,
    /// When it could reach the broker first ...
    pub sent: Tick,
    pub sent_at: Wall,
    /// ... and when it certainly had: acknowledged, or a will that was due.
    pub accepted: Option<(Tick, Wall)>,
    /// Seconds from its arrival.
    pub expiry: Option<u32>,
    /// An empty payload, which clears a retained value.
    pub empty: bool,
    /// A will that is void: nobody may see it.
    pub void: bool,
}

impl Published {
    /// Bytes that name the message, of about this length.
    pub fn payload(&self, number: Number, bytes: usize) -> Vec<u8> {
        if self.empty {
            return Vec::new();
        }
        let mut payload = format!("{number}:").into_bytes();
        payload.resize(payload.len().max(bytes), b'.');
        payload
    }

    /// When the first copy may have expired.
    pub fn may_expire_at(&self) -> Option<Wall> {
        Some(self.sent_at + std::time::Duration::from_secs(self.expiry?.into()))
    }

    /// When every copy has expired, once that is certain. Seconds are rounded up on the wire.
    pub fn is_expired_at(&self) -> Option<Wall> {
        let (_, accepted_at) = self.accepted?;
        Some(accepted_at + std::time::Duration::from_secs(u64::from(self.expiry?) + 1))
    }
}

/// All messages of a run.
#[derive(Default)]
pub struct Messages(Vec<Published>);

impl Messages {
    pub fn add(&mut self, message: Published) -> Number {
        self.0.push(message);
        self.0.len() - 1
    }

    pub fn get(&self, number: Number) -> &Published {
        &self.0[number]
    }

    pub fn get_mut(&mut self, number: Number) -> &mut Published {
        &mut self.0[number]
    }

    /// Which message this is; `None` for an empty payload.
    ///
    /// # Errors
    /// It was never published.
    pub fn recognize(&self, got: &Got) -> Result<Option<Number>, String> {
        if got.payload.is_empty() {
            let cleared = |message: &Published| message.empty && message.topic == got.topic;
            return match self.0.iter().any(cleared) {
                true => Ok(None),
                false => Err(format!("an empty message to {} out of nowhere", got.topic)),
            };
        }
        let text = String::from_utf8_lossy(&got.payload);
        let number = text.split(':').next().and_then(|text| text.parse().ok());
        let published = number.and_then(|number: Number| Some((number, self.0.get(number)?)));
        match published {
            Some((number, message))
                if message.topic == got.topic
                    && got.qos <= message.qos
                    && message.payload(number, got.payload.len()) == got.payload =>
            {
                Ok(Some(number))
            }
            _ => Err(format!("a message out of nowhere: {got:?}")),
        }
    }
}
