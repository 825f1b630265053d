//! A nonblocking TCP stream that gathers what one turn has to say and says it
//! in one write, and that keeps the start of a packet until its end arrives.

use crate::poller::Poller;
use rustix::fd::{AsFd, BorrowedFd};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
};

/// Room for one read; shared by all streams of a thread. It also bounds a
/// packet.
pub const SCRATCH_BYTES: usize = 256 * 1024;

/// More unsent bytes than this and the peer is given up.
const UNSENT_BYTES: usize = 256 * 1024 * 1024;

/// One end of a connection. An idle one owns no buffers, unless it was busy
/// before.
#[derive(Debug)]
pub struct Stream {
    socket: TcpStream,
    /// The start of a packet whose end has not arrived.
    unparsed: Vec<u8>,
    outgoing: Vec<u8>,
    /// How much of `outgoing` is written.
    written: usize,
    queued_to_flush: bool,
    /// The peer must read before more can be written; the poller will tell.
    blocked: bool,
}

impl Stream {
    /// Takes over a connected socket.
    pub fn new(socket: TcpStream) -> io::Result<Stream> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        Ok(Stream {
            socket,
            unparsed: Vec::new(),
            outgoing: Vec::new(),
            written: 0,
            queued_to_flush: false,
            blocked: false,
        })
    }

    /// Reads once and returns what there is to parse: the start kept before and
    /// the new bytes. What stays unparsed must be given to [`keep`](Self::keep).
    ///
    /// `scratch` has [`SCRATCH_BYTES`]. Errors: the peer closed or broke the
    /// connection, or announced a packet that does not fit into `scratch`.
    pub fn receive<'a>(&mut self, scratch: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let kept = self.unparsed.len();
        scratch[..kept].copy_from_slice(&self.unparsed);
        self.unparsed.clear();
        let room = &mut scratch[kept..];
        if room.is_empty() {
            return Err(io::Error::new(ErrorKind::OutOfMemory, "a packet too large"));
        }
        let read = match self.socket.read(room) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => read,
            Err(e) if again(&e) => 0,
            Err(e) => return Err(e),
        };
        Ok(&scratch[..kept + read])
    }

    /// Keeps the start of a packet for the next read.
    pub fn keep(&mut self, start: &[u8]) {
        self.unparsed.extend_from_slice(start);
    }

    /// Where to append what the next flush writes.
    pub fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.outgoing
    }

    /// Whether the caller must put the stream on its list of streams to flush:
    /// it is not there yet, and it does not wait for the poller.
    pub fn queue_to_flush(&mut self) -> bool {
        !self.blocked && !std::mem::replace(&mut self.queued_to_flush, true)
    }

    /// Writes what is outgoing, in one write if the socket takes it. If not,
    /// `poller` reports `token` as writable later; flush again then.
    ///
    /// Errors: the connection broke, or its peer reads too slowly.
    pub fn flush(&mut self, poller: &Poller, token: usize) -> io::Result<()> {
        self.queued_to_flush = false;
        let blocked = !self.write()?;
        if blocked != self.blocked {
            poller.watch_writes(&self.socket, token, blocked)?;
            self.blocked = blocked;
        }
        Ok(())
    }

    /// Whether all is written.
    fn write(&mut self) -> io::Result<bool> {
        while self.written < self.outgoing.len() {
            match self.socket.write(&self.outgoing[self.written..]) {
                Ok(count) => self.written += count,
                Err(e) if again(&e) => return self.shorten(),
                Err(e) => return Err(e),
            }
        }
        self.outgoing.clear();
        self.written = 0;
        Ok(true)
    }

    fn shorten(&mut self) -> io::Result<bool> {
        let unsent = self.outgoing.len() - self.written;
        if unsent > UNSENT_BYTES {
            return Err(io::Error::new(
                ErrorKind::TimedOut,
                "the peer reads too slowly",
            ));
        }
        // Moving the rest to the front pays once it is the smaller part.
        if self.written > unsent {
            self.outgoing.drain(..self.written);
            self.written = 0;
        }
        Ok(false)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, time::Duration};

    fn pair() -> io::Result<(Stream, TcpStream)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let ours = TcpStream::connect(listener.local_addr()?)?;
        Ok((Stream::new(ours)?, listener.accept()?.0))
    }

    #[test]
    fn the_start_of_a_packet_waits_for_its_end() -> io::Result<()> {
        let (mut stream, mut peer) = pair()?;
        let mut scratch = vec![0; SCRATCH_BYTES];
        stream.keep(b"abc");
        assert_eq!(stream.receive(&mut scratch)?, b"abc", "nothing new yet");
        stream.keep(b"bc");
        peer.write_all(b"de")?;
        assert_eq!(stream.receive(&mut scratch)?, b"bcde");
        assert_eq!(stream.receive(&mut scratch)?, b"");
        drop(peer);
        assert!(stream.receive(&mut scratch).is_err(), "closed");
        Ok(())
    }

    #[test]
    fn a_packet_larger_than_the_scratch_is_an_error() -> io::Result<()> {
        let (mut stream, _peer) = pair()?;
        let mut scratch = vec![0; 4];
        stream.keep(b"1234");
        assert!(stream.receive(&mut scratch).is_err());
        Ok(())
    }

    #[test]
    fn what_the_peer_does_not_read_stays_in_order() -> io::Result<()> {
        let (mut stream, mut peer) = pair()?;
        let mut poller = Poller::new()?;
        poller.add(&stream, 7)?;
        let sent: Vec<u8> = (0..8_000_000_u32).map(|i| (i % 251) as u8).collect();
        stream.outgoing().extend_from_slice(&sent);
        assert!(stream.queue_to_flush(), "it has to be flushed");
        assert!(!stream.queue_to_flush(), "only once");
        stream.flush(&poller, 7)?;
        assert!(stream.blocked && !stream.queue_to_flush());

        let mut received = Vec::new();
        let mut chunk = vec![0; 300_000];
        while received.len() < sent.len() {
            let count = peer.read(&mut chunk)?;
            received.extend_from_slice(&chunk[..count]);
            if poller.wait(Some(Duration::ZERO))? > 0 {
                assert!(poller.ready(0).writable && poller.ready(0).token == 7);
                stream.flush(&poller, 7)?;
            }
        }
        assert!(received == sent);
        assert!(!stream.blocked && stream.queue_to_flush());
        Ok(())
    }
}
