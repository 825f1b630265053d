//! Bound sockets: binding them with a helpful error, accepting from them without ever spinning.

use std::fmt;
use std::io;
use std::net::{self, Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};

use crate::settings::{ListenAddress, ListenerSettings};
use crate::stream::ByteStream;
use crate::unix_file::UnixFile;

/// The first and the longest pause after the system refused another connection.
const PAUSE: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_millis(500);
/// How often a refusal is logged at most.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// A socket that listens. Dropping it closes it, and removes a unix socket's file.
pub struct Listener {
    socket: ListeningSocket,
    address: ListenAddress,
    refusal_logged: Option<Instant>,
}

enum ListeningSocket {
    Tcp(TcpListener),
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "held to be dropped")] UnixFile,
    ),
}

/// A connection that no runtime knows yet, on its way to the worker that will own it.
pub struct Accepted {
    pub(crate) socket: AcceptedSocket,
}

pub(crate) enum AcceptedSocket {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
    Stream(Box<dyn ByteStream>),
}

impl Accepted {
    /// Bytes that are no socket's; they count as a unix socket.
    pub fn from_stream(stream: impl ByteStream + 'static) -> Self {
        Self {
            socket: AcceptedSocket::Stream(Box::new(stream)),
        }
    }

    /// The other end of the socket: the client, or the proxy before it. `None` for a unix socket.
    /// IPv4 addresses are IPv4 here, also on a socket that takes both.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.socket {
            AcceptedSocket::Tcp(_, address) => Some(address),
            AcceptedSocket::Unix(_) | AcceptedSocket::Stream(_) => None,
        }
    }
}

/// One end of a pair of sockets, whose other end is in this process.
///
/// # Errors
/// When the socket cannot be made non-blocking.
impl TryFrom<UnixStream> for Accepted {
    type Error = io::Error;

    fn try_from(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket: AcceptedSocket::Unix(socket),
        })
    }
}

impl Listener {
    /// Binds and listens; connections complete from here on. Call it inside the tokio runtime that
    /// will accept. A host name is looked up, which may block: at start and on reload only.
    ///
    /// # Errors
    /// The address, the system's reason, and what to do about it.
    pub fn bind(settings: &ListenerSettings) -> Result<Self, BindError> {
        let address = &settings.address;
        let bound = match address {
            ListenAddress::Tcp(address) => bind_tcp(*address, settings),
            ListenAddress::Name { host, port } => bind_name(host, *port, settings),
            ListenAddress::Unix { path, mode } => UnixFile::bind(path, *mode, backlog(settings))
                .and_then(|(socket, file)| {
                    let socket = UnixListener::from_std(socket)?;
                    Ok((ListeningSocket::Unix(socket, file), address.clone()))
                }),
        };
        let (socket, address) = bound.map_err(|cause| BindError::new(address.clone(), cause))?;
        Ok(Self {
            socket,
            address,
            refusal_logged: None,
        })
    }

    /// Where it listens, with the port that the system chose if it was asked to.
    pub fn local_address(&self) -> &ListenAddress {
        &self.address
    }

    /// The next connection. A system out of descriptors or memory is waited for, with growing
    /// pauses and one log line a second; connections that fail while being accepted are skipped.
    /// Cancelling loses no connection.
    ///
    /// # Errors
    /// Only when the listener itself can never accept again.
    pub async fn accept(&mut self) -> io::Result<Accepted> {
        let mut pause = *PAUSE.start();
        loop {
            let error = match self.try_accept().await {
                Ok(socket) => return Ok(Accepted { socket }),
                Err(error) => error,
            };
            match Refusal::of(&error) {
                Refusal::Connection => tracing::debug!(listener = %self.address, %error, "skipped"),
                Refusal::Listener => return Err(error),
                Refusal::System => {
                    self.log_refusal(&error);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(*PAUSE.end());
                }
            }
        }
    }

    async fn try_accept(&self) -> io::Result<AcceptedSocket> {
        match &self.socket {
            ListeningSocket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                let address = SocketAddr::new(address.ip().to_canonical(), address.port());
                Ok(AcceptedSocket::Tcp(stream.into_std()?, address))
            }
            ListeningSocket::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok(AcceptedSocket::Unix(stream.into_std()?))
            }
        }
    }

    fn log_refusal(&mut self, error: &io::Error) {
        let now = Instant::now();
        if self
            .refusal_logged
            .is_none_or(|last| now - last >= LOG_INTERVAL)
        {
            self.refusal_logged = Some(now);
            tracing::error!(listener = %self.address, %error,
                "new connections wait: raise the limit of open files (LimitNOFILE, ulimit -n)");
        }
    }
}

