//! Where a listener listens.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use super::node::Value;
use super::scalar::{Scalar, setting_from_scalar};

/// Where a listener listens: an address and port, a host name and port, or a
/// unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// `0.0.0.0:1883` for all IPv4 addresses, `[::]:1883` for IPv6 and IPv4.
    Socket(SocketAddr),
    /// `localhost:1883`: every address that the name stands for.
    Name {
        /// The host's name.
        host: String,
        /// The port.
        port: u16,
    },
    /// `unix:/run/dunlin.sock`, or just the path when it starts with `/`.
    Unix(PathBuf),
}

impl ListenAddress {
    /// The socket addresses to bind, at least one: all of a name's. Empty for a
    /// unix socket. May ask the system's resolver, and so block.
    ///
    /// A machine without IPv6 still calls `localhost` both `127.0.0.1` and
    /// `::1`: it is enough that one of a name's addresses can be bound.
    ///
    /// # Errors
    /// What the resolver says about a name.
    pub fn sockets(&self) -> io::Result<Vec<SocketAddr>> {
        match self {
            ListenAddress::Socket(address) => Ok(vec![*address]),
            ListenAddress::Name { host, port } => {
                let mut found: Vec<_> = (host.as_str(), *port).to_socket_addrs()?.collect();
                found.sort_unstable();
                found.dedup();
                Ok(found)
            }
            ListenAddress::Unix(_) => Ok(Vec::new()),
        }
    }

    /// The TCP port; none for a unix socket.
    pub fn port(&self) -> Option<u16> {
        match self {
            ListenAddress::Socket(address) => Some(address.port()),
            ListenAddress::Name { port, .. } => Some(*port),
            ListenAddress::Unix(_) => None,
        }
    }

    /// The same address with another port; a unix socket stays as it is.
    pub fn with_port(self, new: u16) -> Self {
        match self {
            ListenAddress::Socket(address) => {
                ListenAddress::Socket(SocketAddr::new(address.ip(), new))
            }
            ListenAddress::Name { host, .. } => ListenAddress::Name { host, port: new },
            unix @ ListenAddress::Unix(_) => unix,
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Socket(address) => write!(out, "{address}"),
            ListenAddress::Name { host, port } => write!(out, "{host}:{port}"),
            ListenAddress::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

impl Scalar for ListenAddress {
    const EXPECTED: &'static str = "an address, as \"0.0.0.0:1883\", \"[::]:1883\", \"localhost:1883\" or \"unix:/run/dunlin.sock\"";

    fn from_text(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return (!path.is_empty()).then(|| ListenAddress::Unix(path.into()));
        }
        if text.starts_with('/') {
            return Some(ListenAddress::Unix(text.into()));
        }
        if let Ok(address) = text.parse() {
            return Some(ListenAddress::Socket(address));
        }
        let (host, port) = text.rsplit_once(':')?;
        let name = !host.is_empty()
            && host.len() <= 253
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
            && host.contains(|c: char| c.is_ascii_alphabetic());
        let port = port.parse().ok()?;
        name.then(|| ListenAddress::Name {
            host: host.into(),
            port,
        })
    }

    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }
}

setting_from_scalar!(ListenAddress);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_and_print_the_same() {
        let same = [
            "0.0.0.0:1883",
            "[::]:1883",
            "localhost:1883",
            "unix:/run/dunlin.sock",
        ];
        for text in same {
            let address = ListenAddress::from_text(text).expect("a good address");
            assert_eq!(address.to_string(), text);
        }
        let unix = ListenAddress::from_text("/tmp/x").expect("a path is a unix socket");
        assert_eq!(unix, ListenAddress::Unix("/tmp/x".into()));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "1883",
            ":1883",
            "::1883",
            "localhost",
            "1.2.3:1883",
            "a b:1",
            "h:65536",
        ] {
            assert_eq!(ListenAddress::from_text(text), None, "{text:?}");
        }
    }

    #[test]
    fn localhost_is_a_loopback_address() {
        let name = ListenAddress::Name {
            host: "localhost".into(),
            port: 1883,
        };
        let sockets = name.sockets().expect("localhost always resolves");
        assert!(!sockets.is_empty() && sockets.iter().all(|a| a.ip().is_loopback()));
    }
}
