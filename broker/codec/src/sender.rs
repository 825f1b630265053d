//! What only one side of a connection may send.

use crate::{DecodeError, Packet, ReasonCode, Version};

/// The side that a packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Opened the connection.
    Client,
    /// Accepted it.
    Server,
}

impl Packet<'_> {
    /// Refuses a packet that this side must not send, by its type or by what it holds.
    ///
    /// # Errors
    /// Always a protocol error (0x82).
    pub fn check_sender(&self, sender: Sender, version: Version) -> Result<(), DecodeError> {
        match sender {
            Sender::Client => self.check_from_client(),
            Sender::Server => self.check_from_server(version),
        }
    }

    fn check_from_client(&self) -> Result<(), DecodeError> {
        let wrong = match self {
            Packet::Connack(_) | Packet::Suback(_) | Packet::Unsuback(_) | Packet::Pingresp => {
                "a client sent a server's packet (MQTT 5, 2.1.2)"
            }
            Packet::Publish(publish) if publish.properties.subscription_identifier().is_some() => {
                "a client's PUBLISH has a Subscription Identifier [MQTT-3.3.4-6]"
            }
            Packet::Disconnect(disconnect) if !is_client_disconnect(disconnect.reason) => {
                "a server's reason in a client's DISCONNECT (MQTT 5, 3.14.2.1)"
            }
            Packet::Disconnect(disconnect)
                if disconnect.properties.server_reference().is_some() =>
            {
                "a client's DISCONNECT has a Server Reference (MQTT 5, 3.14.2.2.5)"
            }
            Packet::Auth(auth) if auth.reason == ReasonCode::Success => {
                "a client's AUTH says success (MQTT 5, 3.15.2.1)"
            }
            _ => return Ok(()),
        };
        Err(DecodeError::protocol(wrong))
    }

    fn check_from_server(&self, version: Version) -> Result<(), DecodeError> {
        let wrong = match self {
            Packet::Connect(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::Pingreq => "a server sent a client's packet (MQTT 5, 2.1.2)",
            Packet::Disconnect(_) if !version.has_server_disconnect() => {
                "a server sent DISCONNECT before version 5 (MQTT 3.1.1, 3.14)"
            }
            Packet::Disconnect(disconnect) if !is_server_disconnect(disconnect.reason) => {
                "a client's reason in a server's DISCONNECT (MQTT 5, 3.14.2.1)"
            }
            Packet::Disconnect(disconnect)
                if disconnect.properties.session_expiry_interval().is_some() =>
            {
                "a server's DISCONNECT has a Session Expiry Interval [MQTT-3.14.2-2]"
            }
            Packet::Auth(auth) if auth.reason == ReasonCode::ReAuthenticate => {
                "a server asks to re-authenticate (MQTT 5, 3.15.2.1)"
            }
            _ => return Ok(()),
        };
        Err(DecodeError::protocol(wrong))
    }
}

/// The codes that the table of 3.14.2.1 gives to clients; all are in DISCONNECT's list already.
const fn is_client_disconnect(reason: ReasonCode) -> bool {
    !matches!(
        reason,
        ReasonCode::NotAuthorized
            | ReasonCode::ServerBusy
            | ReasonCode::ServerShuttingDown
            | ReasonCode::KeepAliveTimeout
            | ReasonCode::SessionTakenOver
            | ReasonCode::TopicFilterInvalid
            | ReasonCode::RetainNotSupported
            | ReasonCode::QosNotSupported
            | ReasonCode::UseAnotherServer
            | ReasonCode::ServerMoved
            | ReasonCode::SharedSubscriptionsNotSupported
            | ReasonCode::ConnectionRateExceeded
            | ReasonCode::MaximumConnectTime
            | ReasonCode::SubscriptionIdentifiersNotSupported
            | ReasonCode::WildcardSubscriptionsNotSupported
    )
}

/// A server never disconnects normally: it has no will and keeps the session.
const fn is_server_disconnect(reason: ReasonCode) -> bool {
    !matches!(
        reason,
        ReasonCode::Success | ReasonCode::DisconnectWithWillMessage
    )
}
