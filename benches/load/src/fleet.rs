//! The clients of a run: connections to one broker, served by one thread.
//!
//! A turn waits for the sockets, hands every packet that came to an [`Inbox`],
//! and then writes what the inbox put into its [`Outbox`], with one write for
//! each connection. Connections send no pings (keep alive is 0).

use crate::error::Error;
use crate::outbox::{Outbox, unexpected};
use crate::poller::Poller;
use crate::stream::{SCRATCH_BYTES, Stream};
use dunlin_codec::{
    Connect, Decoded, Packet, PacketId, PropertiesBuf, Property, Qos, Version, decode,
};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    time::{Duration, Instant},
};

/// Nothing heard for so long and the run is over.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// CONNECTs or SUBSCRIBEs that wait for an answer at the same time.
const ASKED_AT_ONCE: usize = 32;

/// Connections from one source address. Linux has 28,232 ports for each.
const PER_SOURCE: usize = 5_000;

/// Where the broker listens and what is spoken to it.
#[derive(Debug, Clone)]
pub struct Target {
    address: SocketAddr,
    version: Version,
    /// User name and password of every client.
    credentials: Option<(String, String)>,
}

impl Target {
    /// Refuses addresses of other machines: this program is an attack on them.
    pub fn new(address: SocketAddr, version: Version) -> Result<Target, Error> {
        if address.ip().is_loopback() {
            Ok(Target {
                address,
                version,
                credentials: None,
            })
        } else {
            Err(Error::Refused(format!(
                "{address} is not a loopback address"
            )))
        }
    }

    /// Clients come with this user name and password.
    #[must_use]
    pub fn with_credentials(self, credentials: Option<(String, String)>) -> Target {
        Target {
            credentials,
            ..self
        }
    }

    /// What is spoken to it.
    pub fn version(&self) -> Version {
        self.version
    }
}

/// How long a session lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// As long as its connection.
    OfConnection,
    /// Longer than the run.
    Persistent,
}

/// All connections.
pub struct Fleet {
    target: Target,
    poller: Poller,
    scratch: Vec<u8>,
    clients: Vec<Stream>,
    unflushed: Vec<usize>,
}

/// Takes the packets of a turn.
pub trait Inbox {
    /// `packet` was read from the connection of `client` at `now`.
    fn receive(
        &mut self,
        client: usize,
        packet: Packet<'_>,
        now: Instant,
        outbox: &mut Outbox<'_>,
    ) -> Result<(), Error>;
}

impl Fleet {
    /// No connections yet.
    pub fn new(target: Target) -> Result<Fleet, Error> {
        Ok(Fleet {
            target,
            poller: Poller::new().map_err(Error::machine("make an epoll set"))?,
            scratch: vec![0; SCRATCH_BYTES],
            clients: Vec::new(),
            unflushed: Vec::new(),
        })
    }

    /// Adds `count` clients and waits until the broker has accepted them. Returns
    /// the smallest receive maximum that it gave.
    pub fn connect(&mut self, count: usize, session: SessionKind) -> Result<u16, Error> {
        let mut connacks = Connacks {
            accepted: 0,
            receive_maximum: u16::MAX,
        };
        let mut asked = 0;
        while connacks.accepted < count {
            while asked < count && asked - connacks.accepted < ASKED_AT_ONCE {
                self.open(session)
                    .map_err(Error::machine("connect to the broker"))?;
                asked += 1;
            }
            self.await_packets(&mut connacks)?;
        }
        Ok(connacks.receive_maximum)
    }

    /// Subscribes clients, each to the filter beside it, and waits until the
    /// broker has granted that.
    pub fn subscribe(
        &mut self,
        wanted: impl IntoIterator<Item = (usize, String)>,
        qos: Qos,
    ) -> Result<(), Error> {
        let mut subacks = Subacks { qos, granted: 0 };
        let mut wanted = wanted.into_iter().peekable();
        let mut asked = 0;
        while wanted.peek().is_some() || subacks.granted < asked {
            while asked - subacks.granted < ASKED_AT_ONCE {
                let Some((client, filter)) = wanted.next() else {
                    break;
                };
                self.outbox()
                    .subscribe(client, PacketId::MIN, &filter, qos)?;
                asked += 1;
            }
            self.await_packets(&mut subacks)?;
        }
        Ok(())
    }

    /// Writes what is waiting, waits up to `timeout` for sockets and serves those
    /// that are ready. Returns how many packets came.
    pub fn turn(&mut self, timeout: Duration, inbox: &mut impl Inbox) -> Result<usize, Error> {
        self.flush()?;
        let waited = self.poller.wait(Some(timeout));
        let mut packets = 0;
        for index in 0..waited.map_err(Error::machine("wait for sockets"))? {
            let ready = self.poller.ready(index);
            if ready.readable {
                packets += self.read(ready.token, inbox)?;
            }
            if ready.writable {
                self.unflushed.push(ready.token);
            }
        }
        self.flush()?;
        Ok(packets)
    }

