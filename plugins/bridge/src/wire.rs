//! A byte stream with its buffers, written and read by one task.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// What a connection runs over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Room made for each read.
const READ_BYTES: usize = 64 * 1024;
/// Bytes that wait to be written above which no more messages are put there.
const OUTPUT_BYTES: usize = 256 * 1024;
/// How long the peer may take to close after we did.
const LINGER: Duration = Duration::from_secs(1);

/// A byte stream with what was read and not decoded, and what is to be written.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    pub input: BytesMut,
    pub output: Vec<u8>,
    /// Bytes of `output` that were written.
    written: usize,
    /// Somebody waits for room in `output`.
    awaited: bool,
    /// TLS holds bytes back until it is flushed.
    unflushed: bool,
}

impl Wire {
    pub fn new(stream: Box<dyn Stream>) -> Self {
        Wire {
            stream,
            input: BytesMut::new(),
            output: Vec::new(),
            written: 0,
            awaited: false,
            unflushed: false,
        }
    }

    /// Whether more may be put into `output`. After a `false`, [`Wire::turn`] returns once it may.
    pub fn has_room(&mut self) -> bool {
        self.awaited = self.output.len() - self.written >= OUTPUT_BYTES;
        !self.awaited
    }

    /// Writes what there is, and reads if asked to. Returns after something was read, or when there
    /// is room again that was waited for. May be dropped at any time.
    ///
    /// # Errors
    /// The stream is closed or broken.
    pub async fn turn(&mut self, read: bool) -> io::Result<()> {
        poll_fn(|context| {
            if let Poll::Ready(result) = self.poll_write(context) {
                result?;
                if std::mem::take(&mut self.awaited) {
                    return Poll::Ready(Ok(()));
                }
            }
            match read {
                true => self.poll_read(context),
                false => Poll::Pending,
            }
        })
        .await
    }

    /// Ready when all is written.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.output.len() {
            let rest = &self.output[self.written..];
            match Pin::new(&mut self.stream).poll_write(context, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => self.written += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
            self.unflushed = true;
        }
        self.output.clear();
        self.written = 0;
        self.output.shrink_to(OUTPUT_BYTES);
        if self.unflushed {
            std::task::ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.reserve(READ_BYTES);
        let read = pin!(self.stream.read_buf(&mut self.input)).poll(context);
        read.map(|count| match count? {
            0 => Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                "the broker closed the connection",
            )),
            _ => Ok(()),
        })
    }

    /// Writes the rest, and closes so that the peer can read all of it: closing with bytes unread
    /// would take back what is on its way.
    pub async fn close(mut self) {
        let parting = async {
            poll_fn(|context| self.poll_write(context)).await?;
            self.stream.shutdown().await?;
            loop {
                self.input.clear();
                if self.stream.read_buf(&mut self.input).await? == 0 {
                    return io::Result::Ok(());
                }
            }
        };
        // The peer may be gone already, or not close: then we do.
        let _ = timeout(LINGER, parting).await;
    }
}
