//! What a bridge is told, and how the directives of `mosquitto.conf` map to it.
//!
//! Each field names the directive of Mosquitto 2.0 that it stands for. Without a counterpart are:
//! `bridge_psk` and `bridge_identity` (rustls has no external pre-shared keys),
//! `bridge_require_ocsp` (rustls does not judge stapled responses; a list of revoked certificates
//! is the server's to keep short-lived), `bridge_tls_version tlsv1.1` (withdrawn by RFC 8996), and
//! `message_size_limit`, which is the broker's own limit and no part of a bridge.

mod check;
mod clients;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use dunlin_codec::{Qos, Version};

/// Everything that one bridge is told.
///
/// The defaults are Mosquitto's, but for the protocol version.
#[derive(Clone, Debug, PartialEq)]
pub struct BridgeSettings {
    /// `connection`: the bridge's name in logs, and in the client ids that are not given.
    pub name: String,
    /// `address`: where the other broker is, in order: `host`, `host:port`, `[v6]:port`. Without a
    /// port it is 1883, with TLS 8883. At least one.
    pub addresses: Vec<String>,
    /// `round_robin`: after a failure go on with the next address and stay there. Otherwise the
    /// first address is preferred, and returned to as soon as it accepts connections.
    pub round_robin: bool,
    /// `bridge_bind_address`: the local address that connections come from.
    pub bind_address: Option<IpAddr>,
    /// How long one attempt may take, from the name's resolution to CONNACK. Default 30 s.
    pub connect_timeout: Duration,
    /// `start_type`, with `threshold` and `idle_timeout`.
    pub start: Start,
    /// `restart_timeout`: the pause after all addresses failed.
    pub restart: Restart,
    /// `topic`: what is shared. At least one.
    pub topics: Vec<TopicRule>,

    /// `bridge_protocol_version`. Default 5, Mosquitto's is 3.1.1.
    pub version: Version,
    /// `try_private`: towards 3.1 and 3.1.1, say that this is a bridge: the broker then does not
    /// send back what it got from here, and keeps RETAIN as it was published. Brokers that refuse
    /// it are asked again without. Version 5 needs no such thing.
    pub try_private: bool,
    /// `remote_clientid`. Default: the name, a dot, and the name of this machine.
    pub remote_client_id: Option<String>,
    /// `remote_username`.
    pub remote_username: Option<String>,
    /// `remote_password`.
    pub remote_password: Option<Vec<u8>>,
    /// `cleansession`: the other broker forgets subscriptions and messages at each disconnect.
    pub clean_session: bool,
    /// `local_clientid`. Default: `local.` and the remote client id.
    pub local_client_id: Option<String>,
    /// `local_username`.
    pub local_username: Option<String>,
    /// `local_password`.
    pub local_password: Option<Vec<u8>>,
    /// `local_cleansession`: nothing waits for the other broker. What has not arrived there when
    /// its connection is lost is dropped, as is all that comes until it is back, and what waits
    /// when the bridge stops. Default: as `clean_session`.
    pub local_clean_session: Option<bool>,
    /// Seconds that the sessions on both sides outlive their connections, unless they are clean;
    /// `u32::MAX` is for ever. On the remote side version 5 only.
    pub session_expiry: u32,
    /// `keepalive_interval`, in seconds, of both sides; at least 5.
    pub keep_alive: u16,

    /// `notifications`: publish the state of the bridge, 1 or 0, retained.
    pub notifications: bool,
    /// `notifications_local_only`: to our broker only.
    pub notifications_local_only: bool,
    /// `notification_topic`. Default: `$SYS/broker/connection/<remote client id>/state`.
    pub notification_topic: Option<String>,

    /// `bridge_outgoing_retain`: keep the RETAIN flag of what goes out.
    pub outgoing_retain: bool,
    /// `bridge_attempt_unsubscribe`: end subscriptions that an earlier configuration may have left
    /// in the other broker, at topics that only go the other way.
    pub attempt_unsubscribe: bool,
    /// `bridge_max_packet_size`: bytes of the largest packet sent to the other broker, besides what
    /// it says itself; larger messages are dropped, and counted.
    pub max_outgoing_packet_bytes: Option<u32>,
    /// Bytes of the largest packet taken from either broker. In version 5 they are told and leave
    /// larger messages out; another closes the connection. Default 16 MiB.
    pub max_incoming_packet_bytes: u32,
    /// Messages above QoS 0 that either broker may have open towards the bridge: what it holds in
    /// memory. 1 to 64,511, default 100.
    pub receive_maximum: u16,
    /// Messages above QoS 0 that the bridge may have open towards the other broker, if that does
    /// not say less. A long line needs more, and `receive_maximum` with it: 100 messages in a
    /// round trip of 50 ms are 2,000 in a second. Default: `receive_maximum` in version 5. In
    /// version 3, where a broker cannot say less, 20: Mosquitto closes a connection with more at
    /// QoS 2 than its `max_inflight_messages`.
    pub maximum_inflight: Option<u16>,
    /// Topic aliases that the other broker may use; version 5 only.
    pub topic_alias_maximum: u16,
    /// Bytes of messages waiting, each way, above which QoS 0 is dropped and the other broker is
    /// not read. Default 8 MiB.
    pub pending_bytes: usize,
    /// Mark messages with the bridges that they crossed, in a user property, and do not carry one
    /// a second time. Needs version 5. Ends loops of several bridges; a single bridge has none.
    pub loop_detection: bool,

