//! A level-triggered epoll set.

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::{AsFd, OwnedFd};
use std::{io, time::Duration};

/// Sockets reported by one wait; the others are reported by the next one.
const READY_AT_ONCE: usize = 1024;

/// A set of sockets, each with a token of its owner's choice.
pub struct Poller {
    epoll: OwnedFd,
    ready: Vec<Event>,
}

/// What a socket is ready for. A closed or broken one is readable.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    /// The token it was added with.
    pub token: usize,
    /// A read will not block.
    pub readable: bool,
    /// A write will not block; only told when asked for.
    pub writable: bool,
}

impl Poller {
    /// An empty set.
    pub fn new() -> io::Result<Poller> {
        Ok(Poller {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            ready: Vec::with_capacity(READY_AT_ONCE),
        })
    }

    /// Adds a socket, to be told when it is readable. Closing it removes it.
    pub fn add(&self, socket: impl AsFd, token: usize) -> io::Result<()> {
        let data = EventData::new_u64(token as u64);
        Ok(epoll::add(&self.epoll, socket, data, EventFlags::IN)?)
    }

    /// Also tells, or no longer tells, when the socket is writable.
    pub fn watch_writes(&self, socket: impl AsFd, token: usize, watch: bool) -> io::Result<()> {
        let data = EventData::new_u64(token as u64);
        let mut interest = EventFlags::IN;
        interest.set(EventFlags::OUT, watch);
        Ok(epoll::modify(&self.epoll, socket, data, interest)?)
    }

    /// Waits until a socket is ready or `timeout` is over (`None`: for ever) and
    /// returns how many are ready. A signal ends the wait early.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: timeout.subsec_nanos().into(),
        });
        self.ready.clear();
        let buffer = spare_capacity(&mut self.ready);
        match epoll::wait(&self.epoll, buffer, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => Ok(0),
            result => Ok(result?),
        }
    }

    /// The socket at `index` among those that the last wait found.
    pub fn ready(&self, index: usize) -> Ready {
        let Event { flags, data, .. } = self.ready[index];
        let broken = EventFlags::HUP | EventFlags::ERR;
        Ready {
            token: data.u64() as usize,
            readable: flags.intersects(EventFlags::IN | broken),
            writable: flags.intersects(EventFlags::OUT | broken),
        }
    }
}
