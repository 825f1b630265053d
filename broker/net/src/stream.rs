//! One type for every kind of byte stream, so that the connection need not be generic.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use crate::ask::Ask;
use crate::websocket::WebSocket;

/// Anything that carries bytes both ways.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {
    /// The stream that carries this one, if it is a layer.
    fn below(&mut self) -> Option<&mut Stream> {
        None
    }
}

impl ByteStream for DuplexStream {}

impl ByteStream for TlsStream<Stream> {
    fn below(&mut self) -> Option<&mut Stream> {
        Some(self.get_mut().0)
    }
}

impl ByteStream for WebSocket<Stream> {
    fn below(&mut self) -> Option<&mut Stream> {
        Some(&mut self.stream)
    }
}

/// A connection's bytes, whatever carries them.
///
/// Plain sockets are held in place, because most connections are plain and an idle one should cost
/// no more than its socket; everything else keeps its state behind a box.
pub enum Stream {
    /// A plain TCP connection.
    Tcp(TcpStream, Ask),
    /// A plain unix connection.
    Unix(UnixStream, Ask),
    /// TLS, WebSocket, or both.
    Boxed(Box<dyn ByteStream>),
}

impl Stream {
    /// Has the kernel acknowledge what was received now, instead of up to 40 ms later in the hope
    /// of data to send along. For a client that waits with its next small write until then (RFC 896).
    /// Does nothing where there is no plain TCP to do it with.
    pub fn acknowledge_now(&self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Self::Tcp(stream, _) = self {
            // Only a hint: a socket that refuses it acknowledges later.
            let _ = socket2::SockRef::from(stream).set_tcp_quickack(true);
        }
    }

    /// Whom reads and writes ask from here on. Ask the socket for a last look, before what cannot
    /// be undone. Bytes that are no socket's always come as they come.
    pub fn ask(&mut self, whom: Ask) {
        match self {
            Self::Tcp(_, ask) | Self::Unix(_, ask) => *ask = whom,
            Self::Boxed(stream) => {
                if let Some(below) = stream.below() {
                    below.ask(whom);
                }
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream, ask) => ask.poll_read(stream, cx, buf),
            Self::Unix(stream, ask) => ask.poll_read(stream, cx, buf),
            Self::Boxed(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream, ask) => ask.poll_write(stream, cx, bytes),
            Self::Unix(stream, ask) => ask.poll_write(stream, cx, bytes),
            Self::Boxed(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream, ask) => ask.poll_write_vectored(stream, cx, slices),
            Self::Unix(stream, ask) => ask.poll_write_vectored(stream, cx, slices),
            Self::Boxed(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream, _) => stream.is_write_vectored(),
            Self::Unix(stream, _) => stream.is_write_vectored(),
            Self::Boxed(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream, _) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream, _) => Pin::new(stream).poll_flush(cx),
            Self::Boxed(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream, _) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream, _) => Pin::new(stream).poll_shutdown(cx),
            Self::Boxed(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_connection_costs_its_socket_and_a_tag() {
        assert!(size_of::<Stream>() <= size_of::<TcpStream>() + size_of::<usize>());
    }
}
