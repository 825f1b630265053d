//! Which sessions exist, and which connection owns each.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dunlin_session::Will;
use dunlin_time::{Monotonic, TimerKey, Wheel};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table;
use parking_lot::{Mutex, MutexGuard};

use crate::Subscriber;

const SHARDS: usize = 64;

pub(crate) struct Directory {
    hasher: RandomState,
    // Locked to look up, attach and detach; never across an await or another shard.
    shards: Vec<Mutex<HashTable<Entry>>>,
    len: AtomicUsize,
    /// When sessions without a connection have something due.
    // Locked after a shard, never before one.
    pub timers: Mutex<Wheel<Arc<Subscriber>>>,
}

pub(crate) struct Entry {
    pub subscriber: Arc<Subscriber>,
    pub owner: Owner,
}

/// Who has the session.
///
/// ```text
///        CONNECT                      connection ends, session expiry > 0
///  ─────────────▶ Connection ─────────────────────────────────▶ Nobody ──expiry──▶ gone
///                  │      ▲                                        │
///                  └──────┘   CONNECT with the same client id ◀────┘
/// ```
///
/// The session's state has one holder. Whoever wants it leaves a [`crate::Control::TakeOver`] while
/// it locks the shard, and the holder gives it away or leaves the session under the same lock: so
/// none of them is overlooked, and a session whose takers all gave up stays with its holder.
pub(crate) enum Owner {
    /// A connection, with others that wait for it to hand over; or the end of an expired session.
    Connection,
    /// It waits for its client. Boxed: most sessions are connected.
    Nobody(Box<Absence>),
}

/// What is due while a client is away.
#[derive(Default)]
pub(crate) struct Absence {
    /// When the session ends.
    pub expires: Option<Monotonic>,
    /// A will and when it is published.
    pub will: Option<(Monotonic, Will)>,
    pub timer: Option<TimerKey>,
}

/// One locked shard, with the hash of the client id that led to it.
pub(crate) struct Shard<'d> {
    directory: &'d Directory,
    table: MutexGuard<'d, HashTable<Entry>>,
    hash: u64,
    client_id: &'d str,
}

impl Directory {
    pub fn new(now: Monotonic) -> Self {
        Directory {
            hasher: RandomState::default(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            len: AtomicUsize::new(0),
            timers: Mutex::new(Wheel::new(now)),
        }
    }

    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    pub fn get(&self, client_id: &str) -> Option<Arc<Subscriber>> {
        self.lock(client_id)
            .entry()
            .map(|entry| entry.subscriber.clone())
    }

    pub fn list(&self, limit: usize) -> Vec<Arc<Subscriber>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let table = shard.lock();
            let missing = limit - all.len();
            all.extend(
                table
                    .iter()
                    .take(missing)
                    .map(|entry| entry.subscriber.clone()),
            );
        }
        all
    }

    pub fn lock<'d>(&'d self, client_id: &'d str) -> Shard<'d> {
        let hash = self.hasher.hash_one(client_id);
        Shard {
            directory: self,
            table: self.shards[(hash >> 58) as usize % SHARDS].lock(),
            hash,
            client_id,
        }
    }

    /// Sets when a session's owner wants to hear of it again.
    pub fn schedule(&self, subscriber: &Arc<Subscriber>, absence: &mut Absence) {
        let mut timers = self.timers.lock();
        if let Some(timer) = absence.timer.take() {
            timers.cancel(timer);
        }
        let will = absence.will.as_ref().map(|(due, _)| *due);
        let due = [absence.expires, will].into_iter().flatten().min();
        absence.timer = due.map(|due| timers.insert(due, subscriber.clone()));
    }

    pub fn unschedule(&self, absence: &mut Absence) {
        if let Some(timer) = absence.timer.take() {
            self.timers.lock().cancel(timer);
        }
    }
}

impl Shard<'_> {
    pub fn entry(&mut self) -> Option<&mut Entry> {
        let client_id = self.client_id;
        self.table
            .find_mut(self.hash, |entry| *entry.subscriber.client_id == *client_id)
    }

    pub fn insert(&mut self, entry: Entry) {
        let hasher = &self.directory.hasher;
        let hash = |entry: &Entry| hasher.hash_one(&*entry.subscriber.client_id);
        self.table.insert_unique(self.hash, entry, hash);
        self.directory.len.fetch_add(1, Ordering::Relaxed);
    }

    pub fn remove(&mut self) -> Option<Entry> {
        let client_id = self.client_id;
        let found = self
            .table
            .find_entry(self.hash, |entry| *entry.subscriber.client_id == *client_id)
            .ok()
            .map(hash_table::OccupiedEntry::remove);
        let (entry, _) = found?;
        self.directory.len.fetch_sub(1, Ordering::Relaxed);
        Some(entry)
    }
}
