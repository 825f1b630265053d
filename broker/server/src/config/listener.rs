//! What listens, and who may connect there.

use std::path::PathBuf;
use std::time::Duration;

use super::address::ListenAddress;
use super::collection::Override;
use super::declare::{choices, section};
use super::node::Value;
use super::quantity::ByteSize;
use super::scalar::{Scalar, setting_from_scalar};

section! {
    /// One listener: where, in which protocol, and what its clients may do.
    /// What can be `"inherit"` here is then as `[limits]` and `[access]` say.
    pub struct Listener {
        /// A name for logs, metrics and reload; the address when empty. Change
        /// it to tell listeners apart.
        pub name: String = String::new(),
        /// Where to listen: an IP address or a host name with a port, or
        /// `unix:` and a path. `[::]` takes IPv6 and IPv4. Change it to listen
        /// on one network only.
        pub address: ListenAddress =
            ListenAddress::Socket((std::net::Ipv6Addr::UNSPECIFIED, 1883).into()),
        /// Take no IPv4 connections on an IPv6 address. Change it when IPv4 has
        /// a listener of its own on this port.
        pub ipv6_only: bool = false,
        /// MQTT straight on the stream, or in WebSocket frames for browsers.
        pub protocol: Protocol = Protocol::Mqtt,
        /// Expect PROXY protocol v1 or v2 before anything else, and refuse
        /// connections without it. Change it behind a load balancer that sends
        /// it; never otherwise, as clients could claim any address.
        pub proxy_protocol: bool = false,
        /// Put before every topic of this listener's clients, and removed again
        /// from what they receive. Change it to keep tenants apart.
        pub mount_point: String = String::new(),
        /// The highest QoS that clients may publish and are granted.
        pub max_qos: u8 = 2; 0..=2,
        /// Whether clients may publish retained messages.
        pub retain_available: bool = true,
        /// Connections open at once on this listener. Change it to keep room
        /// for the other listeners.
        pub max_connections: Option<u32> = None,
        /// The longest MQTT packet taken here. Change it where clients differ.
        pub max_packet_size: Override<ByteSize> = Override(None); 20..=268_435_460,
        /// Topic aliases that a client may define here; 0 allows none.
        pub max_topic_alias: Override<u16> = Override(None),
        /// The longest keep alive granted here, in whole seconds.
        pub max_keepalive: Override<Duration> = Override(None); 10_000..=65_535_000,
        /// TLS, when there is a certificate here.
        pub tls: Option<Tls> = None,
        /// WebSocket, when `protocol` is `websockets`.
        pub websocket: WebSocket = WebSocket::default(),
        /// Access on this listener, where it differs from `[access]`.
        pub access: ListenerAccess = ListenerAccess::default(),
    }
}

impl Listener {
    /// What to call it: its name, or else its address.
    pub fn label(&self) -> String {
        match self.name.as_str() {
            "" => self.address.to_string(),
            name => name.to_owned(),
        }
    }
}

choices! {
    /// What a listener speaks.
    pub enum Protocol {
        /// MQTT packets one after another on the stream.
        Mqtt = "mqtt",
        /// MQTT in binary WebSocket frames.
        WebSockets = "websockets",
    }
}

section! {
    /// TLS on a listener. All files are PEM, and are read again on reload
    /// without dropping connections.
    pub struct Tls {
        /// The server's certificate, followed by its intermediates.
        pub certificate: PathBuf = PathBuf::new(),
        /// Where those are looked for when it is alone in its file: files, and
        /// directories as in `client_ca`. Set it where they are kept apart.
        pub intermediates: Vec<PathBuf> = Vec::new(),
        /// The private key of the certificate.
        pub key: PathBuf = PathBuf::new(),
        /// Who signs client certificates: files, and directories whose `.pem`
        /// and `.crt` files all count. Set it to ask clients for a certificate.
        pub client_ca: Vec<PathBuf> = Vec::new(),
        /// Refuse clients without a certificate. Change it when certificates
        /// are how clients prove who they are.
        pub require_client_certificate: bool = false,
        /// Revoked client certificates: lists of all the authorities in
        /// `client_ca`. Set it to shut out a client before its certificate ends.
        pub crl: Option<PathBuf> = None,
        /// The oldest TLS that clients may use. Change it to 1.3 when all your
        /// clients have it.
        pub min_version: TlsVersion = TlsVersion::Tls12,
    }
}

choices! {
    /// A version of TLS.
    pub enum TlsVersion {
        /// TLS 1.2.
        Tls12 = "1.2",
        /// TLS 1.3.
        Tls13 = "1.3",
    }
}