/// What an error of `accept` concerns.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// One connection, gone before it was accepted: try the next.
    Connection,
    /// The whole system, for a while.
    System,
    /// This listener, for good.
    Listener,
}

impl Refusal {
    fn of(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Self::System,
            Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP) => Self::Listener,
            // accept(2) passes on errors that are already pending on the new connection.
            _ => Self::Connection,
        }
    }
}

fn bind_name(
    host: &str,
    port: u16,
    settings: &ListenerSettings,
) -> io::Result<(ListeningSocket, ListenAddress)> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match bind_tcp(address, settings) {
            Ok(bound) => return Ok(bound),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn bind_tcp(
    address: SocketAddr,
    settings: &ListenerSettings,
) -> io::Result<(ListeningSocket, ListenAddress)> {
    let falls_back = address.ip().is_unspecified() && !settings.ipv6_only;
    let socket = match listen_tcp(address, settings) {
        Err(error) if falls_back && lacks_ipv6(address, &error) => {
            tracing::info!("no IPv6 on this machine: listening on IPv4 alone");
            listen_tcp(
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())),
                settings,
            )
        }
        result => result,
    }?;
    let address = ListenAddress::Tcp(socket.local_addr()?);
    Ok((
        ListeningSocket::Tcp(TcpListener::from_std(socket)?),
        address,
    ))
}

fn lacks_ipv6(address: SocketAddr, error: &io::Error) -> bool {
    let missing = [libc::EAFNOSUPPORT, libc::EADDRNOTAVAIL];
    address.is_ipv6()
        && error
            .raw_os_error()
            .is_some_and(|code| missing.contains(&code))
}

fn listen_tcp(address: SocketAddr, settings: &ListenerSettings) -> io::Result<net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(settings.ipv6_only || !address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    // Connections inherit these from the socket that accepted them, which saves calls for each.
    socket.set_tcp_nodelay(true)?;
    if let Some(silence) = settings.tcp_keepalive {
        socket.set_tcp_keepalive(&probes(silence))?;
    }
    socket.bind(&SockAddr::from(address))?;
    socket.listen(backlog(settings))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// What exceeds the system's own bound is cut by the kernel.
fn backlog(settings: &ListenerSettings) -> i32 {
    i32::try_from(settings.backlog).unwrap_or(i32::MAX)
}

/// Four probes in as long again as the silence before the first; a second apart at least.
fn probes(silence: Duration) -> TcpKeepalive {
    const PROBES: u32 = 4;
    TcpKeepalive::new()
        .with_time(silence)
        .with_interval((silence / PROBES).max(Duration::from_secs(1)))
        .with_retries(PROBES)
}

/// Why a listener could not be bound.
#[derive(Debug)]
pub struct BindError {
    /// The address as it was configured.
    pub address: ListenAddress,
    /// The system's reason.
    pub cause: io::Error,
}

impl BindError {
    fn new(address: ListenAddress, cause: io::Error) -> Self {
        Self { address, cause }
    }

    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        let unix = matches!(self.address, ListenAddress::Unix { .. });
        match self.cause.kind() {
            io::ErrorKind::AddrInUse => {
                "another program listens there: stop it, or choose another address"
            }
            io::ErrorKind::AddrNotAvailable => "no interface of this machine has this address",
            io::ErrorKind::PermissionDenied if unix => "the directory must be writable",
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need CAP_NET_BIND_SERVICE: grant it, or choose another port"
            }
            io::ErrorKind::NotFound if unix => "create the directory first",
            io::ErrorKind::AlreadyExists => "the file is no socket: remove it, or choose another",
            _ => "check the address",
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot listen on {}: {} ({})",
            self.address,
            self.cause,
            self.advice()
        )
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_accept_concerns_the_connection_unless_it_is_known_not_to() {
        let of = |code| Refusal::of(&io::Error::from_raw_os_error(code));
        assert_eq!(of(libc::EMFILE), Refusal::System);
        assert_eq!(of(libc::ENOBUFS), Refusal::System);
        assert_eq!(of(libc::ECONNABORTED), Refusal::Connection);
        assert_eq!(of(libc::EPROTO), Refusal::Connection);
        assert_eq!(of(libc::EBADF), Refusal::Listener);
    }

    #[test]
    fn only_the_ipv6_wildcard_may_fall_back() {
        let missing = io::Error::from_raw_os_error(libc::EAFNOSUPPORT);
        let in_use = io::Error::from_raw_os_error(libc::EADDRINUSE);
        let wildcard = SocketAddr::from(([0u16; 8], 1883));
        assert!(lacks_ipv6(wildcard, &missing));
        assert!(!lacks_ipv6(wildcard, &in_use));
        assert!(!lacks_ipv6(SocketAddr::from(([0u8; 4], 1883)), &missing));
    }
}
