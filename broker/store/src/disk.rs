//! The store on a log.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::task::Waker;

use dunlin_log::{
    CommitError, Counts, Disk as Files, Found, Log, OpenError, Options, Position, Progress,
};
use dunlin_router::ports::{Change, Commit, Queued, Reply, Retained, Store, StoreError, Urgency};
use dunlin_session::{Message, SessionState};
use parking_lot::Mutex;

use crate::Memory;
use crate::image::{Entry, Image, Subscribed};
use crate::record::{Step, Which, put_more_queued, put_published};
use crate::wire::Reader;

/// A store whose sessions, queues and retained messages survive the process and power loss.
///
/// What a session has open between two connections stays in memory ([`Memory`]); what is behind it
/// in the log comes back by [`Disk::restore`]. Two threads drive it: one runs [`Disk::run`], one
/// [`Disk::compact`].
pub struct Disk {
    pub(crate) log: Log,
    // Locked for one record, or a few of compaction: the order of the log is the order of locks.
    pub(crate) state: Mutex<State>,
    pub(crate) open: Memory,
}

pub(crate) struct State {
    pub image: Image,
    /// Nothing in the oldest segment lives, once all up to here is committed.
    pub emptied: Option<Position>,
    scratch: Vec<u8>,
}

impl State {
    pub fn parts(&mut self) -> (&mut Image, &mut Vec<u8>) {
        (&mut self.image, &mut self.scratch)
    }
}

/// A scratch that grew above this is given back.
const SCRATCH_MAX: usize = 1024 * 1024;

impl Disk {
    /// Opens a store, or begins one in an empty directory; `progress` is told how far reading has
    /// come.
    ///
    /// # Errors
    /// What the log says, or a record that this version does not understand.
    pub fn open(
        files: Arc<dyn Files>,
        options: Options,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, OpenError> {
        let mut image = Image {
            keep_unreferenced: true,
            ..Image::default()
        };
        let mut scratch = Vec::new();
        let log = Log::open(
            files,
            options,
            &mut |segment, record| read(&mut image, segment, record, &mut scratch),
            progress,
        )?;
        image.complete().map_err(|why| OpenError::Damaged {
            file: format!("segment {:016x}.log", log.segments().1),
            offset: 0,
            why,
        })?;
        Ok(Disk {
            log,
            state: Mutex::new(State {
                image,
                emptied: None,
                scratch: Vec::new(),
            }),
            open: Memory::default(),
        })
    }

    /// Writes what is recorded until [`Disk::close`]: the work of a thread.
    ///
    /// # Errors
    /// The disk failed to sync: nobody knows what it holds, and the process must end.
    pub fn run(&self) -> Result<(), CommitError> {
        self.log.run()
    }

    /// Writes and syncs what is recorded, once; for those that have no thread for it.
    ///
    /// # Errors
    /// As [`Disk::run`].
    pub fn commit(&self) -> Result<bool, CommitError> {
        self.log.commit()
    }

    /// Commits what is recorded and ends [`Disk::run`].
    pub fn close(&self) {
        self.log.close();
    }

    /// Why there is no room, if there is none: nothing more should be taken until there is.
    pub fn full(&self) -> Option<String> {
        self.log.full()
    }

    /// Bytes of the files, and of what lives in them.
    pub fn bytes(&self) -> (u64, u64) {
        (self.log.bytes(), self.state.lock().image.live_bytes)
    }

    /// How many files there are.
    pub fn segments(&self) -> u64 {
        let (oldest, newest) = self.log.segments();
        newest - oldest + 1
    }

    /// Messages stored, each counted once however many queues it is in.
    pub fn messages(&self) -> u64 {
        self.state.lock().image.messages.len() as u64
    }

    /// Bytes recorded and not yet committed.
    pub fn waiting_bytes(&self) -> u64 {
        self.log.buffered_bytes() as u64
    }

    /// What opening found in the log.
    pub fn found(&self) -> &Found {
        self.log.found()
    }

    /// What the log has done so far.
    pub fn counts(&self) -> Counts {
        self.log.counts()
    }
}

/// Every step of a record.
pub(crate) fn read(
    image: &mut Image,
    segment: u64,
    record: &[u8],
    scratch: &mut Vec<u8>,
) -> Result<(), String> {
    let mut reader = Reader(record);
    while !reader.is_empty() {
        let step = Step::read(&mut reader, scratch).map_err(|corrupt| corrupt.to_string())?;
        image.apply(step, segment);
    }
    Ok(())
}

impl Store for Disk {
    fn attach(&self, client_id: &str) -> Reply<Result<Option<SessionState>, StoreError>> {
        self.open.attach(client_id)
    }