section! {
    /// WebSocket on a listener.
    pub struct WebSocket {
        /// The request paths that are answered, `*` for every path; others are
        /// not found. Change it when your clients ask for another.
        pub paths: Vec<String> = ["/", "/mqtt", "/ws"].map(String::from).into(),
        /// The web pages that may connect, as `https://example.org`: the
        /// request's Origin must be one of these. Empty allows every page; set
        /// it when browsers hold credentials for this broker.
        pub origins: Vec<String> = Vec::new(),
    }
}

section! {
    /// Who may connect and what they may do, on every listener that does not
    /// say otherwise.
    pub struct Access {
        /// Clients without a user name: `true` lets them in, `false` refuses
        /// them, `"loopback"` lets them in from this machine only.
        pub allow_anonymous: AllowAnonymous = AllowAnonymous::Loopback,
        /// User names and passwords: written by `dunlin passwd`, or Mosquitto's
        /// file as it is. Set it to let users in from other machines.
        pub password_file: Option<PathBuf> = None,
        /// Who may publish and subscribe to what, in Mosquitto's grammar.
        /// Without it every client may do everything.
        pub acl_file: Option<PathBuf> = None,
        /// Whether a client may come without an id and be given one.
        pub allow_zero_length_clientid: bool = true,
        /// How the ids that the broker gives begin.
        pub auto_id_prefix: String = "auto-".into(),
    }
}

section! {
    /// Access on one listener: what is set here replaces `[access]` there.
    pub struct ListenerAccess {
        /// As `access.allow_anonymous`.
        pub allow_anonymous: Override<AllowAnonymous> = Override(None),
        /// As `access.password_file`.
        pub password_file: Override<PathBuf> = Override(None),
        /// As `access.acl_file`.
        pub acl_file: Override<PathBuf> = Override(None),
        /// As `access.allow_zero_length_clientid`.
        pub allow_zero_length_clientid: Override<bool> = Override(None),
        /// As `access.auto_id_prefix`.
        pub auto_id_prefix: Override<String> = Override(None),
        /// The user name is the common name of the client's certificate, and no
        /// password is asked. Needs `tls.require_client_certificate`.
        pub use_identity_as_username: bool = false,
        /// The same with the certificate's whole subject,
        /// as `CN=door 3,OU=Doors,O=Example,C=GB`.
        pub use_subject_as_username: bool = false,
        /// The client id is replaced by the user name; clients without a user
        /// name are refused. Set it to keep users from taking each other's id.
        pub use_username_as_clientid: bool = false,
    }
}

impl Access {
    /// What holds on a listener with the given overrides.
    pub fn on(&self, listener: &ListenerAccess) -> Access {
        let own = listener.clone();
        Access {
            allow_anonymous: own.allow_anonymous.0.unwrap_or(self.allow_anonymous),
            password_file: own.password_file.0.or_else(|| self.password_file.clone()),
            acl_file: own.acl_file.0.or_else(|| self.acl_file.clone()),
            allow_zero_length_clientid: own
                .allow_zero_length_clientid
                .0
                .unwrap_or(self.allow_zero_length_clientid),
            auto_id_prefix: own
                .auto_id_prefix
                .0
                .unwrap_or_else(|| self.auto_id_prefix.clone()),
        }
    }
}

/// Whether clients may connect without a user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowAnonymous {
    /// Never.
    No,
    /// From this machine only.
    Loopback,
    /// From everywhere.
    Yes,
}

impl Scalar for AllowAnonymous {
    const EXPECTED: &'static str = "true, false or \"loopback\"";

    fn from_text(text: &str) -> Option<Self> {
        (text == "loopback").then_some(AllowAnonymous::Loopback)
    }

    fn from_bool(yes: bool) -> Option<Self> {
        Some(if yes {
            AllowAnonymous::Yes
        } else {
            AllowAnonymous::No
        })
    }

    fn to_value(&self) -> Value {
        match self {
            AllowAnonymous::No => Value::Bool(false),
            AllowAnonymous::Yes => Value::Bool(true),
            AllowAnonymous::Loopback => Value::Text("loopback".into()),
        }
    }
}

setting_from_scalar!(AllowAnonymous);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_replaces_only_what_it_sets() {
        let access = Access {
            password_file: Some("all".into()),
            acl_file: Some("rules".into()),
            ..Access::default()
        };
        let own = ListenerAccess {
            allow_anonymous: Override(Some(AllowAnonymous::Yes)),
            password_file: Override(Some("own".into())),
            ..ListenerAccess::default()
        };
        let expected = Access {
            allow_anonymous: AllowAnonymous::Yes,
            password_file: Some("own".into()),
            ..access.clone()
        };
        assert_eq!(access.on(&own), expected);
    }
}
