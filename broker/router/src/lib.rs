//! From a message to the inboxes that want it.
//!
//! ```text
//!  connection ─▶ Dispatch::publish ─▶ topic index ─▶ Subscriber (an inbox) ─▶ its connection
//!                      │                  └─ Group (a shared subscription) ─▶ one of its members
//!                      ├─ retained values
//!                      └─ mailboxes to other workers
//! ```
//!
//! [`Router`] is shared by all threads; [`Dispatch`] is one thread's way into it, with what that
//! thread caches. [`Router::attach`] and [`Router::detach`] are the beginning and end of a
//! connection: the client directory, take-over, wills and session expiry. The router knows no
//! socket and no disk: what may lie elsewhere is behind [`ports`].
//!
//! It decides nothing about access; callers ask `dunlin-auth` first.
#![forbid(unsafe_code)]

mod attach;
mod detach;
mod directory;
mod dispatch;
mod fan_out;
mod groups;
mod lane;
mod mailbox;
pub mod ports;
mod publication;
mod restore;
mod retained;
mod room;
mod subscribe;
mod subscriber;
mod target;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Poll, Waker};

use dunlin_codec::ReasonCode;
use dunlin_metrics::{Cells, Counter, Registry};
use dunlin_time::{Clock, Now};
use dunlin_topic::{CacheLimits, Index};
use parking_lot::Mutex;
use tokio::sync::Notify;

pub use attach::{AttachError, AttachRequest, Attached};
pub use detach::Departure;
pub use dispatch::Dispatch;
pub use groups::Strategy;
pub use publication::{Origin, Publication, Published};
pub use restore::{RestoredSession, RestoredSubscription};
pub use retained::RetainedLimits;
pub use subscribe::{Scan, SubscribeRequest, Subscribed};
pub use subscriber::{Control, EVERY_CONNECTION, HandedOver, Pushed, Subscriber, Taken};
pub use target::{SessionTarget, Target, TargetOptions};

use directory::Directory;
use groups::Groups;
use mailbox::Mailboxes;
use ports::{Change, Commit, Store, Urgency};
use retained::Retained;

/// Bounds of one session's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Messages waiting, beside those sent and unacknowledged.
    pub messages: usize,
    /// Their bytes in memory, each message counted in full in each queue.
    pub bytes: usize,
    /// Whether QoS 0 messages are kept for sessions without a connection.
    pub keep_qos_0: bool,
}

/// What the router is told at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads that own connections.
    pub workers: u16,
    /// Of every session's queue.
    pub queue: QueueLimits,
    /// Of all retained messages.
    pub retained: RetainedLimits,
    /// How shared subscriptions choose.
    pub shared: Strategy,
    /// Deliver with the subscription's QoS also what was published with a lower one.
    pub upgrade_qos: bool,
    /// Subscriptions that one session may have.
    pub maximum_subscriptions: usize,
    /// Sessions that may exist, connected or not.
    pub maximum_sessions: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            workers: 1,
            queue: QueueLimits {
                messages: 10_000,
                bytes: 8 * 1024 * 1024,
                keep_qos_0: false,
            },
            retained: RetainedLimits {
                messages: 1_000_000,
                bytes: 128 * 1024 * 1024,
            },
            shared: Strategy::RoundRobin,
            upgrade_qos: false,
            maximum_subscriptions: 10_000,
            maximum_sessions: 1_000_000,
        }
    }
}

/// Everything that connections share.
pub struct Router {
    settings: Settings,
    clock: Clock,
    index: Index<Target>,
    directory: Directory,
    groups: Groups,
    retained: Mutex<Retained>,
    mailboxes: Mailboxes,
    store: Arc<dyn Store>,
    durable: bool,
    metrics: Arc<Registry>,
    numbers: AtomicU64,
    /// Set while the process is over its memory budget: queues take no more.
    short_of_memory: AtomicBool,
    /// Set while the store has no room: nothing is taken that would be kept.
    short_of_storage: AtomicBool,
    closing: AtomicBool,
    /// Told when `closing` is set.
    closed: Notify,
}

impl Router {
    /// A router without sessions.
    pub fn new(
        settings: Settings,
        clock: Clock,
        store: Arc<dyn Store>,
        metrics: Arc<Registry>,
    ) -> Arc<Self> {
        Arc::new(Router {
            index: Index::new(),
            directory: Directory::new(clock.now().monotonic),
            groups: Groups::new(settings.shared),
            retained: Mutex::new(Retained::new(settings.retained)),
            mailboxes: Mailboxes::new(settings.workers),
            clock,
            durable: store.is_durable(),
            store,
            metrics,
            numbers: AtomicU64::new(1),
            short_of_memory: AtomicBool::new(false),
            short_of_storage: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            closed: Notify::new(),
            settings,
        })
    }

    /// One thread's way into the router. `worker` is below [`Settings::workers`] for a thread that
    /// owns connections; every other thread passes `None`.
    pub fn dispatch(self: &Arc<Self>, worker: Option<u16>, cells: Arc<Cells>) -> Dispatch {
        Dispatch::new(self.clone(), worker, cells, CacheLimits::default())
    }