    /// TLS towards the other broker.
    pub tls: Option<TlsSettings>,
}

/// `start_type`: when the bridge is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Always.
    Automatic,
    /// While there is something to send.
    Lazy {
        /// Messages that wait when it connects; 1 to 10,000.
        threshold: u16,
        /// It disconnects after so long without a message.
        idle_timeout: Duration,
    },
    /// From the start until the connection fails.
    Once,
}

/// `restart_timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// The first pause, or every pause without a cap; at least 1 ms.
    pub base: Duration,
    /// Pauses grow at random up to this: decorrelated jitter.
    pub cap: Option<Duration>,
}

/// One `topic` line: `topic pattern direction qos local_prefix remote_prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRule {
    /// A topic filter; empty (`""` there) to map the one topic `local_prefix` to the one topic
    /// `remote_prefix`.
    pub pattern: String,
    /// Which way.
    pub direction: Direction,
    /// The QoS of the subscriptions: the most that messages cross with.
    pub qos: Qos,
    /// Stands before the pattern in our broker; may be empty.
    pub local_prefix: String,
    /// Stands before the pattern in the other broker; may be empty.
    pub remote_prefix: String,
}

/// Which way messages go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From our broker to the other.
    #[default]
    Out,
    /// From the other broker to ours.
    In,
    /// Both.
    Both,
}

impl Direction {
    pub(crate) fn is_out(self) -> bool {
        self != Direction::In
    }

    pub(crate) fn is_in(self) -> bool {
        self != Direction::Out
    }
}

/// TLS towards the other broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// `bridge_cafile`, `bridge_capath`: PEM files, and directories whose `.pem` and `.crt` files
    /// are read. Empty: what the system trusts.
    pub authorities: Vec<PathBuf>,
    /// `bridge_certfile`: PEM, our certificate and those between it and its authority.
    pub certificate: Option<PathBuf>,
    /// `bridge_keyfile`: PEM, not encrypted.
    pub key: Option<PathBuf>,
    /// `bridge_alpn`: protocol names, as `mqtt` or AWS IoT's `x-amzn-mqtt-ca`.
    pub alpn: Vec<String>,
    /// `bridge_insecure`: do not compare the certificate's names with the address. Its chain,
    /// dates and purpose are checked nevertheless.
    pub insecure: bool,
    /// `bridge_tls_version tlsv1.3`: refuse TLS 1.2.
    pub only_tls13: bool,
}

impl Default for TopicRule {
    /// All topics, out, at QoS 0, as they are.
    fn default() -> Self {
        TopicRule {
            pattern: "#".into(),
            direction: Direction::Out,
            qos: Qos::AtMostOnce,
            local_prefix: String::new(),
            remote_prefix: String::new(),
        }
    }
}

impl Default for Restart {
    fn default() -> Self {
        Restart {
            base: Duration::from_secs(5),
            cap: Some(Duration::from_secs(30)),
        }
    }
}

impl Default for BridgeSettings {
    fn default() -> Self {
        BridgeSettings {
            name: String::new(),
            addresses: Vec::new(),
            round_robin: false,
            bind_address: None,
            connect_timeout: Duration::from_secs(30),
            start: Start::Automatic,
            restart: Restart::default(),
            topics: Vec::new(),
            version: Version::Mqtt5,
            try_private: true,
            remote_client_id: None,
            remote_username: None,
            remote_password: None,
            clean_session: false,
            local_client_id: None,
            local_username: None,
            local_password: None,
            local_clean_session: None,
            session_expiry: u32::MAX,
            keep_alive: 60,
            notifications: true,
            notifications_local_only: false,
            notification_topic: None,
            outgoing_retain: true,
            attempt_unsubscribe: true,
            max_outgoing_packet_bytes: None,
            max_incoming_packet_bytes: 16 * 1024 * 1024,
            receive_maximum: 100,
            maximum_inflight: None,
            topic_alias_maximum: 10,
            pending_bytes: 8 * 1024 * 1024,
            loop_detection: true,
            tls: None,
        }
    }
}
