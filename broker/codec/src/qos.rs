//! Quality of service.

/// How often a message may arrive (MQTT 5, 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Qos {
    /// Sent once, never acknowledged.
    #[default]
    AtMostOnce = 0,
    /// Sent until acknowledged; may arrive twice.
    AtLeastOnce = 1,
    /// Handed over in two steps; arrives once.
    ExactlyOnce = 2,
}

impl Qos {
    /// The level with this number, 0 to 2.
    pub const fn from_u8(level: u8) -> Option<Self> {
        match level {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}
