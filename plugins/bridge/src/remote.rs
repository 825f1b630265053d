//! The way to the other broker: addresses, TCP, TLS.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::settings::BridgeSettings;
use crate::tls;
use crate::wire::Stream;

/// Opens connections to the other broker.
pub(crate) struct Dialer {
    addresses: Vec<Address>,
    bind: Option<IpAddr>,
    tls: Option<TlsConnector>,
    pub timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    host: String,
    port: u16,
}

impl Dialer {
    /// # Errors
    /// An address that is none, or TLS files that cannot be used.
    pub fn new(settings: &BridgeSettings) -> Result<Self, String> {
        let port = if settings.tls.is_some() { 8883 } else { 1883 };
        let addresses = settings.addresses.iter();
        let tls = settings.tls.as_ref().map(tls::config).transpose()?;
        Ok(Dialer {
            addresses: addresses
                .map(|address| Address::parse(address, port))
                .collect::<Result<_, _>>()?,
            bind: settings.bind_address,
            tls: tls.map(TlsConnector::from),
            timeout: settings.connect_timeout,
        })
    }

    /// How many addresses there are; at least one.
    pub fn count(&self) -> usize {
        self.addresses.len()
    }

    /// An address for the log.
    pub fn name(&self, index: usize) -> String {
        let Address { host, port } = &self.addresses[index];
        match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        }
    }

    /// Connects, with TLS if asked for.
    ///
    /// # Errors
    /// What failed, in words for an operator.
    pub async fn dial(&self, index: usize) -> Result<Box<dyn Stream>, String> {
        let stream = self.tcp(index).await?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(self.addresses[index].host.clone())
            .map_err(|error| format!("TLS needs a host name: {error}"))?;
        let stream = tls.connect(name, stream).await;
        let stream = stream.map_err(|error| format!("TLS failed: {error}"))?;
        Ok(Box::new(stream))
    }

    /// Whether somebody accepts connections there.
    pub async fn probe(&self, index: usize) -> bool {
        matches!(timeout(self.timeout, self.tcp(index)).await, Ok(Ok(_)))
    }

    async fn tcp(&self, index: usize) -> Result<TcpStream, String> {
        let Address { host, port } = &self.addresses[index];
        let found = lookup_host((host.as_str(), *port)).await;
        let found = found.map_err(|error| format!("cannot resolve {host}: {error}"))?;
        let mut last = format!("{host} has no address that can be used from here");
        for address in found {
            match self.tcp_to(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = format!("cannot connect to {address}: {error}"),
            }
        }
        Err(last)
    }

    async fn tcp_to(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if let Some(own) = self.bind {
            socket.bind(SocketAddr::new(own, 0))?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Address {
    /// `host`, `host:port`, `[v6]`, `[v6]:port`; as in Mosquitto what follows the last colon is the
    /// port.
    fn parse(text: &str, default_port: u16) -> Result<Self, String> {
        let wrong = || format!("address {text:?} is not host:port");
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') => {
                (host, port.parse().map_err(|_| wrong())?)
            }
            _ => (text, default_port),
        };
        let inner = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = inner.unwrap_or(host);
        match host.is_empty() || port == 0 {
            true => Err(wrong()),
            false => Ok(Address {
                host: host.into(),
                port,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_mosquitto_reads_them() {
        let cases = [
            ("far", Some(("far", 1883))),
            ("far:8883", Some(("far", 8883))),
            ("10.0.0.1:1", Some(("10.0.0.1", 1))),
            ("[::1]:1884", Some(("::1", 1884))),
            ("[::1]", Some(("::1", 1883))),
            ("::1:1884", Some(("::1", 1884))),
            ("far:", None),
            (":1883", None),
            ("far:0", None),
            ("far:70000", None),
        ];
        for (text, expected) in cases {
            let address = Address::parse(text, 1883).ok();
            let address = address.as_ref().map(|a| (a.host.as_str(), a.port));
            assert_eq!(address, expected, "{text}");
        }
    }
}