    /// What the router was told at start.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// All counts.
    pub fn metrics(&self) -> &Registry {
        &self.metrics
    }

    /// The time, for those that have no turn of their own.
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// A number that no session or connection of this process has had.
    pub fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Sessions that exist, connected or not.
    pub fn sessions(&self) -> usize {
        self.directory.len()
    }

    /// Subscriptions that exist, a shared one once for each member.
    pub fn subscriptions(&self) -> u64 {
        let total = |counter| self.metrics.total(counter);
        total(Counter::SubscriptionsAdded).wrapping_sub(total(Counter::SubscriptionsRemoved))
    }

    /// Retained messages, and their bytes.
    pub fn retained(&self) -> (usize, usize) {
        let retained = self.retained.lock();
        (retained.len(), retained.bytes())
    }

    /// Messages in the queues of all sessions, and their bytes; visits every session.
    pub fn queued(&self) -> (usize, usize) {
        let sessions = self.directory.list(usize::MAX);
        let queues = sessions.iter().map(|subscriber| subscriber.queue());
        queues.fold((0, 0), |sum, queue| (sum.0 + queue.0, sum.1 + queue.1))
    }

    /// Told by whoever watches the process' memory: while short, messages are not queued.
    pub fn set_short_of_memory(&self, short: bool) {
        self.short_of_memory.store(short, Ordering::Relaxed);
    }

    /// Whether the process is over its memory budget.
    pub fn is_short_of_memory(&self) -> bool {
        self.short_of_memory.load(Ordering::Relaxed)
    }

    /// Told by whoever watches the store: while short, no message above QoS 0 is taken, and none
    /// to be retained.
    pub fn set_short_of_storage(&self, short: bool) {
        self.short_of_storage.store(short, Ordering::Relaxed);
    }

    /// Whether the store has no room.
    pub fn is_short_of_storage(&self) -> bool {
        self.short_of_storage.load(Ordering::Relaxed)
    }

    /// Whether sessions outlive the process.
    pub fn is_durable(&self) -> bool {
        self.durable
    }

    /// Records changes of stored sessions: see [`Store::record`].
    pub fn record(&self, changes: &[Change<'_>], urgency: Urgency) -> Commit {
        self.store.record(changes, urgency)
    }

    /// The newest recorded change.
    pub fn recorded(&self) -> Commit {
        self.store.recorded()
    }

    /// All changes up to this one survive the process.
    pub fn committed(&self) -> Commit {
        self.store.committed()
    }

    /// Ready once `commit` is committed.
    pub async fn until_committed(&self, commit: Commit) {
        poll_fn(|context| match self.wake_at(commit, context.waker()) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        })
        .await;
    }

    /// Wakes `waker` once `commit` is committed; `false` if it is already.
    pub fn wake_at(&self, commit: Commit, waker: &Waker) -> bool {
        self.store.wake_at(commit, waker)
    }

    /// The session of this client, if it has one.
    pub fn session(&self, client_id: &str) -> Option<Arc<Subscriber>> {
        self.directory.get(client_id)
    }

    /// Up to `limit` sessions, in no order; for people.
    pub fn list_sessions(&self, limit: usize) -> Vec<Arc<Subscriber>> {
        self.directory.list(limit)
    }

    /// Whether [`Router::close_all`] has been called: new connections are to be turned away.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Ready once [`Router::close_all`] has been called.
    pub async fn closing(&self) {
        let closed = self.closed.notified();
        if !self.is_closing() {
            closed.await;
        }
    }

    /// Ends every connection, also those that are about to get a session.
    pub fn close_all(&self, reason: ReasonCode, what: &'static str) {
        self.closing.store(true, Ordering::Release);
        self.closed.notify_waiters();
        for subscriber in self.directory.list(usize::MAX) {
            subscriber.control(Control::Close {
                connection: EVERY_CONNECTION,
                reason,
                what: what.into(),
            });
        }
    }

    /// Empties the largest queues of sessions, until half of what was queued is gone: the process
    /// is over its memory budget. What is on disk was acknowledged, and stays.
    pub fn shed_largest_queues(&self, cells: &Cells) {
        let mut queues: Vec<_> = self
            .directory
            .list(usize::MAX)
            .into_iter()
            .map(|subscriber| (subscriber.queued_bytes(), subscriber))
            .filter(|(bytes, _)| *bytes > 0)
            .collect();
        queues.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let total: usize = queues.iter().map(|(bytes, _)| bytes).sum();
        let mut shed = 0;
        for (_, subscriber) in queues {
            if shed * 2 >= total {
                return;
            }
            let dropped = subscriber.drain();
            if dropped.is_empty() {
                continue;
            }
            let bytes: usize = dropped
                .iter()
                .map(|delivery| delivery.message.memory())
                .sum();
            let messages = dropped.len();
            tracing::warn!(client_id = %subscriber.client_id, messages, bytes, "queue dropped to save memory");
            cells.add(Counter::DroppedMemory, messages as u64);
            shed += bytes;
        }
    }

    fn record_if_stored(&self, subscriber: &Subscriber, change: Change<'_>) -> Commit {
        match subscriber.is_stored() {
            true => self.store.record(&[change], Urgency::Now),
            false => Commit::default(),
        }
    }
}
