//! What can be wrong with bytes that came, and with a packet to be sent.

use core::fmt;

use crate::{ReasonCode, Version};

/// The peer sent bytes that the protocol refuses; the connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The code for DISCONNECT or CONNACK, where the version has one.
    pub reason: ReasonCode,
    /// What is wrong, with the clause that says so; never text from the peer.
    pub what: &'static str,
    /// Only for a refused CONNECT whose protocol name is one of MQTT's: the version in which a
    /// CONNACK can still answer it. A level that nobody knows is answered as 3.1.1, which every
    /// client understands [MQTT-3.1.2-2].
    pub connect_version: Option<Version>,
}

impl DecodeError {
    pub(crate) const fn new(reason: ReasonCode, what: &'static str) -> Self {
        Self {
            reason,
            what,
            connect_version: None,
        }
    }

    /// The bytes cannot be parsed as the standard says (0x81).
    pub(crate) const fn malformed(what: &'static str) -> Self {
        Self::new(ReasonCode::MalformedPacket, what)
    }

    /// The bytes parse, but say what the standard forbids (0x82).
    pub(crate) const fn protocol(what: &'static str) -> Self {
        Self::new(ReasonCode::ProtocolError, what)
    }

    pub(crate) const fn of_connect(self, version: Version) -> Self {
        Self {
            connect_version: Some(version),
            ..self
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x{:02X})", self.what, self.reason as u8)
    }
}

impl core::error::Error for DecodeError {}

/// We built a packet that has no bytes in this version; nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The packet would be longer than [`crate::MAX_PACKET_SIZE`].
    PacketTooLarge,
    /// A text or a binary value is longer than 65,535 bytes, or a subscription identifier is not
    /// in 1..=268,435,455.
    FieldOutOfRange,
    /// A PUBLISH above QoS 0 without packet id, or one at QoS 0 with packet id or DUP
    /// [MQTT-2.2.1-2] [MQTT-3.3.1-2].
    PacketIdMismatch,
    /// A SUBSCRIBE, UNSUBSCRIBE or SUBACK that names nothing [MQTT-3.8.3-2].
    Empty,
    /// The version has no way to say it: AUTH, a password without user name, or a refusal for
    /// which CONNACK has no return code (close without CONNACK then, MQTT 3.1.1 [MQTT-3.2.2-6]).
    NotInVersion,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PacketTooLarge => "the packet is longer than 268,435,460 bytes",
            Self::FieldOutOfRange => "a field is longer or larger than its encoding allows",
            Self::PacketIdMismatch => "packet id and DUP do not fit the QoS",
            Self::Empty => "the packet names no subscription",
            Self::NotInVersion => "the protocol version has no such packet",
        })
    }
}

impl core::error::Error for EncodeError {}
