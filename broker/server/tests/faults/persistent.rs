use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use dunlin_codec::{Connect, Packet, Properties, Property, ReasonCode, Version};

use crate::support::{Client, properties};

/// Seconds that a session outlives its connection: longer than any run.
const EXPIRY: u32 = 24 * 3600;
/// How long a client waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who a client is, and whether it was told that it has a session.
pub struct Persistent {
    pub client_id: String,
    pub version: Version,
    told: bool,
}

impl Persistent {
    /// A client that has not connected yet.
    pub fn new(client_id: String, version: Version) -> Self {
        Persistent {
            client_id,
            version,
            told: false,
        }
    }

    /// Connects and resumes its session; `None` when the broker died first. A session that the
    /// client was told of has to be there.
    pub fn connect(&mut self, address: SocketAddr) -> Option<Client> {
        let properties = properties(&[Property::SessionExpiryInterval(EXPIRY)]);
        let stream = TcpStream::connect(address).ok()?;
        stream.set_nodelay(true).expect("a socket");
        let mut client = Client::over(stream, self.version);
        client.patience(PATIENCE);
        client.send_if_there(&Packet::Connect(Connect {
            version: self.version,
            client_id: &self.client_id,
            properties: match self.version.has_properties() {
                true => properties.as_properties(),
                false => Properties::EMPTY,
            },
            ..Connect::default()
        }));
        let connack = client.read_until_gone()?;
        let connack = connack.connack();
        assert_eq!(connack.reason, ReasonCode::Success, "{}", self.client_id);
        assert!(
            connack.session_present || !self.told,
            "{} has lost its session",
            self.client_id
        );
        self.told = true;
        Some(client)
    }
}
