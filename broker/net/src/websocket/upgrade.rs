//! The HTTP request that turns a connection into a WebSocket (RFC 6455, section 4.2).

use std::fmt;
use std::io;

use bytes::BytesMut;
use httparse::{EMPTY_HEADER, Header, Request, Status};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tungstenite::handshake::derive_accept_key;

use crate::settings::WebSocketSettings;

/// Request line and headers together.
const MAXIMUM_HEAD_BYTES: usize = 8 * 1024;
const MAXIMUM_HEADERS: usize = 64;
/// What is asked of the socket at a time; most requests of browsers are smaller.
const READ_BYTES: usize = 1024;

/// In both standards it is `mqtt` [MQTT-6.0.0-3]; older clients of 3.1 name it `mqttv3.1`.
const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// Reads the request and answers it. Returns what arrived behind it.
///
/// # Errors
/// The request is refused, with the answer already written, or the connection failed.
pub(crate) async fn upgrade(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    settings: &WebSocketSettings,
) -> Result<BytesMut, UpgradeError> {
    let mut received = BytesMut::new();
    let answer = match read_head(stream, &mut received).await? {
        Ok(length) => {
            let answer = answer(&received[..length], settings);
            let _ = received.split_to(length);
            answer
        }
        Err(refusal) => Err(refusal),
    };
    let text = answer
        .as_ref()
        .map_or_else(|refusal| refusal.response(), Accepted::response);
    stream.write_all(text.as_bytes()).await?;
    stream.flush().await?;
    if let Err(refusal) = answer {
        stream.shutdown().await?;
        return Err(UpgradeError::Refused(refusal));
    }
    // Copied, so that an idle connection does not keep the request's memory.
    Ok(BytesMut::from(&received[..]))
}

/// Reads until the empty line; the head's length. What begins like no method, as MQTT without
/// WebSocket does, is not read on.
async fn read_head(
    stream: &mut (impl AsyncRead + Unpin),
    received: &mut BytesMut,
) -> io::Result<Result<usize, Refusal>> {
    loop {
        // An end split over two reads is found from three bytes before the second.
        let searched = received.len().saturating_sub(3);
        received.reserve(READ_BYTES);
        if stream.read_buf(received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !received[0].is_ascii_uppercase() {
            return Ok(Err(Refusal::NotHttp));
        }
        let end = received[searched..]
            .windows(4)
            .position(|window| window == b"\r\n\r\n");
        match end.map(|position| searched + position + 4) {
            Some(length) if length <= MAXIMUM_HEAD_BYTES => return Ok(Ok(length)),
            None if received.len() <= MAXIMUM_HEAD_BYTES => {}
            _ => return Ok(Err(Refusal::HeadTooLong)),
        }
    }
}

/// A request that is granted.
#[derive(Debug)]
struct Accepted {
    accept_key: String,
    subprotocol: Option<&'static str>,
}

impl Accepted {
    fn response(&self) -> String {
        let mut text = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n",
            self.accept_key
        );
        if let Some(subprotocol) = self.subprotocol {
            text += &format!("Sec-WebSocket-Protocol: {subprotocol}\r\n");
        }
        text + "\r\n"
    }
}

fn answer(head: &[u8], settings: &WebSocketSettings) -> Result<Accepted, Refusal> {
    let mut headers = [EMPTY_HEADER; MAXIMUM_HEADERS];
    let mut request = Request::new(&mut headers);
    match request.parse(head) {
        Ok(Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLong),
        Ok(Status::Partial) | Err(_) => return Err(Refusal::NotHttp),
    }
    if request.method != Some("GET") {
        return Err(Refusal::Method);
    }
    let target = request.path.unwrap_or_default();
    let path = target.split_once('?').map_or(target, |(path, _query)| path);
    if !settings
        .paths
        .iter()
        .any(|known| known == path || known == "*")
    {
        return Err(Refusal::Path);
    }
    let headers = Headers(request.headers);
    if request.version != Some(1)
        || !headers.has_token("upgrade", "websocket")
        || !headers.has_token("connection", "upgrade")
    {
        return Err(Refusal::NotAnUpgrade);
    }
    check_origin(&headers, settings)?;
    if headers.first("sec-websocket-version") != Some("13") {
        return Err(Refusal::Version);
    }
    let key = headers
        .first("sec-websocket-key")
        .filter(|key| is_nonce(key))
        .ok_or(Refusal::Key)?;
    Ok(Accepted {
        accept_key: derive_accept_key(key.as_bytes()),
        subprotocol: subprotocol(&headers)?,
    })
}

