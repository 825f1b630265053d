//! A WebSocket connection as a stream of bytes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::frames::{Decoder, End, encode_header};

/// The longest frame to send. What a socket does not take of a frame has to be kept, so this
/// bounds the memory of a connection whose peer reads slowly.
const MAXIMUM_SENT_BYTES: usize = 64 * 1024;
/// How many slices of a vectored write go into one frame.
const MAXIMUM_SLICES: usize = 7;

/// MQTT bytes over WebSocket frames over `S`.
///
/// Reads decode inside the caller's buffer. Each write becomes one binary frame, written together
/// with its header; memory is owned only while the socket has taken a part of a frame.
pub(crate) struct WebSocket<S> {
    pub(crate) stream: S,
    decoder: Decoder,
    /// Bytes read before the upgrade was answered.
    received: BytesMut,
    /// The rest of a frame, or of several; goes out before anything else.
    unsent: BytesMut,
    close_sent: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// `received` has arrived after the peer's request, against RFC 6455, 4.1, but harmlessly.
    pub(crate) fn new(stream: S, received: BytesMut, maximum_frame_bytes: u64) -> Self {
        Self {
            stream,
            decoder: Decoder::new(maximum_frame_bytes),
            received,
            unsent: BytesMut::new(),
            close_sent: false,
        }
    }

    fn send_control(&mut self, opcode: Control, payload: &[u8]) {
        let mut frame = Vec::with_capacity(2 + payload.len());
        encode_header(OpCode::Control(opcode), payload.len(), &mut frame);
        self.unsent.extend_from_slice(&frame);
        self.unsent.extend_from_slice(payload);
    }

    fn send_close(&mut self, code: Option<CloseCode>) {
        if !self.close_sent {
            self.close_sent = true;
            match code {
                Some(code) => self.send_control(Control::Close, &u16::from(code).to_be_bytes()),
                None => self.send_control(Control::Close, &[]),
            }
        }
    }

    /// Writes what is unsent, and the answer to a ping; ready when nothing is left.
    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.unsent.is_empty() {
                self.unsent = BytesMut::new();
                match self.decoder.ping.take() {
                    Some(payload) if !self.close_sent => self.send_control(Control::Pong, &payload),
                    _ => return Poll::Ready(Ok(())),
                }
            }
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.unsent))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.advance(written);
        }
    }

    fn poll_flush_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unsent(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Writes one frame. Everything counts as written once its header has left: the rest is kept.
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
        length: usize,
    ) -> Poll<io::Result<usize>> {
        let mut header = Vec::with_capacity(10);
        encode_header(OpCode::Data(Data::Binary), length, &mut header);
        let mut frame = [IoSlice::new(&[]); MAXIMUM_SLICES + 1];
        frame[0] = IoSlice::new(&header);
        frame[1..=slices.len()].copy_from_slice(slices);
        let frame = &frame[..=slices.len()];

        let mut written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, frame))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        for slice in frame {
            let sent = written.min(slice.len());
            self.unsent.put_slice(&slice[sent..]);
            written -= sent;
        }
        Poll::Ready(Ok(length))
    }

    /// After the last payload: answer a Close and report the end, or say why there is none.
    fn poll_end(&mut self, cx: &mut Context<'_>, end: End) -> Poll<io::Result<()>> {
        self.send_close(match end {
            End::Close(code) => code,
            End::Violation(code, _) => Some(code),
        });
        // As far as the peer takes it now: one that does not read must not hold up its own end.
        let _ = self.poll_flush_all(cx)?;
        Poll::Ready(match end {
            End::Close(_) => Ok(()),
            End::Violation(_, what) => Err(io::Error::new(io::ErrorKind::InvalidData, what)),
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while buf.remaining() > 0 {
            if !this.unsent.is_empty() || this.decoder.ping.is_some() {
                // Pending or not: the peer may have to be read from before it reads.
                let _ = this.poll_flush_all(cx)?;
            }
            if let Some(end) = this.decoder.end {
                return this.poll_end(cx, end);
            }
            let start = buf.filled().len();
            if this.received.is_empty() {
                ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            } else {
                let bytes = this
                    .received
                    .split_to(this.received.len().min(buf.remaining()));
                buf.put_slice(&bytes);
            }
            let bytes = &mut buf.filled_mut()[start..];
            if bytes.is_empty() {
                break;
            }
            let decoded = this.decoder.decode(bytes);
            buf.set_filled(start + decoded);
            if decoded > 0 {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.close_sent {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(this.poll_unsent(cx))?;
        let mut payload = [IoSlice::new(&[]); MAXIMUM_SLICES];
        let mut length = 0;
        let mut count = 0;
        for slice in slices
            .iter()
            .filter(|slice| !slice.is_empty())
            .take(MAXIMUM_SLICES)
        {
            let slice = &slice[..slice.len().min(MAXIMUM_SENT_BYTES - length)];
            payload[count] = IoSlice::new(slice);
            length += slice.len();
            count += 1;
        }
        if length == 0 {
            return Poll::Ready(Ok(0));
        }
        this.poll_frame(cx, &payload[..count], length)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_flush_all(cx)
    }

    /// Sends Close before the end. The peer's own Close is not waited for: whoever shuts down has
    /// stopped reading, and the transport's end says the same.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.send_close(Some(CloseCode::Normal));
        ready!(this.poll_unsent(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}
