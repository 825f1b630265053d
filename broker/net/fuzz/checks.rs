//! What must hold for any bytes from the network. The fuzz targets run these on made-up bytes, the
//! test `corpus` on the committed ones; both go through `handshake` and a pair of sockets.

use std::cell::RefCell;
use std::io::{self, Cursor, Read, Write};
use std::os::unix::net::UnixStream as StdUnixStream;

use dunlin_net::{
    Accepted, HandshakeError, ListenAddress, ListenerSettings, Peer, Stream, Transport,
    WebSocketSettings, handshake,
};
use proxy_header::{ParseConfig, ProxyHeader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

/// A PROXY header is read to its end and no further, whatever follows it; and each that the parser
/// of whole headers understands within the bounds is understood.
pub fn proxy_header(bytes: &[u8]) {
    let mut settings = plain();
    settings.proxy_protocol = true;
    let whole = ProxyHeader::parse(bytes, ParseConfig::default()).map(|(_, length)| length);
    let outcome = meet(&settings, bytes, bytes.len());
    match (&outcome.handshake, whole) {
        (Ok(_), Ok(length)) => assert_eq!(outcome.payload, &bytes[length..]),
        (Ok(_), Err(error)) => panic!("understood what is {error}"),
        (Err(error), Ok(length)) => {
            let bound = if bytes.starts_with(b"PROXY") {
                107
            } else {
                16 + 4096
            };
            let strict = bytes.starts_with(b"PROXY") && !bytes.starts_with(b"PROXY ");
            assert!(length > bound || strict, "{error}");
        }
        (Err(_), Err(_)) => {}
    }
}

const REQUEST: &[u8] = b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const MAXIMUM_FRAME_BYTES: u64 = 4096;

/// Frames carry the same bytes however they are cut, and those that another implementation finds.
/// The first byte says how long the pieces are.
pub fn websocket_frames(bytes: &[u8]) {
    let Some((piece, frames)) = bytes.split_first() else {
        return;
    };
    let mut settings = plain();
    settings.websocket = Some(WebSocketSettings {
        maximum_frame_bytes: MAXIMUM_FRAME_BYTES,
        ..WebSocketSettings::default()
    });
    let sent = [REQUEST, frames].concat();
    let whole = meet(&settings, &sent, sent.len());
    let pieces = meet(&settings, &sent, usize::from(*piece).max(1));
    assert!(whole.handshake.is_ok() && pieces.handshake.is_ok());
    assert_eq!(whole.payload, pieces.payload);
    assert_eq!(whole.end, pieces.end);
    // The other implementation passes on complete messages alone.
    assert!(whole.payload.starts_with(&messages(frames)));
}

/// A request is granted or refused, with an answer in either case, unless it never ends.
pub fn websocket_request(bytes: &[u8]) {
    let mut settings = plain();
    settings.websocket = Some(WebSocketSettings::default());
    let outcome = meet(&settings, bytes, bytes.len());
    let status = outcome.answer.get(..13).unwrap_or_default();
    match outcome.handshake {
        Ok(_) => assert_eq!(status, b"HTTP/1.1 101 "),
        Err(_) if status.is_empty() => {
            assert!(!bytes.windows(4).any(|window| window == b"\r\n\r\n"));
        }
        Err(_) => assert!(status.starts_with(b"HTTP/1.1 4"), "{status:?}"),
    }
}

fn plain() -> ListenerSettings {
    ListenerSettings::new(ListenAddress::any(0))
}

struct Outcome {
    handshake: Result<Peer, HandshakeError>,
    /// What the connection would read.
    payload: Vec<u8>,
    /// How that ended, if not well.
    end: Option<io::ErrorKind>,
    /// What the client would read.
    answer: Vec<u8>,
}

/// A client sends `bytes` in pieces, and closes.
fn meet(settings: &ListenerSettings, bytes: &[u8], piece: usize) -> Outcome {
    thread_local! {
        static RUNTIME: RefCell<Runtime> = RefCell::new(
            Builder::new_current_thread().enable_all().build().expect("a runtime"),
        );
    }
    RUNTIME.with_borrow(|runtime| runtime.block_on(meet_on_runtime(settings, bytes, piece)))
}

async fn meet_on_runtime(settings: &ListenerSettings, bytes: &[u8], piece: usize) -> Outcome {
    let transport = Transport::load(settings).expect("settings that work");
    let (near, far) = StdUnixStream::pair().expect("a pair of sockets");
    far.set_nonblocking(true).expect("a socket");
    let mut client = UnixStream::from_std(far).expect("a socket");
    let accepted = Accepted::try_from(near).expect("a socket");
    let sending = async {
        for piece in bytes.chunks(piece.max(1)) {
            // The server may have closed.
            let _ = client.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        let _ = client.shutdown().await;
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer).await;
        answer
    };
    let serving = async {
        match handshake(accepted, &transport).await {
            Ok((stream, peer)) => (Ok(peer), read(stream).await),
            Err(error) => (Err(error), (Vec::new(), None)),
        }
    };
    let (answer, (handshake, (payload, end))) = tokio::join!(sending, serving);
    Outcome {
        handshake,
        payload,
        end,
        answer,
    }
}

async fn read(mut stream: Stream) -> (Vec<u8>, Option<io::ErrorKind>) {
    let mut payload = Vec::new();
    let result = stream.read_to_end(&mut payload).await;
    (payload, result.err().map(|error| error.kind()))
}

/// What tungstenite makes of frames: the binary messages before anything else ends them.
fn messages(frames: &[u8]) -> Vec<u8> {
    struct Peer<'a>(Cursor<&'a [u8]>);
    impl Read for Peer<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            Read::read(&mut self.0, buf)
        }
    }
    impl Write for Peer<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let config = WebSocketConfig::default()
        .max_frame_size(Some(MAXIMUM_FRAME_BYTES as usize))
        .max_message_size(Some(1 << 20));
    let peer = Peer(Cursor::new(frames));
    let mut websocket = WebSocket::from_raw_socket(peer, Role::Server, Some(config));
    let mut payload = Vec::new();
    loop {
        match websocket.read() {
            Ok(Message::Binary(message)) => payload.extend_from_slice(&message),
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            Ok(_) | Err(_) => return payload,
        }
    }
}