    /// Turns until a packet has come.
    pub fn await_packets(&mut self, inbox: &mut impl Inbox) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        while self.turn(PATIENCE, inbox)? == 0 {
            if Instant::now() >= deadline {
                return Err(Error::Broker(format!("was silent for {PATIENCE:?}")));
            }
        }
        Ok(())
    }

    /// Where packets go that no packet is the cause of.
    pub fn outbox(&mut self) -> Outbox<'_> {
        Outbox {
            version: self.target.version,
            clients: &mut self.clients,
            unflushed: &mut self.unflushed,
        }
    }

    fn open(&mut self, session: SessionKind) -> io::Result<()> {
        let client = self.clients.len();
        let source = client / PER_SOURCE;
        let socket = connect_from(source as u8, self.target.address)?;
        // A reset at the end of a run leaves no port behind in TIME_WAIT.
        net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
        self.poller.add(&socket, client)?;
        self.clients.push(Stream::new(socket)?);
        let version = self.target.version;
        let mut properties = PropertiesBuf::new();
        if session == SessionKind::Persistent && version == Version::Mqtt5 {
            let never = Property::SessionExpiryInterval(u32::MAX);
            properties.push(never).map_err(io::Error::other)?;
        }
        let credentials = self.target.credentials.clone();
        let (username, password) = credentials.unzip();
        let connect = Packet::Connect(Connect {
            version,
            username: username.as_deref(),
            password: password.as_deref().map(str::as_bytes),
            clean_start: session == SessionKind::OfConnection,
            properties: properties.as_properties(),
            client_id: &format!("load-{client}"),
            ..Connect::default()
        });
        self.outbox()
            .say(client, &connect)
            .map_err(io::Error::other)
    }

    fn read(&mut self, client: usize, inbox: &mut impl Inbox) -> Result<usize, Error> {
        let gone = |e: io::Error| Error::Broker(format!("left client {client}: {e}"));
        let version = self.target.version;
        let mut bytes = self.clients[client]
            .receive(&mut self.scratch)
            .map_err(gone)?;
        let now = Instant::now();
        let mut outbox = Outbox {
            version,
            clients: &mut self.clients,
            unflushed: &mut self.unflushed,
        };
        let mut packets = 0;
        loop {
            match decode(bytes, version, SCRATCH_BYTES as u32) {
                Ok(Decoded::Packet { packet, length }) => {
                    inbox.receive(client, packet, now, &mut outbox)?;
                    bytes = &bytes[length..];
                    packets += 1;
                }
                Ok(Decoded::Incomplete { .. }) => break,
                Err(e) => return Err(Error::Broker(format!("sent {}", e.what))),
            }
        }
        self.clients[client].keep(bytes);
        Ok(packets)
    }

    fn flush(&mut self) -> Result<(), Error> {
        for client in self.unflushed.drain(..) {
            self.clients[client]
                .flush(&self.poller, client)
                .map_err(|e| Error::Broker(format!("takes nothing from client {client}: {e}")))?;
        }
        Ok(())
    }
}

/// Connects from 127.0.0.1, or the `source`th address behind it. On IPv6 there
/// is but one loopback address.
fn connect_from(source: u8, target: SocketAddr) -> io::Result<TcpStream> {
    let family = match target.ip() {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    if target.is_ipv4() && source > 0 {
        net::bind(
            &socket,
            &SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, source + 1), 0),
        )?;
    }
    net::connect(&socket, &target)?;
    Ok(TcpStream::from(socket))
}

struct Connacks {
    accepted: usize,
    receive_maximum: u16,
}

impl Inbox for Connacks {
    fn receive(
        &mut self,
        client: usize,
        packet: Packet<'_>,
        _: Instant,
        _: &mut Outbox<'_>,
    ) -> Result<(), Error> {
        let Packet::Connack(connack) = packet else {
            return Err(unexpected(&packet));
        };
        if connack.reason.is_error() {
            let what = format!("refused client {client}: {:?}", connack.reason);
            return Err(Error::Broker(what));
        }
        if let Some(maximum) = connack.properties.receive_maximum() {
            self.receive_maximum = self.receive_maximum.min(maximum.get());
        }
        self.accepted += 1;
        Ok(())
    }
}

struct Subacks {
    qos: Qos,
    granted: usize,
}

impl Inbox for Subacks {
    fn receive(
        &mut self,
        client: usize,
        packet: Packet<'_>,
        _: Instant,
        _: &mut Outbox<'_>,
    ) -> Result<(), Error> {
        let Packet::Suback(suback) = packet else {
            return Err(unexpected(&packet));
        };
        if suback
            .reasons
            .iter()
            .any(|reason| reason as u8 != self.qos as u8)
        {
            let what = format!("did not grant client {client} its subscription");
            return Err(Error::Broker(what));
        }
        self.granted += 1;
        Ok(())
    }
}