fn check_origin(headers: &Headers<'_>, settings: &WebSocketSettings) -> Result<(), Refusal> {
    let (Some(allowed), true) = (&settings.allowed_origins, headers.has("origin")) else {
        return Ok(());
    };
    let origin = headers.first("origin").unwrap_or_default();
    if allowed
        .iter()
        .any(|allowed| allowed.eq_ignore_ascii_case(origin))
    {
        Ok(())
    } else {
        Err(Refusal::Origin)
    }
}

/// Sixteen bytes in base64 (RFC 6455, 4.1): what they are does not matter.
fn is_nonce(key: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    key.strip_suffix("==")
        .is_some_and(|key| key.len() == 22 && key.bytes().all(digit))
}

/// The client's first choice among ours; clients that ask for none get none, as from Mosquitto.
fn subprotocol(headers: &Headers<'_>) -> Result<Option<&'static str>, Refusal> {
    let mut offered = headers.tokens("sec-websocket-protocol").peekable();
    if offered.peek().is_none() {
        return Ok(None);
    }
    offered
        .find_map(|offer| SUBPROTOCOLS.into_iter().find(|known| *known == offer))
        .map(Some)
        .ok_or(Refusal::Subprotocol)
}

struct Headers<'a>(&'a [Header<'a>]);

impl<'a> Headers<'a> {
    fn named(&self, name: &str) -> impl Iterator<Item = &'a Header<'a>> {
        self.0
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
    }

    fn has(&self, name: &str) -> bool {
        self.named(name).next().is_some()
    }

    /// The value of the first header of this name, if it is text.
    fn first(&self, name: &str) -> Option<&'a str> {
        let header = self.named(name).next()?;
        std::str::from_utf8(header.value).ok().map(str::trim_ascii)
    }

    /// The elements of a comma-separated list, which may be spread over headers (RFC 9110, 5.3).
    fn tokens(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.named(name)
            .filter_map(|header| std::str::from_utf8(header.value).ok())
            .flat_map(|value| value.split(','))
            .map(str::trim_ascii)
            .filter(|token| !token.is_empty())
    }

    fn has_token(&self, name: &str, token: &str) -> bool {
        self.tokens(name)
            .any(|found| found.eq_ignore_ascii_case(token))
    }
}

/// Why a request was refused; each has its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not an HTTP request.
    NotHttp,
    /// More than 8 KiB, or more than 64 headers.
    HeadTooLong,
    /// Not a GET.
    Method,
    /// A path that carries no MQTT.
    Path,
    /// Plain HTTP.
    NotAnUpgrade,
    /// A page of an origin that is not allowed.
    Origin,
    /// A version of WebSocket other than 13.
    Version,
    /// `Sec-WebSocket-Key` is missing or malformed.
    Key,
    /// Subprotocols are offered, but neither `mqtt` nor `mqttv3.1`.
    Subprotocol,
}

impl Refusal {
    fn status(self) -> &'static str {
        match self {
            Self::NotHttp | Self::Key | Self::Subprotocol => "400 Bad Request",
            Self::Origin => "403 Forbidden",
            Self::Path => "404 Not Found",
            Self::Method => "405 Method Not Allowed\r\nAllow: GET",
            Self::NotAnUpgrade => {
                "426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"
            }
            Self::Version => "426 Upgrade Required\r\nSec-WebSocket-Version: 13",
            Self::HeadTooLong => "431 Request Header Fields Too Large",
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::NotHttp => "not an HTTP request",
            Self::HeadTooLong => "more than 8 KiB of request, or more than 64 headers",
            Self::Method => "only GET can be upgraded",
            Self::Path => "no MQTT at this path",
            Self::NotAnUpgrade => "MQTT over WebSocket only: the request asks for no upgrade",
            Self::Origin => "pages of this origin may not connect",
            Self::Version => "only version 13 of WebSocket is spoken",
            Self::Key => "Sec-WebSocket-Key is missing or malformed",
            Self::Subprotocol => "of the subprotocols, mqtt or mqttv3.1 must be offered",
        }
    }

    fn response(self) -> String {
        let (status, reason) = (self.status(), self.reason());
        format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: text/plain\r\n\
             Content-Length: {}\r\n\r\n{reason}\n",
            reason.len() + 1
        )
    }
}

/// Why a connection did not become a WebSocket.
#[derive(Debug)]
pub enum UpgradeError {
    /// The request was answered with an error.
    Refused(Refusal),
    /// The connection ended or failed before.
    Io(io::Error),
}

impl From<io::Error> for UpgradeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "WebSocket: {}", refusal.reason()),
            Self::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("WebSocket: the connection ended within the request")
            }
            Self::Io(error) => write!(f, "WebSocket: {error}"),
        }
    }
}

impl std::error::Error for UpgradeError {}
