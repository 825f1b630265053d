//! The PROXY protocol: who the client of a load balancer is, in a header before its first byte.
//!
//! <https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>. The `proxy-header` crate reads
//! complete headers; this file finds out where they end. Not one byte past the end is taken from
//! the socket, so what follows may be TLS, WebSocket or MQTT without being carried over.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use proxy_header::{ParseConfig, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};

/// "PROXY TCP6" with two longest addresses and ports (section 2.1).
const MAXIMUM_V1_BYTES: usize = 107;
/// Address block and extensions of version 2. A client certificate forwarded as an extension fits.
const MAXIMUM_V2_BODY_BYTES: usize = 4096;

const V1_START: &[u8] = b"PROXY ";
const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED_BYTES: usize = 16;

/// No header of either version is shorter, so this much can be read without a look.
const FIRST_READ: usize = V2_START.len();

/// What a header says about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The client's address.
    Client(SocketAddr),
    /// There is a client, but nothing is known of it: UNKNOWN, UNSPEC, or a unix socket.
    Unnamed,
    /// The proxy itself is the client (LOCAL), as for a health check.
    Proxy,
}

/// Reads a header from the front of `stream`.
pub(crate) async fn read_header(stream: &mut (impl AsyncRead + Unpin)) -> Result<Source, Error> {
    let mut header = Vec::new();
    loop {
        match advance(&header)? {
            Progress::Complete(source) => return Ok(source),
            Progress::Incomplete(missing) => {
                let start = header.len();
                header.resize(start + missing, 0);
                stream
                    .read_exact(&mut header[start..])
                    .await
                    .map_err(Error::Read)?;
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// At least so many bytes are missing: a lower bound, hence safe to read.
    Incomplete(usize),
    Complete(Source),
}

/// Looks at the first bytes of a connection, read as far as the calls before have asked for.
pub(crate) fn advance(header: &[u8]) -> Result<Progress, Error> {
    let starts_like = |start: &[u8]| {
        let shared = header.len().min(start.len());
        header[..shared] == start[..shared]
    };
    if !starts_like(V1_START) && !starts_like(V2_START) {
        return Err(Error::Missing);
    }
    if header.len() < FIRST_READ {
        return Ok(Progress::Incomplete(FIRST_READ - header.len()));
    }
    let missing = if starts_like(V1_START) {
        missing_of_v1(header)?
    } else {
        missing_of_v2(header)?
    };
    if missing > 0 {
        return Ok(Progress::Incomplete(missing));
    }
    parse(header).map(Progress::Complete)
}

/// Version 1 ends with CR LF, so two bytes are missing until the CR is there. That makes many
/// small reads, once per connection; version 2 announces its length.
fn missing_of_v1(header: &[u8]) -> Result<usize, Error> {
    if header.ends_with(b"\r\n") {
        return Ok(0);
    }
    let missing = if header.ends_with(b"\r") { 1 } else { 2 };
    if header.len() + missing > MAXIMUM_V1_BYTES {
        Err(Error::TooLong)
    } else {
        Ok(missing)
    }
}

fn missing_of_v2(header: &[u8]) -> Result<usize, Error> {
    let Some(fixed) = header.get(..V2_FIXED_BYTES) else {
        return Ok(V2_FIXED_BYTES - header.len());
    };
    let body = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if body > MAXIMUM_V2_BODY_BYTES {
        return Err(Error::TooLong);
    }
    Ok((V2_FIXED_BYTES + body).saturating_sub(header.len()))
}

fn parse(bytes: &[u8]) -> Result<Source, Error> {
    let config = ParseConfig {
        include_tlvs: false,
        ..ParseConfig::default()
    };
    let (header, length) = ProxyHeader::parse(bytes, config).map_err(|_| Error::Malformed)?;
    if length != bytes.len() {
        return Err(Error::Malformed);
    }
    let is_local = bytes.starts_with(V2_START) && bytes[V2_START.len()] & 0x0F == 0;
    Ok(match header.proxied_address() {
        _ if is_local => Source::Proxy,
        Some(proxied) => {
            let ip = proxied.source.ip().to_canonical();
            Source::Client(SocketAddr::new(ip, proxied.source.port()))
        }
        None => Source::Unnamed,
    })
}

/// Why no header could be read.
#[derive(Debug)]
pub enum Error {
    /// The connection starts with something else.
    Missing,
    /// The header exceeds 107 bytes (version 1) or 4 KiB of body (version 2).
    TooLong,
    /// The header is against the specification.
    Malformed,
    /// The connection ended, or failed, within the header.
    Read(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str(
                "the connection does not start with a PROXY header: it came past the proxy, \
                 or the proxy does not send one",
            ),
            Self::TooLong => f.write_str("the PROXY header is too long"),
            Self::Malformed => f.write_str("the PROXY header is malformed"),
            Self::Read(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("the connection ended within the PROXY header")
            }
            Self::Read(error) => write!(f, "PROXY header: {error}"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// What `read_header` makes of `bytes`, and how many of them it took.
    fn read(bytes: &[u8]) -> (Result<Source, String>, usize) {
        let mut taken = 0;
        loop {
            match advance(&bytes[..taken]) {
                Err(error) => return (Err(error.to_string()), taken),
                Ok(Progress::Complete(source)) => return (Ok(source), taken),
                Ok(Progress::Incomplete(missing)) if taken + missing > bytes.len() => {
                    return (Err("ended".into()), taken);
                }
                Ok(Progress::Incomplete(missing)) => taken += missing,
            }
        }
    }

    fn client(address: &str) -> Source {
        Source::Client(address.parse().expect("an address"))
    }

    fn v2(command_and_family: [u8; 2], body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).expect("short");
        [V2_START, &command_and_family, &length.to_be_bytes(), body].concat()
    }

    const V4_BODY: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0xC0, 0x01, 0x07, 0x5B];

    #[test]
    fn headers_are_read_to_their_last_byte() {
        let mut v6_body = [0; 36];
        v6_body[15] = 1;
        v6_body[32..34].copy_from_slice(&[0x01, 0xBB]);
        let mut mapped_body = v6_body;
        mapped_body[10..16].copy_from_slice(&[0xFF, 0xFF, 192, 0, 2, 7]);
        let with_extension = [&V4_BODY[..], &[0x04, 0, 2, 0, 0]].concat();
        let table: &[(Vec<u8>, Source)] = &[
            (
                b"PROXY TCP4 192.0.2.7 10.0.0.1 49153 1883\r\n".to_vec(),
                client("192.0.2.7:49153"),
            ),
            (
                b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n".to_vec(),
                client("[2001:db8::7]:1"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), Source::Unnamed),
            (
                b"PROXY UNKNOWN ffff:: ffff:: 1 2\r\n".to_vec(),
                Source::Unnamed,
            ),
            (v2([0x21, 0x11], &V4_BODY), client("192.0.2.7:49153")),
            (v2([0x21, 0x11], &with_extension), client("192.0.2.7:49153")),
            (v2([0x21, 0x21], &v6_body), client("[::1]:443")),
            (v2([0x21, 0x21], &mapped_body), client("192.0.2.7:443")),
            (v2([0x21, 0x31], &[0; 216]), Source::Unnamed),
            (v2([0x21, 0x00], &[]), Source::Unnamed),
            (v2([0x20, 0x00], &[]), Source::Proxy),
            (v2([0x20, 0x11], &V4_BODY), Source::Proxy),
        ];
        for (header, source) in table {
            let followed = [header, &b"\x10\x0c\r\n and MQTT"[..]].concat();
            assert_eq!(read(&followed), (Ok(*source), header.len()), "{header:?}");
        }
    }

    #[tokio::test]
    async fn a_header_may_arrive_in_single_bytes() {
        let (mut proxy, mut server) = tokio::io::duplex(1);
        let header = v2([0x21, 0x11], &V4_BODY);
        let v1 = b"PROXY TCP4 192.0.2.7 10.0.0.1 49153 1883\r\n".to_vec();
        for header in [header, v1] {
            let (sent, source) = tokio::join!(proxy.write_all(&header), read_header(&mut server));
            sent.expect("a duplex that is open");
            assert_eq!(source.expect("a header"), client("192.0.2.7:49153"));
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let too_long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
        let table: &[(Vec<u8>, Error)] = &[
            (
                b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00".to_vec(),
                Error::Missing,
            ),
            (
                b"PROXYTCP4 1.1.1.1 2.2.2.2 1 2\r\n".to_vec(),
                Error::Missing,
            ),
            (
                b"PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n".to_vec(),
                Error::Malformed,
            ),
            (b"PROXY TCP4 ::1 ::1 1 2\r\n".to_vec(), Error::Malformed),
            (
                b"PROXY TCP9 1.1.1.1 2.2.2.2 1 2\r\n".to_vec(),
                Error::Malformed,
            ),
            (
                b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rx\r\n".to_vec(),
                Error::Malformed,
            ),
            (too_long.into_bytes(), Error::TooLong),
            (v2([0x21, 0x11], &[0; 11]), Error::Malformed),
            (v2([0x31, 0x11], &V4_BODY), Error::Malformed),
            (v2([0x21, 0x77], &V4_BODY), Error::Malformed),
            (
                v2([0x21, 0x11], &[0; MAXIMUM_V2_BODY_BYTES + 1]),
                Error::TooLong,
            ),
        ];
        for (header, error) in table {
            assert_eq!(read(header).0, Err(error.to_string()), "{header:?}");
        }
    }
}
