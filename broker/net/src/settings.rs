//! What a listener speaks, as data.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The default of [`ListenerSettings::tcp_keepalive`]: a peer that vanished without a FIN is found
/// in 4 minutes, also where the client turned MQTT's keep alive off.
const TCP_KEEPALIVE: Duration = Duration::from_secs(120);

/// One listener: where it listens and which layers stand between its sockets and MQTT.
///
/// Built by whoever reads the configuration; [`Transport::load`](crate::Transport::load) checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSettings {
    /// Where to listen.
    pub address: ListenAddress,
    /// Connections the kernel completes ahead of `accept`. Raise it for storms of reconnecting
    /// clients, together with `net.core.somaxconn`.
    pub backlog: u32,
    /// Take no IPv4 connections on the IPv6 wildcard, whose port IPv4 may have then.
    pub ipv6_only: bool,
    /// Silence after which the system asks a TCP peer whether it is still there. A peer that does
    /// not answer is given up after as long again. `None` never asks.
    pub tcp_keepalive: Option<Duration>,
    /// Every connection starts with a PROXY protocol header, version 1 or 2, and is believed what
    /// it says. For listeners that only a load balancer can reach.
    pub proxy_protocol: bool,
    /// TLS below everything but the PROXY header.
    pub tls: Option<TlsSettings>,
    /// MQTT inside WebSocket frames instead of directly on the stream.
    pub websocket: Option<WebSocketSettings>,
    /// How long PROXY header, TLS and WebSocket upgrade may take together.
    pub handshake_timeout: Duration,
}

impl ListenerSettings {
    /// Plain TCP (or a plain unix socket) on `address`.
    pub fn new(address: ListenAddress) -> Self {
        Self {
            address,
            backlog: 1024,
            ipv6_only: false,
            tcp_keepalive: Some(TCP_KEEPALIVE),
            proxy_protocol: false,
            tls: None,
            websocket: None,
            handshake_timeout: Duration::from_secs(10),
        }
    }

    /// What can be refused without touching a file or a socket.
    ///
    /// # Errors
    /// Names the first key whose value cannot work.
    pub fn validate(&self) -> Result<(), SettingsError> {
        if self.handshake_timeout.is_zero() {
            return Err(SettingsError::new(
                "handshake_timeout",
                "must be longer than 0",
            ));
        }
        if self.backlog == 0 {
            return Err(SettingsError::new("backlog", "must be at least 1"));
        }
        if let Some(tls) = &self.tls {
            tls.validate()?;
        }
        if let Some(websocket) = &self.websocket {
            websocket.validate()?;
        }
        Ok(())
    }
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address and a port. The IPv6 wildcard takes IPv4 connections too, and becomes the IPv4
    /// wildcard on a machine without IPv6.
    Tcp(SocketAddr),
    /// A name, looked up when the listener is bound; the first of its addresses that this machine
    /// can listen on is taken.
    Name {
        /// A host name.
        host: String,
        /// The port.
        port: u16,
    },
    /// A unix socket.
    Unix {
        /// The socket's file, removed when the listener is dropped.
        path: PathBuf,
        /// Permissions of the file, such as `0o660`: who may write to it may connect.
        mode: u32,
    },
}

impl ListenAddress {
    /// `port` on every address of this machine.
    pub fn any(port: u16) -> Self {
        Self::Tcp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

/// TLS on a listener: its files and what it asks of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// PEM file with the server's certificate, followed by the intermediate ones.
    pub certificate: PathBuf,
    /// Where the intermediate ones are looked for when that file holds the server's alone: PEM
    /// files, and directories as in `client_ca`.
    pub intermediates: Vec<PathBuf>,
    /// PEM file with the private key (PKCS #8, PKCS #1 or SEC 1), not encrypted.
    pub key: PathBuf,
    /// The authorities that sign client certificates: PEM files, and directories whose `.pem` and
    /// `.crt` files all count. Without any no certificate is asked for.
    pub client_ca: Vec<PathBuf>,
    /// Refuse clients without a certificate; otherwise one is verified only where it is offered.
    pub require_client_certificate: bool,
    /// PEM file with revocation lists. Each client certificate's authority must have a current one.
    pub crl: Option<PathBuf>,
    /// The oldest version to accept.
    pub minimum_version: TlsVersion,
    /// Application protocols, the most preferred first. Empty accepts whatever a client names;
    /// otherwise a client that names only others is refused (RFC 7301).
    pub alpn: Vec<String>,
}

impl TlsSettings {
    /// A server certificate and nothing asked of clients.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            intermediates: Vec::new(),
            key: key.into(),
            client_ca: Vec::new(),
            require_client_certificate: false,
            crl: None,
            minimum_version: TlsVersion::Tls12,
            alpn: Vec::new(),
        }
    }

    fn validate(&self) -> Result<(), SettingsError> {
        if self.client_ca.is_empty() {
            if self.require_client_certificate {
                let problem = "needs tls.client_ca, the authorities that sign client certificates";
                return Err(SettingsError::new(
                    "tls.require_client_certificate",
                    problem,
                ));
            }
            if self.crl.is_some() {
                let problem = "needs tls.client_ca: without it no client certificate is read";
                return Err(SettingsError::new("tls.crl", problem));
            }
        }
        let valid = |protocol: &String| (1..=255).contains(&protocol.len());
        if !self.alpn.iter().all(valid) {
            return Err(SettingsError::new(
                "tls.alpn",
                "a protocol has 1 to 255 bytes",
            ));
        }
        Ok(())
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// MQTT over WebSocket on a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocketSettings {
    /// Paths that carry MQTT, compared without the query, or `*` for every path; any other one is
    /// answered 404.
    pub paths: Vec<String>,
    /// Origins whose pages may connect, such as `https://example.org`. `None` allows every page;
    /// clients that are no browser send no Origin and are not concerned.
    pub allowed_origins: Option<Vec<String>>,
    /// The largest frame to accept. Frames are not collected in memory, so this bounds only
    /// what a peer may announce.
    pub maximum_frame_bytes: u64,
}

impl Default for WebSocketSettings {
    fn default() -> Self {
        Self {
            paths: ["/", "/mqtt", "/ws"].map(String::from).to_vec(),
            allowed_origins: None,
            maximum_frame_bytes: 268_435_460,
        }
    }
}

impl WebSocketSettings {
    fn validate(&self) -> Result<(), SettingsError> {
        if self.paths.is_empty() {
            return Err(SettingsError::new("websocket.paths", "names no path"));
        }
        let is_path = |path: &&String| path.starts_with('/') || *path == "*";
        if let Some(path) = self.paths.iter().find(|path| !is_path(path)) {
            let problem = format!("{path:?} does not start with '/'");
            return Err(SettingsError::new("websocket.paths", problem));
        }
        if self.maximum_frame_bytes == 0 {
            let problem = "must be at least 1";
            return Err(SettingsError::new("websocket.maximum_frame_bytes", problem));
        }
        Ok(())
    }
}

/// A setting that cannot work: which key, which file where there is one, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// The key below the listener's own table, such as `tls.certificate`.
    pub key: &'static str,
    /// The file that the key names, when the file is to blame.
    pub file: Option<PathBuf>,
    /// What is wrong, in one line.
    pub problem: String,
}

impl SettingsError {
    pub(crate) fn new(key: &'static str, problem: impl Into<String>) -> Self {
        Self {
            key,
            file: None,
            problem: problem.into(),
        }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.key)?;
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for SettingsError {}
