//! From an accepted socket to a stream of MQTT bytes, on the runtime that will own it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

use crate::ask::Ask;
use crate::certificate::ClientCertificate;
use crate::listener::{Accepted, AcceptedSocket};
use crate::proxy::{self, Error as ProxyError, Source};
use crate::settings::{ListenerSettings, SettingsError, WebSocketSettings};
use crate::stream::Stream;
use crate::tls::{Tls, TlsError};
use crate::websocket::{UpgradeError, WebSocket, upgrade};

/// The layers between a listener's sockets and MQTT, loaded and ready for handshakes.
///
/// One per listener, shared by all workers.
#[derive(Debug)]
pub struct Transport {
    proxy_protocol: bool,
    tls: Option<Tls>,
    websocket: Option<WebSocketSettings>,
    handshake_timeout: Duration,
}

impl Transport {
    /// Checks the settings and reads the files they name.
    ///
    /// # Errors
    /// The first key, or file, that cannot work.
    pub fn load(settings: &ListenerSettings) -> Result<Self, SettingsError> {
        settings.validate()?;
        Ok(Self {
            proxy_protocol: settings.proxy_protocol,
            tls: settings.tls.as_ref().map(Tls::load).transpose()?,
            websocket: settings.websocket.clone(),
            handshake_timeout: settings.handshake_timeout,
        })
    }

    /// No layers.
    pub fn plain() -> Self {
        Self {
            proxy_protocol: false,
            tls: None,
            websocket: None,
            handshake_timeout: Duration::MAX,
        }
    }

    /// The certificates, to be reloaded; `None` on a listener without TLS.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    fn has_layers(&self) -> bool {
        self.proxy_protocol || self.tls.is_some() || self.websocket.is_some()
    }
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The client's address, as a PROXY header gave it where the listener asks for one. `None` on
    /// a unix socket, and for a client that its proxy does not name.
    pub address: Option<SocketAddr>,
    /// The client runs on this machine: a loopback address, or a unix socket. Where the listener
    /// asks for a PROXY header, the header decides.
    pub is_loopback: bool,
    /// What a verified client certificate says; boxed because most clients have none.
    pub certificate: Option<Box<ClientCertificate>>,
    /// The layers in use.
    pub protocol: Protocol,
}

/// What carries a connection's bytes, for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Plain TCP.
    Tcp,
    /// TLS.
    Tls,
    /// WebSocket.
    Ws,
    /// WebSocket over TLS.
    Wss,
    /// A plain unix socket.
    Unix,
}

impl Protocol {
    /// The label: `tcp`, `tls`, `ws`, `wss` or `unix`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Unix => "unix",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Registers the socket with the current runtime and runs the handshake of every layer, bounded in
/// bytes and, all together, by `handshake_timeout`.
///
/// # Errors
/// Which layer failed and why; the socket is closed then.
pub async fn handshake(
    accepted: Accepted,
    transport: &Transport,
) -> Result<(Stream, Peer), HandshakeError> {
    let (stream, peer) = register(accepted).map_err(HandshakeError::Socket)?;
    if !transport.has_layers() {
        return Ok((stream, peer));
    }
    // Boxed, so that the task of a plain connection is not as large as a TLS handshake.
    let layers = Box::pin(layers(stream, peer, transport));
    let limit = transport.handshake_timeout;
    tokio::time::timeout(limit, layers)
        .await
        .map_err(|_| HandshakeError::Timeout(limit))?
}

fn register(accepted: Accepted) -> io::Result<(Stream, Peer)> {
    let (stream, address, protocol) = match accepted.socket {
        AcceptedSocket::Tcp(socket, address) => (
            Stream::Tcp(TcpStream::from_std(socket)?, Ask::Runtime),
            Some(address),
            Protocol::Tcp,
        ),
        AcceptedSocket::Unix(socket) => (
            Stream::Unix(UnixStream::from_std(socket)?, Ask::Runtime),
            None,
            Protocol::Unix,
        ),
        AcceptedSocket::Stream(stream) => (Stream::Boxed(stream), None, Protocol::Unix),
    };
    let is_loopback = address.is_none_or(|address| address.ip().is_loopback());
    Ok((
        stream,
        Peer {
            address,
            is_loopback,
            certificate: None,
            protocol,
        },
    ))
}

async fn layers(
    mut stream: Stream,
    mut peer: Peer,
    transport: &Transport,
) -> Result<(Stream, Peer), HandshakeError> {
    if transport.proxy_protocol {
        match proxy::read_header(&mut stream)
            .await
            .map_err(HandshakeError::Proxy)?
        {
            Source::Client(address) => {
                peer.address = Some(address);
                peer.is_loopback = address.ip().is_loopback();
            }
            Source::Unnamed => {
                peer.address = None;
                peer.is_loopback = false;
            }
            Source::Proxy => {}
        }
    }
    if let Some(tls) = &transport.tls {
        let (encrypted, certificate) = tls.accept(stream).await.map_err(HandshakeError::Tls)?;
        stream = Stream::Boxed(Box::new(encrypted));
        peer.certificate = certificate;
        peer.protocol = Protocol::Tls;
    }
    if let Some(settings) = &transport.websocket {
        let received = upgrade(&mut stream, settings)
            .await
            .map_err(HandshakeError::WebSocket)?;
        let websocket = WebSocket::new(stream, received, settings.maximum_frame_bytes);
        stream = Stream::Boxed(Box::new(websocket));
        peer.protocol = if transport.tls.is_some() {
            Protocol::Wss
        } else {
            Protocol::Ws
        };
    }
    Ok((stream, peer))
}

/// Why a connection ended before its first MQTT byte. Displays as one line for the log.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The runtime could not take the socket.
    Socket(io::Error),
    /// The PROXY header is missing or wrong.
    Proxy(ProxyError),
    /// No TLS session came about.
    Tls(TlsError),
    /// The connection did not become a WebSocket.
    WebSocket(UpgradeError),
    /// The peer did not finish within `handshake_timeout`.
    Timeout(Duration),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(error) => write!(f, "socket: {error}"),
            Self::Proxy(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::WebSocket(error) => error.fmt(f),
            Self::Timeout(limit) => write!(f, "the handshake was not finished within {limit:?}"),
        }
    }
}

impl std::error::Error for HandshakeError {}
