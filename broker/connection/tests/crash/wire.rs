//! A client's end of a connection's bytes. Nothing here waits: what is there is read, what fits is
//! written.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

pub struct Wire {
    stream: DuplexStream,
    pub input: Vec<u8>,
    pub output: Vec<u8>,
}

impl Wire {
    pub fn new(stream: DuplexStream) -> Self {
        Wire {
            stream,
            input: Vec::new(),
            output: Vec::new(),
        }
    }

    /// Reads what has come; false once the broker has closed.
    pub fn read(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let mut bytes = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(&mut context, &mut buffer) {
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => return false,
                Poll::Ready(Ok(())) => self.input.extend_from_slice(buffer.filled()),
                Poll::Ready(Err(_)) => return false,
                Poll::Pending => return true,
            }
        }
    }

    /// Writes what fits; whether that was anything. A broker that has closed is seen at the next
    /// read.
    pub fn write(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let mut written = 0;
        while written < self.output.len() {
            let rest = &self.output[written..];
            match Pin::new(&mut self.stream).poll_write(&mut context, rest) {
                Poll::Ready(Ok(count)) if count > 0 => written += count,
                _ => break,
            }
        }
        self.output.drain(..written);
        written > 0
    }
}
