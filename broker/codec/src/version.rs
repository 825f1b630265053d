//! The three protocol versions, and how they differ.

/// A version of the protocol, asked by capability rather than compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Version {
    /// MQTT 3.1, protocol name `MQIsdp`, level 3.
    Mqtt31,
    /// MQTT 3.1.1, protocol name `MQTT`, level 4.
    #[default]
    Mqtt311,
    /// MQTT 5.0, protocol name `MQTT`, level 5.
    Mqtt5,
}

impl Version {
    /// Packets carry properties, reason strings and user properties.
    pub const fn has_properties(self) -> bool {
        matches!(self, Self::Mqtt5)
    }

    /// Acknowledgements, DISCONNECT and UNSUBACK carry reason codes.
    pub const fn has_reason_codes(self) -> bool {
        matches!(self, Self::Mqtt5)
    }

    /// The server may send DISCONNECT before it closes (MQTT 5, 3.14).
    pub const fn has_server_disconnect(self) -> bool {
        matches!(self, Self::Mqtt5)
    }

    /// AUTH exists (MQTT 5, 4.12).
    pub const fn has_auth(self) -> bool {
        matches!(self, Self::Mqtt5)
    }

    /// SUBSCRIBE carries No Local, Retain As Published and Retain Handling (MQTT 5, 3.8.3.1).
    pub const fn has_subscription_options(self) -> bool {
        matches!(self, Self::Mqtt5)
    }

    /// A password may come without a user name; 3.x forbids it [MQTT-3.1.2-22].
    pub const fn allows_password_alone(self) -> bool {
        matches!(self, Self::Mqtt5)
    }

    /// CONNACK says whether the server had a session; new in 3.1.1.
    pub const fn has_session_present(self) -> bool {
        !matches!(self, Self::Mqtt31)
    }

    /// SUBACK can say that a subscription failed; new in 3.1.1. Encoding for 3.1 writes 0x80
    /// nevertheless, as other servers do.
    pub const fn has_subscribe_failure(self) -> bool {
        !matches!(self, Self::Mqtt31)
    }

    /// PUBREL, SUBSCRIBE and UNSUBSCRIBE may be repeated with DUP, the fixed header's spare flags
    /// are "not used" rather than reserved, and a CONNECT may leave out what its flags announce.
    pub(crate) const fn is_loose_about_flags(self) -> bool {
        matches!(self, Self::Mqtt31)
    }

    /// Variable byte integers must be as short as possible [MQTT-1.5.5-1]; 3.x does not say so.
    pub(crate) const fn requires_shortest_lengths(self) -> bool {
        matches!(self, Self::Mqtt5)
    }

    /// The name in the CONNECT variable header.
    pub const fn protocol_name(self) -> &'static str {
        match self {
            Self::Mqtt31 => "MQIsdp",
            Self::Mqtt311 | Self::Mqtt5 => "MQTT",
        }
    }

    /// The level in the CONNECT variable header.
    pub const fn protocol_level(self) -> u8 {
        match self {
            Self::Mqtt31 => 3,
            Self::Mqtt311 => 4,
            Self::Mqtt5 => 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_came_with_their_version() {
        let since_5 = [
            Version::has_properties,
            Version::has_reason_codes,
            Version::has_server_disconnect,
            Version::has_auth,
            Version::has_subscription_options,
            Version::allows_password_alone,
        ];
        for has in since_5 {
            let versions = [Version::Mqtt31, Version::Mqtt311, Version::Mqtt5];
            assert_eq!(versions.map(has), [false, false, true]);
        }
        for has in [Version::has_session_present, Version::has_subscribe_failure] {
            let versions = [Version::Mqtt31, Version::Mqtt311, Version::Mqtt5];
            assert_eq!(versions.map(has), [false, true, true]);
        }
    }
}
