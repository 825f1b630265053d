//! What is known of a client when it asks to connect.

use std::{fmt, net::SocketAddr, sync::Arc};

use bytes::Bytes;

/// A CONNECT as the authenticators see it.
///
/// Every length is bounded by the protocol (65,535 bytes a field) and by the
/// listener's maximum packet size, both enforced before this value exists.
#[derive(Clone, Default)]
pub struct ConnectRequest {
    /// The client identifier, already assigned by the server if it came empty.
    pub client_id: String,
    /// The user name, as claimed.
    pub username: Option<String>,
    /// The password: any bytes, absent or with a user name.
    pub password: Option<Bytes>,
    /// Where the client comes from.
    pub peer: PeerIdentity,
    /// Set when the client asked for enhanced authentication (MQTT 5, 4.12).
    pub authentication: Option<EnhancedAuthentication>,
    /// The user properties of the CONNECT, in order.
    pub user_properties: Vec<(String, String)>,
}

/// Authentication method and first data of a CONNECT or of an AUTH that asks
/// for re-authentication (MQTT 5, 3.1.2.11.9 and 4.12.1).
#[derive(Clone)]
pub struct EnhancedAuthentication {
    /// Names the exchange, for example `SCRAM-SHA-256`.
    pub method: String,
    /// What the client sent along, empty if nothing.
    pub data: Bytes,
}

/// Where a client comes from, as its listener saw it.
#[derive(Clone)]
pub struct PeerIdentity {
    /// The address, from the PROXY header if the listener trusts one.
    /// `None` on a unix socket.
    pub address: Option<SocketAddr>,
    /// Whether the client runs on this machine: a loopback address or a unix socket.
    pub loopback: bool,
    /// The listener's name.
    pub listener: Arc<str>,
    /// The client certificate, if one was presented and verified.
    pub certificate: Option<Certificate>,
}

/// The names in a verified client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The most specific common name of the subject.
    pub common_name: Option<String>,
    /// The whole subject, in the form of RFC 2253.
    pub subject: String,
}

impl Default for PeerIdentity {
    /// A peer of which nothing is known, hence not trusted as local.
    fn default() -> Self {
        Self {
            address: None,
            loopback: false,
            listener: Arc::from(""),
            certificate: None,
        }
    }
}

/// Leaves the password and the authentication data out.
impl fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectRequest")
            .field("client_id", &self.client_id)
            .field("username", &self.username)
            .field("address", &self.peer.address)
            .field("listener", &self.peer.listener)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_out_of_debug_output() {
        let request = ConnectRequest {
            client_id: "pump".into(),
            password: Some(Bytes::from_static(b"hunter2")),
            authentication: Some(EnhancedAuthentication {
                method: "PLAIN".into(),
                data: Bytes::from_static(b"hunter3"),
            }),
            ..Default::default()
        };
        let shown = format!("{request:?}");
        assert!(shown.contains("pump"));
        assert!(
            !shown.contains("hunter") && !shown.contains("104, 117"),
            "{shown}"
        );
    }
}
