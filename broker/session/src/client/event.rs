use dunlin_codec::{Disconnect, EncodeError, PacketId, ReasonCode, Suback};

use crate::Incoming;

/// What a packet from the server means to the application.
#[derive(Debug)]
pub enum Event<'p> {
    /// Nothing: the session has answered, or made room for more.
    Nothing,
    /// A message. With an `acknowledgement`, answer with [`Client::acknowledge`](super::Client::acknowledge) or
    /// [`Client::postpone`](super::Client::postpone).
    Message(Incoming<'p>),
    /// The flow of a PUBLISH of ours above QoS 0 is over: taken, or refused with an error.
    Published {
        /// As [`Client::publish`](super::Client::publish) gave it.
        packet_id: PacketId,
        /// Success, or why the server refused it; always success in version 3.
        reason: ReasonCode,
    },
    /// The answer to [`Client::subscribe`](super::Client::subscribe).
    Subscribed(Suback<'p>),
    /// The answer to [`Client::unsubscribe`](super::Client::unsubscribe).
    Unsubscribed(Suback<'p>),
    /// The next step of [`Client::reauthenticate`](super::Client::reauthenticate); answer with [`Client::respond`](super::Client::respond).
    Challenge(&'p [u8]),
    /// Re-authentication succeeded.
    Reauthenticated(&'p [u8]),
    /// The server ends the connection: close it. Only in version 5.
    Disconnected(Disconnect<'p>),
}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// The window or the bound on requests is full: try again after an acknowledgement.
    Full,
    /// The message's expiry passed.
    Expired,
    /// The packet exceeds the server's Maximum Packet Size [MQTT-3.2.2-15].
    TooLarge,
    /// The QoS exceeds the server's Maximum QoS [MQTT-3.2.2-11].
    QosNotSupported,
    /// The server keeps no messages [MQTT-3.2.2-14].
    RetainNotSupported,
    /// The packet has no encoding.
    Unencodable(EncodeError),
}
