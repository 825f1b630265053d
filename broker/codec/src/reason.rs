//! Reason codes: the whole of MQTT 5's table 2-6, and 3.x's return codes in terms of it.

use crate::{DecodeError, PacketType};

/// Declares the table once: name, value, text and the packets in which the code may stand.
macro_rules! reason_codes {
    ($($(#[$attr:meta])* $name:ident = $value:literal $text:literal [$($packet:ident)*],)*) => {
        /// Why something succeeded or failed (MQTT 5, 2.4). From 0x80 on it failed.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum ReasonCode {
            $(#[doc = $text] $(#[$attr])* $name = $value,)*
        }

        impl ReasonCode {
            /// The code with this value.
            pub const fn from_u8(value: u8) -> Option<Self> {
                match value {
                    $($value => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The standard's name of the code.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Whether the standard lists the code for this type of packet.
            pub const fn is_valid_in(self, packet_type: PacketType) -> bool {
                let packets = match self {
                    $(Self::$name => 0 $(| PacketType::$packet.bit())*,)*
                };
                packets & packet_type.bit() != 0
            }
        }
    };
}

reason_codes! {
    #[default]
    Success = 0x00 "Success" [Connack Puback Pubrec Pubrel Pubcomp Suback Unsuback Disconnect Auth],
    GrantedQos1 = 0x01 "Granted QoS 1" [Suback],
    GrantedQos2 = 0x02 "Granted QoS 2" [Suback],
    DisconnectWithWillMessage = 0x04 "Disconnect with Will Message" [Disconnect],
    NoMatchingSubscribers = 0x10 "No matching subscribers" [Puback Pubrec],
    NoSubscriptionExisted = 0x11 "No subscription existed" [Unsuback],
    ContinueAuthentication = 0x18 "Continue authentication" [Auth],
    ReAuthenticate = 0x19 "Re-authenticate" [Auth],
    UnspecifiedError = 0x80 "Unspecified error" [Connack Puback Pubrec Suback Unsuback Disconnect],
    MalformedPacket = 0x81 "Malformed Packet" [Connack Disconnect],
    ProtocolError = 0x82 "Protocol Error" [Connack Disconnect],
    ImplementationSpecificError = 0x83 "Implementation specific error"
        [Connack Puback Pubrec Suback Unsuback Disconnect],
    UnsupportedProtocolVersion = 0x84 "Unsupported Protocol Version" [Connack],
    ClientIdentifierNotValid = 0x85 "Client Identifier not valid" [Connack],
    BadUserNameOrPassword = 0x86 "Bad User Name or Password" [Connack],
    NotAuthorized = 0x87 "Not authorized" [Connack Puback Pubrec Suback Unsuback Disconnect],
    ServerUnavailable = 0x88 "Server unavailable" [Connack],
    ServerBusy = 0x89 "Server busy" [Connack Disconnect],
    Banned = 0x8A "Banned" [Connack],
    ServerShuttingDown = 0x8B "Server shutting down" [Disconnect],
    BadAuthenticationMethod = 0x8C "Bad authentication method" [Connack Disconnect],
    KeepAliveTimeout = 0x8D "Keep Alive timeout" [Disconnect],
    SessionTakenOver = 0x8E "Session taken over" [Disconnect],
    TopicFilterInvalid = 0x8F "Topic Filter invalid" [Suback Unsuback Disconnect],
    TopicNameInvalid = 0x90 "Topic Name invalid" [Connack Puback Pubrec Disconnect],
    PacketIdentifierInUse = 0x91 "Packet Identifier in use" [Puback Pubrec Suback Unsuback],
    PacketIdentifierNotFound = 0x92 "Packet Identifier not found" [Pubrel Pubcomp],
    ReceiveMaximumExceeded = 0x93 "Receive Maximum exceeded" [Disconnect],
    TopicAliasInvalid = 0x94 "Topic Alias invalid" [Disconnect],
    PacketTooLarge = 0x95 "Packet too large" [Connack Disconnect],
    MessageRateTooHigh = 0x96 "Message rate too high" [Disconnect],
    QuotaExceeded = 0x97 "Quota exceeded" [Connack Puback Pubrec Suback Disconnect],
    AdministrativeAction = 0x98 "Administrative action" [Disconnect],
    PayloadFormatInvalid = 0x99 "Payload format invalid" [Connack Puback Pubrec Disconnect],
    RetainNotSupported = 0x9A "Retain not supported" [Connack Disconnect],
    QosNotSupported = 0x9B "QoS not supported" [Connack Disconnect],
    UseAnotherServer = 0x9C "Use another server" [Connack Disconnect],
    ServerMoved = 0x9D "Server moved" [Connack Disconnect],
    SharedSubscriptionsNotSupported = 0x9E "Shared Subscriptions not supported"
        [Suback Disconnect],
    ConnectionRateExceeded = 0x9F "Connection rate exceeded" [Connack Disconnect],
    MaximumConnectTime = 0xA0 "Maximum connect time" [Disconnect],
    SubscriptionIdentifiersNotSupported = 0xA1 "Subscription Identifiers not supported"
        [Suback Disconnect],
    WildcardSubscriptionsNotSupported = 0xA2 "Wildcard Subscriptions not supported"
        [Suback Disconnect],
}

impl ReasonCode {
    /// Whether the code says that something failed.
    pub const fn is_error(self) -> bool {
        self as u8 >= 0x80
    }

    /// The code that SUBACK grants this QoS with.
    pub const fn granted(qos: crate::Qos) -> Self {
        match qos {
            crate::Qos::AtMostOnce => Self::Success,
            crate::Qos::AtLeastOnce => Self::GrantedQos1,
            crate::Qos::ExactlyOnce => Self::GrantedQos2,
        }
    }

    /// The code in a packet of this type, where the standard must list it.
    pub(crate) fn read(value: u8, packet_type: PacketType) -> Result<Self, DecodeError> {
        let reason = Self::from_u8(value).ok_or(DecodeError::malformed(
            "a reason code that does not exist (MQTT 5, 2.4)",
        ))?;
        if !reason.is_valid_in(packet_type) {
            return Err(DecodeError::protocol(
                "a reason code that does not belong to this packet (MQTT 5, table 2-6)",
            ));
        }
        Ok(reason)
    }

    /// What a 3.x CONNACK return code means (MQTT 3.1.1, table 3.1).
    pub const fn from_connack_return_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Success),
            1 => Some(Self::UnsupportedProtocolVersion),
            2 => Some(Self::ClientIdentifierNotValid),
            3 => Some(Self::ServerUnavailable),
            4 => Some(Self::BadUserNameOrPassword),
            5 => Some(Self::NotAuthorized),
            _ => None,
        }
    }

    /// The 3.x CONNACK return code nearest in meaning. `None`: there is none, and the server
    /// closes without a CONNACK (MQTT 3.1.1 [MQTT-3.2.2-6]).
    pub const fn connack_return_code(self) -> Option<u8> {
        match self {
            Self::Success => Some(0),
            Self::UnsupportedProtocolVersion => Some(1),
            Self::ClientIdentifierNotValid => Some(2),
            Self::UnspecifiedError
            | Self::ImplementationSpecificError
            | Self::ServerUnavailable
            | Self::ServerBusy
            | Self::ServerShuttingDown
            | Self::QuotaExceeded
            | Self::UseAnotherServer
            | Self::ServerMoved
            | Self::ConnectionRateExceeded => Some(3),
            Self::BadUserNameOrPassword => Some(4),
            Self::NotAuthorized | Self::Banned | Self::BadAuthenticationMethod => Some(5),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Qos;

    #[test]
    fn a_granted_qos_is_its_own_code() {
        for (qos, value) in [
            (Qos::AtMostOnce, 0),
            (Qos::AtLeastOnce, 1),
            (Qos::ExactlyOnce, 2),
        ] {
            assert_eq!(ReasonCode::granted(qos) as u8, value);
        }
    }

    #[test]
    fn codes_have_the_names_of_the_standard() {
        for (value, name) in [
            (0x00, "Success"),
            (0x02, "Granted QoS 2"),
            (0x8E, "Session taken over"),
            (0xA2, "Wildcard Subscriptions not supported"),
        ] {
            let code = ReasonCode::from_u8(value);
            assert_eq!(code.map(ReasonCode::name), Some(name));
        }
    }
}
