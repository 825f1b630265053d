//! From bytes to the socket, as far as it takes them.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use dunlin_metrics::Counter;
use dunlin_net::{Ask, Stream};
use dunlin_time::{Monotonic, Now};
use tokio::io::AsyncWrite;

use crate::connection::{Connection, End};

/// Bytes that the socket has not taken. A word while there are none.
#[derive(Debug, Default)]
pub(crate) struct Unsent(Option<Box<Backlog>>);

#[derive(Debug, Default)]
struct Backlog {
    bytes: Vec<u8>,
    written: usize,
    /// When the client has left its socket full for too long.
    deadline: Option<Monotonic>,
}

/// With so much unsent a connection stops reading: it would only answer into this buffer.
const PAUSE_READING: usize = 64 * 1024;
/// A scratch that grew above this is given back.
const SCRATCH_MAX: usize = 1024 * 1024;

impl Unsent {
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether reading should wait until some is sent.
    pub fn pauses_reading(&self) -> bool {
        self.as_slice().len() > PAUSE_READING
    }

    /// When the client has left its socket full for too long.
    pub fn deadline(&self) -> Option<Monotonic> {
        self.0.as_ref()?.deadline
    }

    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Some(backlog) => &backlog.bytes[backlog.written..],
            None => &[],
        }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            let backlog = self.0.get_or_insert_default();
            backlog.bytes.extend_from_slice(bytes);
        }
    }

    pub fn advance(&mut self, written: usize) {
        if let Some(backlog) = &mut self.0 {
            backlog.written += written;
            if backlog.written == backlog.bytes.len() {
                self.0 = None;
            }
        }
    }

    fn stalled(&mut self, now: Monotonic, patience: Duration, progress: bool) {
        if let Some(backlog) = &mut self.0
            && (progress || backlog.deadline.is_none())
        {
            backlog.deadline = Some(now + patience);
        }
    }
}

impl Connection {
    /// Writes the turn's output after what earlier turns left; keeps what the socket does not take.
    pub fn flush(
        &mut self,
        context: &mut Context<'_>,
        now: Monotonic,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        self.hold_back(context, out);
        let had_unsent = !self.unsent.is_empty();
        if had_unsent {
            self.unsent.push(out);
        } else if !out.is_empty() {
            let written = write(&mut self.stream, context, out)?;
            self.worker.cells.add(Counter::BytesSent, written as u64);
            if written < out.len() {
                self.unsent.push(&out[written..]);
                let patience = self.listener.limits.load().slow_consumer_timeout;
                self.unsent.stalled(now, patience, true);
            }
        }
        out.clear();
        out.shrink_to(SCRATCH_MAX);
        if had_unsent {
            self.flush_unsent(context, now)?;
        }
        self.flush_layers(context)
    }

    /// Writes what is unsent if there is any room: the kernel tells of it only when there is much,
    /// and a client that reads slowly may have read all along.
    pub fn send_unheard(&mut self, context: &mut Context<'_>, now: Now) -> Result<(), End> {
        self.stream.ask(Ask::Socket);
        let outcome = self.flush_unsent(context, now.monotonic);
        self.stream.ask(Ask::Runtime);
        outcome
    }

    fn flush_unsent(&mut self, context: &mut Context<'_>, now: Monotonic) -> Result<(), End> {
        let written = write(&mut self.stream, context, self.unsent.as_slice())?;
        self.worker.cells.add(Counter::BytesSent, written as u64);
        self.unsent.advance(written);
        if self.unsent.is_empty() {
            // The inbox was left alone meanwhile.
            context.waker().wake_by_ref();
        } else {
            let patience = self.listener.limits.load().slow_consumer_timeout;
            self.unsent.stalled(now, patience, written > 0);
        }
        Ok(())
    }

    /// TLS and WebSocket keep bytes of their own.
    fn flush_layers(&mut self, context: &mut Context<'_>) -> Result<(), End> {
        if let Stream::Boxed(stream) = &mut self.stream
            && let Poll::Ready(Err(error)) = Pin::new(stream).poll_flush(context)
        {
            return Err(End::Broken(error));
        }
        Ok(())
    }
}

/// Writes as much as the stream takes now.
pub(crate) fn write(
    stream: &mut Stream,
    context: &mut Context<'_>,
    bytes: &[u8],
) -> Result<usize, End> {
    let mut written = 0;
    while written < bytes.len() {
        match Pin::new(&mut *stream).poll_write(context, &bytes[written..]) {
            Poll::Ready(Ok(0)) => return Err(End::Closed),
            Poll::Ready(Ok(count)) => written += count,
            Poll::Ready(Err(error)) => return Err(End::Broken(error)),
            Poll::Pending => break,
        }
    }
    Ok(written)
}
