//! One listener with its transport, and the bounds within which everything must happen.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use dunlin_net::{
    Ask, HandshakeError, ListenAddress, Listener, ListenerSettings, Peer, Stream, Transport,
    handshake,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// No step of a test takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

pub type Handshake = Result<(Stream, Peer), HandshakeError>;

pub struct Server {
    pub listener: Listener,
    pub transport: Transport,
}

/// Settings of a plain listener on an unused port of IPv4's loopback.
pub fn settings() -> ListenerSettings {
    ListenerSettings::new(ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))))
}

impl Server {
    pub fn start(settings: &ListenerSettings) -> Self {
        Self {
            listener: Listener::bind(settings).unwrap(),
            transport: Transport::load(settings).unwrap(),
        }
    }

    pub fn address(&self) -> SocketAddr {
        match self.listener.local_address() {
            ListenAddress::Tcp(address) => *address,
            other => panic!("{other} is no TCP address"),
        }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }

    /// The handshake of the next connection, with the client's part beside it.
    pub async fn meet<T>(&mut self, client: impl Future<Output = T>) -> (Handshake, T) {
        let server = async {
            let accepted = self.listener.accept().await.unwrap();
            handshake(accepted, &self.transport).await
        };
        bounded(async { tokio::join!(server, client) }).await
    }

    /// As `meet`, for handshakes that must succeed.
    pub async fn welcome<T>(&mut self, client: impl Future<Output = T>) -> (Stream, Peer, T) {
        let (server, client) = self.meet(client).await;
        let (stream, peer) = server.unwrap_or_else(|error| panic!("{error}"));
        (stream, peer, client)
    }

    /// As `meet`, for handshakes that must fail: the log line.
    pub async fn refuse<T>(&mut self, client: impl Future<Output = T>) -> (String, T) {
        match self.meet(client).await {
            (Ok((_, peer)), _) => panic!("{peer:?} was let in"),
            (Err(error), client) => (error.to_string(), client),
        }
    }
}

pub async fn bounded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("a test that hangs")
}

/// Bytes go both ways, at once, and more of them than any buffer on the way holds.
pub async fn exchange(
    server: &mut (impl AsyncRead + AsyncWrite + Unpin),
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
) {
    async fn side(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), sent: &[u8], due: &[u8]) {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let write = async {
            writer.write_all(sent).await.unwrap();
            writer.flush().await.unwrap();
        };
        let mut received = vec![0; due.len()];
        let read = async { reader.read_exact(&mut received).await.unwrap() };
        tokio::join!(write, read);
        assert!(received == due, "bytes arrive as they were sent");
    }
    let bytes = |seed: u32| -> Vec<u8> {
        (0..4_000_000_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761 + seed) >> 24) as u8)
            .collect()
    };
    let (up, down) = (bytes(1), bytes(2));
    bounded(async { tokio::join!(side(server, &down, &up), side(client, &up, &down)) }).await;
}

/// What the client sends is read although the runtime, which gets no turn, has not heard of it.
pub async fn read_unheard(
    server: &mut Stream,
    client: &mut (impl AsyncWrite + Unpin),
    sent: &[u8],
    due: &[u8],
) {
    let mut received = [0; 64];
    let mut read = |server: &mut Stream| {
        let mut received = ReadBuf::new(&mut received);
        Pin::new(server)
            .poll_read(&mut Context::from_waker(Waker::noop()), &mut received)
            .map_ok(|()| received.filled().to_vec())
    };
    assert!(read(server).is_pending());
    client.write_all(sent).await.unwrap();
    client.flush().await.unwrap();
    assert!(read(server).is_pending());
    server.ask(Ask::Socket);
    assert_eq!(soon(|| read(server)).unwrap(), due);
    server.ask(Ask::Runtime);
    assert!(read(server).is_pending());
}

/// Tries again until it succeeds, without a turn for the runtime.
pub fn soon<T>(mut attempt: impl FnMut() -> Poll<T>) -> T {
    let start = Instant::now();
    loop {
        if let Poll::Ready(outcome) = attempt() {
            return outcome;
        }
        assert!(start.elapsed() < PATIENCE);
    }
}
