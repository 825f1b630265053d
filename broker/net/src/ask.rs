//! Sockets that are tried although the runtime has not said that they are ready.

use std::io::{self, IoSlice, Read, Write};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::{SockRef, Socket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Who says whether there is something to read, or room to write.
///
/// The runtime hears in rounds which sockets are ready: of what came since the last one, or while
/// the process was stopped, it knows nothing yet. And of room to write the kernel tells only when
/// there is much of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ask {
    /// The runtime, as always.
    #[default]
    Runtime,
    /// The socket itself, where the runtime knows of nothing: a call of the kernel each time.
    Socket,
}

impl Ask {
    fn ask<S: AsFd, T>(
        self,
        socket: &S,
        heard: Poll<io::Result<T>>,
        attempt: impl FnOnce(&Socket) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        if heard.is_ready() || self == Ask::Runtime {
            return heard;
        }
        match attempt(&SockRef::from(socket)) {
            // The runtime has kept the waker.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            outcome => Poll::Ready(outcome),
        }
    }

    pub(crate) fn poll_read<S: AsyncRead + AsFd + Unpin>(
        self,
        socket: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let heard = Pin::new(&mut *socket).poll_read(cx, buf);
        self.ask(socket, heard, |mut socket| {
            let count = socket.read(buf.initialize_unfilled())?;
            buf.advance(count);
            Ok(())
        })
    }

    pub(crate) fn poll_write<S: AsyncWrite + AsFd + Unpin>(
        self,
        socket: &mut S,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let heard = Pin::new(&mut *socket).poll_write(cx, bytes);
        self.ask(socket, heard, |mut socket| socket.write(bytes))
    }

    pub(crate) fn poll_write_vectored<S: AsyncWrite + AsFd + Unpin>(
        self,
        socket: &mut S,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let heard = Pin::new(&mut *socket).poll_write_vectored(cx, slices);
        self.ask(socket, heard, |mut socket| socket.write_vectored(slices))
    }
}