    fn detach(&self, client_id: &str, state: SessionState) -> Reply<Result<(), StoreError>> {
        self.open.detach(client_id, state)
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn stuck(&self) -> Option<StoreError> {
        let what = self.log.stuck()?;
        Some(StoreError { what })
    }

    fn record(&self, changes: &[Change<'_>], urgency: Urgency) -> Commit {
        let mut state = self.state.lock();
        let (image, scratch) = state.parts();
        scratch.clear();
        let mut steps = Vec::with_capacity(changes.len());
        for change in changes {
            steps.push(Planned::of(change, image));
        }
        for step in &steps {
            step.put(scratch);
        }
        let appended = self.log.append(scratch, urgency_of(urgency));
        for step in steps {
            step.apply(image, appended.segment);
        }
        if scratch.capacity() > SCRATCH_MAX {
            *scratch = Vec::new();
        }
        Commit(appended.position.0)
    }

    fn recorded(&self) -> Commit {
        Commit(self.log.appended().0)
    }

    fn committed(&self) -> Commit {
        Commit(self.log.committed().0)
    }

    fn wake_at(&self, commit: Commit, waker: &Waker) -> bool {
        self.log.wake_at(Position(commit.0), waker)
    }
}

fn urgency_of(urgency: Urgency) -> dunlin_log::Urgency {
    match urgency {
        Urgency::Now => dunlin_log::Urgency::Now,
        Urgency::Later => dunlin_log::Urgency::Later,
    }
}

/// A change on its way into the log.
enum Planned<'a> {
    New {
        number: u64,
        message: &'a Message,
        retained: Retained,
        queued: &'a [Queued],
    },
    Known {
        number: u64,
        queued: &'a [Queued],
    },
    Step(Step),
}

impl<'a> Planned<'a> {
    fn of(change: &Change<'a>, image: &mut Image) -> Self {
        let Change::Published {
            message,
            retained,
            queued,
        } = *change
        else {
            return Planned::Step(step(change));
        };
        let known = message.stored_as().map(NonZeroU64::get);
        let known = known.filter(|number| image.messages.contains_key(number));
        if let Some(number) = known
            && retained == Retained::Untouched
        {
            return Planned::Known { number, queued };
        }
        image.last_message += 1;
        let number = NonZeroU64::new(image.last_message).unwrap_or(NonZeroU64::MIN);
        message.set_stored_as(number);
        Planned::New {
            number: number.get(),
            message,
            retained,
            queued,
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        let each = |queued: &'a [Queued]| queued.iter().map(|one| (one.session, &one.delivery));
        match self {
            Planned::New {
                number,
                message,
                retained,
                queued,
            } => put_published(out, *number, message, *retained, each(queued)),
            Planned::Known { number, queued } => put_more_queued(out, *number, each(queued)),
            Planned::Step(step) => step.put(out),
        }
    }

    fn apply(self, image: &mut Image, segment: u64) {
        let each = |queued: &'a [Queued]| {
            let entry = |one: &Queued| (one.session, Entry::of(&one.delivery));
            queued.iter().map(entry)
        };
        match self {
            Planned::New {
                number,
                message,
                retained,
                queued,
            } => image.published(number, message, retained, segment, each(queued)),
            Planned::Known { queued, .. } => image.queued(each(queued)),
            Planned::Step(step) => image.apply(step, segment),
        }
    }
}

/// A change other than of messages.
fn step(change: &Change<'_>) -> Step {
    match *change {
        Change::Began {
            session,
            client_id,
            terms,
        } => Step::Began {
            session,
            client_id: client_id.into(),
            expiry: terms.expiry,
            will: terms.will.cloned().map(Box::new),
        },
        Change::Resumed { session, terms } => Step::Resumed {
            session,
            expiry: terms.expiry,
            will: terms.will.cloned().map(Box::new),
        },
        Change::Left {
            session,
            at,
            expiry,
            will,
        } => Step::Left {
            session,
            at,
            expiry,
            will,
        },
        Change::Ended { session } => Step::Ended { session },
        Change::Subscribed {
            session,
            filter,
            options,
            identifier,
        } => Step::Subscribed {
            session,
            filter: filter.into(),
            subscribed: Subscribed {
                options,
                identifier,
            },
        },
        Change::Unsubscribed { session, filter } => Step::Unsubscribed {
            session,
            filter: filter.into(),
        },
        // Planned otherwise.
        Change::Published { .. } => Step::Queued { queued: Vec::new() },
        Change::RetainedGone { topic } => Step::RetainedGone {
            topic: topic.into(),
        },
        Change::Received { session, packet_id } => Step::Received { session, packet_id },
        Change::Released { session, packet_id } => Step::Released { session, packet_id },
        Change::Sent {
            session,
            delivery,
            packet_id,
        } => Step::Sent {
            session,
            which: Which::of(delivery),
            packet_id,
        },
        Change::Taken { session, packet_id } => Step::Taken { session, packet_id },
        Change::Completed { session, packet_id } => Step::Completed { session, packet_id },
        Change::Removed { session, delivery } => Step::Removed {
            session,
            which: Which::of(delivery),
        },
        Change::WillDone { session } => Step::WillDone { session },
    }
}
