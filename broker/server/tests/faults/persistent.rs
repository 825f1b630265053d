use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dunlin_codec::{Connect, Packet, Properties, Property, ReasonCode, Version};

use crate::support::{Client, properties};

/// Seconds that a session outlives its connection: longer than any run.
const EXPIRY: u32 = 24 * 3600;
/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(20);
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

    /// Connects and resumes its session, again and again while the broker has no room to say so;
    /// `None` when it died first. A session that the client was told of has to be there.
    pub fn connect(&mut self, address: SocketAddr) -> Option<Client> {
        let start = Instant::now();
        let (client, session_present) = loop {
            let (client, reason, session_present) = self.ask(address)?;
            match reason {
                ReasonCode::Success => break (client, session_present),
                ReasonCode::ServerUnavailable if start.elapsed() < PATIENCE => sleep(PAUSE),
                reason => panic!("{}: {reason:?}", self.client_id),
            }
        };
        assert!(
            session_present || !self.told,
            "{} has lost its session",
            self.client_id
        );
        self.told = true;
        Some(client)
    }

    fn ask(&self, address: SocketAddr) -> Option<(Client, ReasonCode, bool)> {
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
        Some((client, connack.reason, connack.session_present))
    }
}
