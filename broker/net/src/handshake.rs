//! From an accepted socket to a stream of MQTT bytes, on the runtime that will own it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

use crate::listener::{Accepted, AcceptedSocket};
use crate::settings::{ListenerSettings, SettingsError};
use crate::stream::Stream;

/// The layers between a listener's sockets and MQTT, loaded and ready for handshakes.
///
/// One per listener, shared by all workers.
#[derive(Debug)]
pub struct Transport {}

impl Transport {
    /// Checks the settings and reads the files they name.
    ///
    /// # Errors
    /// The first key, or file, that cannot work.
    pub fn load(settings: &ListenerSettings) -> Result<Self, SettingsError> {
        settings.validate()?;
        if settings.proxy_protocol || settings.tls.is_some() || settings.websocket.is_some() {
            return Err(SettingsError::new(
                "protocol",
                "only plain sockets are supported so far",
            ));
        }
        Ok(Self {})
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

/// The subject of a client certificate that was verified against `tls.client_ca`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The first common name of the subject, if it has one that is text.
    pub common_name: Option<String>,
    /// The whole subject as text (RFC 4514): `CN=sensor 7,O=Example`.
    pub subject: String,
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
    _transport: &Transport,
) -> Result<(Stream, Peer), HandshakeError> {
    let (stream, address, protocol) = register(accepted).map_err(HandshakeError::Socket)?;
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

fn register(accepted: Accepted) -> io::Result<(Stream, Option<SocketAddr>, Protocol)> {
    Ok(match accepted.socket {
        AcceptedSocket::Tcp(socket, address) => (
            Stream::Tcp(TcpStream::from_std(socket)?),
            Some(address),
            Protocol::Tcp,
        ),
        AcceptedSocket::Unix(socket) => (
            Stream::Unix(UnixStream::from_std(socket)?),
            None,
            Protocol::Unix,
        ),
    })
}

/// Why a connection ended before its first MQTT byte. Displays as one line for the log.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The runtime could not take the socket.
    Socket(io::Error),
    /// The peer did not finish within `handshake_timeout`.
    Timeout(Duration),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(error) => write!(f, "socket: {error}"),
            Self::Timeout(limit) => write!(f, "handshake not finished within {limit:?}"),
        }
    }
}

impl std::error::Error for HandshakeError {}
