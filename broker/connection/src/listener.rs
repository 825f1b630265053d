use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use dunlin_auth::Access;
use dunlin_net::Transport;
use dunlin_session::Terms;

use crate::RateLimit;

/// What a listener's connections have in common. A reload replaces what is in the swaps: access
/// rules apply to live connections from their next turn, terms to new ones.
pub struct ListenerContext {
    /// For logs and access rules.
    pub name: Arc<str>,
    /// The layers below MQTT.
    pub transport: Transport,
    /// What is offered.
    pub terms: ArcSwap<Terms>,
    /// Who may do what.
    pub access: ArcSwap<Access>,
    /// Bounds of a connection.
    pub limits: ArcSwap<ConnectionLimits>,
}

/// What one connection may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// From accepting the socket to the end of authentication, whatever layers are in between.
    pub connect_timeout: Duration,
    /// How long a client may leave its socket full.
    pub slow_consumer_timeout: Duration,
    /// PUBLISH packets that it may send.
    pub messages: Option<RateLimit>,
    /// Bytes that it may send.
    pub bytes: Option<RateLimit>,
    /// Whether connects and disconnects are logged, a line each.
    pub log_connections: bool,
    /// Stands before the client ids that we make up.
    pub client_id_prefix: Box<str>,
    /// A client's id is its user name; a client without one is refused.
    pub client_id_from_username: bool,
    /// The other end is a bridge of this broker: it may say in `$SYS/broker/connection/+/state` how
    /// it does, and its client id begins with [`BRIDGE_CLIENT_ID_PREFIX`], as no other's may.
    pub bridge: bool,
}

/// How the client ids of this broker's own bridges begin.
pub const BRIDGE_CLIENT_ID_PREFIX: &str = "$bridge.";

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            connect_timeout: Duration::from_secs(10),
            slow_consumer_timeout: Duration::from_secs(30),
            messages: None,
            bytes: None,
            log_connections: true,
            client_id_prefix: "dunlin-".into(),
            client_id_from_username: false,
            bridge: false,
        }
    }
}
