use std::borrow::Cow;
use std::fmt;

use dunlin_codec::{DecodeError, ReasonCode};
use dunlin_topic::TopicError;

/// Why a connection cannot go on.
///
/// The reason code says whose fault it is: [`Failure::peers_fault`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For the DISCONNECT or CONNACK.
    pub reason: ReasonCode,
    /// What happened, for the log and the Reason String.
    pub what: Cow<'static, str>,
}

impl Failure {
    /// A failure with this reason code.
    pub fn new(reason: ReasonCode, what: impl Into<Cow<'static, str>>) -> Self {
        Failure {
            reason,
            what: what.into(),
        }
    }

    /// The peer sent what the standard forbids in this state (0x82).
    pub fn protocol(what: &'static str) -> Self {
        Failure::new(ReasonCode::ProtocolError, what)
    }

    /// A topic name or filter that the peer must not send: malformed (0x81), or beyond our bounds
    /// (0x90).
    pub fn topic_name(error: TopicError) -> Self {
        let reason = match error {
            TopicError::TooDeep | TopicError::TooLong => ReasonCode::TopicNameInvalid,
            _ => ReasonCode::MalformedPacket,
        };
        Failure::new(reason, error.to_string())
    }

    /// Whether the peer broke the protocol.
    pub fn peers_fault(&self) -> bool {
        matches!(
            self.reason,
            ReasonCode::MalformedPacket
                | ReasonCode::ProtocolError
                | ReasonCode::TopicNameInvalid
                | ReasonCode::TopicFilterInvalid
                | ReasonCode::TopicAliasInvalid
                | ReasonCode::ReceiveMaximumExceeded
                | ReasonCode::PacketTooLarge
                | ReasonCode::QosNotSupported
                | ReasonCode::RetainNotSupported
                | ReasonCode::UnsupportedProtocolVersion
        )
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Failure::new(error.reason, error.what)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x{:02x})", self.what, self.reason as u8)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_at_fault_for_what_it_sent_and_not_for_what_we_lack() {
        assert!(Failure::protocol("a second CONNECT").peers_fault());
        assert!(Failure::topic_name(TopicError::TooDeep).peers_fault());
        for reason in [
            ReasonCode::ServerShuttingDown,
            ReasonCode::QuotaExceeded,
            ReasonCode::KeepAliveTimeout,
        ] {
            assert!(!Failure::new(reason, "").peers_fault(), "{reason:?}");
        }
    }

    #[test]
    fn it_reads_as_what_happened_with_its_code() {
        let failure = Failure::protocol("a second CONNECT");
        assert_eq!(failure.to_string(), "a second CONNECT (0x82)");
    }
}
