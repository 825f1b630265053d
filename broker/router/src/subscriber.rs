//! A session as the rest of the broker sees it: an inbox with a name.

mod control;
mod crowding;
mod inbox;
mod queue;
mod undelivered;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, Ordering};
use std::task::Waker;

use parking_lot::Mutex;

pub use control::{Control, EVERY_CONNECTION, HandedOver};
pub use queue::{Pushed, Taken};

use inbox::Inbox;
use undelivered::NEVER;

/// One session's place in the broker, from its first CONNECT to its end: what index targets point
/// to. Connections come and go; the queue stays.
pub struct Subscriber {
    /// Unique in this process; also what No Local compares.
    pub number: u64,
    /// Unique among live sessions.
    pub client_id: Arc<str>,
    /// The worker whose connection last had this session: deliveries travel by its mailboxes, so
    /// that one path keeps their order.
    home: AtomicU16,
    /// Whether the session outlives its connection.
    persistent: AtomicBool,
    /// Whether it also outlives the process: then its messages gate acknowledgements.
    stored: bool,
    /// Whether the queue was at its limit when it last changed: for those who send by mailbox and
    /// cannot wait to see.
    full: AtomicBool,
    /// Whether publishers wait for room: one of [`crowding`].
    // Written under the lock of the inbox.
    crowding: AtomicU8,
    /// No message of the queue has expired before, in milliseconds of [`dunlin_time::Wall`];
    /// [`NEVER`] if none does.
    // Written under the lock of the inbox.
    expires: AtomicU64,
    /// Messages sent and unacknowledged, as of the last turn: for shared subscriptions.
    inflight: AtomicU16,
    // Locked for a push or a swap, by any worker; never while another lock is taken.
    inbox: Mutex<Inbox>,
    /// Filters as subscribed, with `$share/...`; sorted.
    // Locked by the session's own connection, and by whoever ends the session.
    pub(crate) subscriptions: Mutex<Vec<Box<str>>>,
}

impl Subscriber {
    pub(crate) fn new(number: u64, client_id: Arc<str>, home: u16, stored: bool) -> Self {
        Subscriber {
            number,
            client_id,
            home: AtomicU16::new(home),
            persistent: AtomicBool::new(stored),
            stored,
            full: AtomicBool::new(false),
            crowding: AtomicU8::new(crowding::NONE),
            expires: AtomicU64::new(NEVER),
            inflight: AtomicU16::new(0),
            inbox: Mutex::default(),
            subscriptions: Mutex::default(),
        }
    }

    /// The worker whose mailboxes lead here.
    pub fn home(&self) -> u16 {
        self.home.load(Ordering::Acquire)
    }

    pub(crate) fn move_home(&self, worker: u16) {
        self.home.store(worker, Ordering::Release);
    }

    /// Whether the session outlives its connection.
    pub fn is_persistent(&self) -> bool {
        self.persistent.load(Ordering::Relaxed)
    }

    /// Whether the session outlives the process, and its changes are recorded.
    pub fn is_stored(&self) -> bool {
        self.stored
    }

    /// Whether the queue takes no more, as far as is known without its lock.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Set at CONNECT, and again if DISCONNECT changes the expiry.
    pub fn set_persistent(&self, persistent: bool) {
        self.persistent.store(persistent, Ordering::Relaxed);
    }

    /// Tells shared subscriptions how busy this session is.
    pub fn set_inflight(&self, inflight: usize) {
        let inflight = u16::try_from(inflight).unwrap_or(u16::MAX);
        if self.inflight.load(Ordering::Relaxed) != inflight {
            self.inflight.store(inflight, Ordering::Relaxed);
        }
    }

    /// Messages queued or unacknowledged; roughly, for choosing.
    pub(crate) fn load(&self) -> usize {
        self.inbox.lock().queue.len() + self.inflight.load(Ordering::Relaxed) as usize
    }

    /// Messages queued.
    pub fn queued(&self) -> usize {
        self.inbox.lock().queue.len()
    }

    /// Messages queued, and their bytes.
    pub fn queue(&self) -> (usize, usize) {
        let inbox = self.inbox.lock();
        (inbox.queue.len(), inbox.bytes)
    }

    /// Bytes queued.
    pub fn queued_bytes(&self) -> usize {
        self.inbox.lock().bytes
    }

    /// Whether a connection is there.
    pub fn is_attached(&self) -> bool {
        self.inbox.lock().attached
    }

    pub(crate) fn set_attached(&self, attached: bool) {
        let mut inbox = self.inbox.lock();
        inbox.attached = attached;
        if !attached {
            inbox.waker = None;
            let waiting = self.drained(&mut inbox);
            drop(inbox);
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// The session ends: mail to it is refused from here on.
    pub(crate) fn refuse_mail(&self) {
        self.full.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("number", &self.number)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}
