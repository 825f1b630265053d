//! Bridges: other brokers, and what is carried there and back.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::declare::{choices, section};
use super::quantity::ByteSize;
use super::secret::Secret;

section! {
    /// A bridge to another broker. It is a client of both, with a session that
    /// lasts: what cannot be sent waits here, within `limits.queued_messages`
    /// and `limits.queued_bytes`, and on disk as every session's messages do.
    pub struct Bridge {
        /// What to call it in logs, metrics and client ids: letters, digits,
        /// `-`, `_` and `.`.
        pub name: String = String::new(),
        /// Where the other broker is, as `"mqtt.example.org:8883"`; without a
        /// port it is 1883, with `tls` 8883. Of several the first is preferred.
        pub addresses: Vec<String> = Vec::new(),
        /// What is carried, and which way.
        pub topics: Vec<BridgeTopic> = Vec::new(),
        /// TLS towards the other broker, when this table is there.
        pub tls: Option<BridgeTls> = None,
        /// The version of MQTT that is spoken to the other broker.
        pub protocol_version: BridgeVersion = BridgeVersion::Mqtt5,
        /// The client id there. Without one it is the name, a dot, and the name
        /// of this machine.
        pub remote_clientid: Option<String> = None,
        /// The user name that the other broker knows.
        pub remote_username: Option<String> = None,
        /// The password that belongs to it there.
        pub remote_password: Option<Secret> = None,
        /// The file that holds the password, in the place of `remote_password`.
        pub remote_password_file: Option<PathBuf> = None,
        /// Who the bridge is for the ACL file of this broker. Without a name it
        /// may carry what `topics` say; ACL plugins are asked in any case.
        pub local_username: Option<String> = None,
        /// Whether the other broker forgets the bridge when it is away.
        pub clean_session: bool = false,
        /// Whether nothing waits for the other broker: what is not there when
        /// its connection is lost is dropped, and what comes until it is back.
        pub local_clean_session: bool = false,
        /// How long both brokers keep the sessions of a bridge that is away.
        pub session_expiry: Option<Duration> = None,
        /// The keep alive on both sides, in whole seconds.
        pub keepalive: Duration = Duration::from_secs(60); 5_000..=65_535_000,
        /// When the bridge connects.
        pub start: BridgeStart = BridgeStart::Automatic,
        /// With `start = "lazy"`: messages that wait when it connects.
        pub lazy_messages: u16 = 10; 1..=10_000,
        /// With `start = "lazy"`: how long without a message until it leaves.
        pub idle_timeout: Duration = Duration::from_secs(60); 1_000..=86_400_000,
        /// How long one attempt to connect may take.
        pub connect_timeout: Duration = Duration::from_secs(30); 100..=600_000,
        /// The shortest pause after all addresses failed.
        pub restart_pause: Duration = Duration::from_secs(5); 1..=86_400_000,
        /// The longest; pauses grow towards it, each with some chance in it.
        pub restart_pause_max: Duration = Duration::from_secs(30); 1..=86_400_000,
        /// After a failure go on with the next address and stay there, instead
        /// of returning to the first.
        pub round_robin: bool = false,
        /// The address of this machine that connections come from.
        pub bind_address: Option<IpAddr> = None,
        /// Publish on both brokers, retained, whether the bridge is connected:
        /// `1` or `0`.
        pub notifications: bool = true,
        /// The same on this broker only.
        pub notifications_local_only: bool = false,
        /// Where. Without one it is `$SYS/broker/connection/` with the remote
        /// client id and `/state` behind it.
        pub notification_topic: Option<String> = None,
        /// Whether messages go out as retained if they came so.
        pub outgoing_retain: bool = true,
        /// Whether MQTT 3 brokers are told that this is a bridge, so that they
        /// send nothing back. Turn it off for those that refuse it silently.
        pub try_private: bool = true,
        /// Whether subscriptions are ended in the other broker that earlier
        /// settings may have left, at topics that only go there.
        pub attempt_unsubscribe: bool = true,
        /// The longest packet sent there; longer messages are dropped and
        /// counted. MQTT 5 brokers say themselves what they take.
        pub packet_size: Option<ByteSize> = None; 256..=268_435_460,
        /// Messages above QoS 0 under way at once from either broker. A long
        /// line needs more: 100 in a round trip of 50 ms are 2,000 a second.
        pub receive_maximum: u16 = 100; 1..=64_511,
        /// The same towards the other broker, where it should be less; `"inherit"`
        /// is `receive_maximum`, but 20 before MQTT 5.
        pub inflight_messages: super::Override<u16> = super::Override(None); 1..=64_511,
        /// Topic aliases that the other broker may use.
        pub topic_aliases: u16 = 10,
        /// Bytes waiting in the bridge, each way, above which QoS 0 is dropped
        /// and the other broker is not read.
        pub pending_bytes: ByteSize = ByteSize::mib(8); 65_536..=1_073_741_824,
        /// Whether messages are marked with the bridges that they crossed, and
        /// cross none twice. Works where all brokers speak MQTT 5.
        pub loop_detection: bool = true,
        /// The name of a plugin for bridges that maps what is carried.
        pub map: Option<String> = None,
    }
}

section! {
    /// What a bridge carries.
    pub struct BridgeTopic {
        /// A topic filter, as it is behind the prefixes. Empty for the one topic
        /// `local_prefix` here that is the one topic `remote_prefix` there.
        pub filter: String = "#".into(),
        /// Which way it is carried.
        pub direction: BridgeDirection = BridgeDirection::Out,
        /// The highest QoS that messages cross with.
        pub qos: u8 = 0; 0..=2,
        /// Stands before the topics in this broker.
        pub local_prefix: String = String::new(),
        /// Stands before the topics in the other broker.
        pub remote_prefix: String = String::new(),
    }
}

section! {
    /// TLS towards another broker.
    pub struct BridgeTls {
        /// The authorities that its certificate may come from: PEM files, or
        /// directories of them. Those of the system when empty.
        pub authorities: Vec<PathBuf> = Vec::new(),
        /// The certificate to show, with those between it and its authority, in
        /// a PEM file.
        pub certificate: Option<PathBuf> = None,
        /// The key of `certificate`, in a PEM file of its own.
        pub key: Option<PathBuf> = None,
        /// Protocol names to offer (ALPN), as `"x-amzn-mqtt-ca"`.
        pub alpn: Vec<String> = Vec::new(),
        /// Whether the certificate may be another host's. Whoever has any
        /// certificate of the authorities can then read along.
        pub insecure: bool = false,
        /// The lowest version of TLS.
        pub min_version: super::TlsVersion = super::TlsVersion::Tls12,
    }
}

choices! {
    /// The version of MQTT that a bridge speaks.
    pub enum BridgeVersion {
        /// MQTT 5.0.
        Mqtt5 = "5",
        /// MQTT 3.1.1.
        Mqtt311 = "3.1.1",
        /// MQTT 3.1.
        Mqtt31 = "3.1",
    }
}

choices! {
    /// When a bridge connects.
    pub enum BridgeStart {
        /// Always.
        Automatic = "automatic",
        /// While there is something to send.
        Lazy = "lazy",
        /// From the start until the connection fails.
        Once = "once",
    }
}

choices! {
    /// Which way messages go.
    pub enum BridgeDirection {
        /// From this broker to the other.
        Out = "out",
        /// From the other broker to this one.
        In = "in",
        /// Both.
        Both = "both",
    }
}

/// How access rules, plugins and logs call the way into this broker of a bridge or a webhook.
pub fn label(name: &str) -> String {
    format!("bridge/{name}")
}

impl Bridge {
    /// How access rules, plugins and logs call its way into this broker.
    pub fn label(&self) -> String {
        label(&self.name)
    }

    /// The files that it reads when it starts.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = self.remote_password_file.iter().cloned().collect();
        if let Some(tls) = &self.tls {
            files.extend(tls.authorities.iter().cloned());
            files.extend(tls.certificate.iter().chain(&tls.key).cloned());
        }
        files
    }
}
