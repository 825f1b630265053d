//! The log: appending, committing, and waiting for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use parking_lot::{Condvar, Mutex};

use crate::counts::{Counters, Counts};
use crate::disk::Disk;
use crate::error::{CommitError, OpenError};
use crate::format::{MAX_RECORD_BYTES, file_name};
use crate::options::{MAX_SEGMENT_BYTES, Options};
use crate::queue::{Appended, Batch, Position, Queue, Urgency};
use crate::recovery::{self, Found, Progress, Replay};
use crate::segments::Segments;
use crate::space::Space;
use crate::waiting::Waiting;
use crate::writer::{WriteError, Writer};

/// A log on a disk. All methods can be called from any thread.
pub struct Log {
    disk: Arc<dyn Disk>,
    low_space_bytes: u64,
    found: Found,
    // Held to copy one record in, or to take a batch out.
    pub(crate) queue: Mutex<Queue>,
    /// Wakes the committer.
    pub(crate) work: Condvar,
    /// Wakes those whose append waits.
    room: Condvar,
    appended: AtomicU64,
    // Held while a batch is written and synced: one at a time, in order.
    committer: Mutex<Committer>,
    waiting: Waiting,
    space: Space,
    segments: Arc<Segments>,
    counters: Arc<Counters>,
    // Held while segments are removed.
    dropping: Mutex<()>,
}

struct Committer {
    writer: Writer,
    /// A batch for which there was no room.
    unwritten: Option<Batch>,
    failed: Option<CommitError>,
}

/// What became of a commit.
pub(crate) enum Outcome {
    Nothing,
    Written,
    NoRoom,
}

impl Log {
    /// Opens the log on a disk, or begins one: calls `replay` with each record that is there and the
    /// number of its segment, in the order of the appends, and `progress` every 4 MiB and at the end.
    ///
    /// A write that a crash had cut short is removed; see [`Log::found`]. Memory: the largest batch
    /// on disk, at least 1 MiB. What was found is synced before this returns, so that nobody answers
    /// for records that only the system's cache holds.
    ///
    /// # Errors
    /// See [`OpenError`]. An error of `replay` is handed on, with its place.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        replay: Replay<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Log, OpenError> {
        if options.segment_bytes > MAX_SEGMENT_BYTES {
            return Err(OpenError::SegmentBytes(options.segment_bytes));
        }
        let recovered = recovery::read(&*disk, replay, progress)?;
        let found = recovered.found.clone();
        let counters = Arc::new(Counters::default());
        let writer = Writer::resume(disk.clone(), &options, recovered, counters.clone())?;
        let position = writer.position();
        let log = Log {
            disk,
            low_space_bytes: options.low_space_bytes,
            found,
            queue: Mutex::new(Queue::new(position + 1, writer.end(), &options)),
            work: Condvar::new(),
            room: Condvar::new(),
            appended: AtomicU64::new(position),
            waiting: Waiting::new(position),
            space: Space::default(),
            segments: writer.segments().clone(),
            counters,
            committer: Mutex::new(Committer {
                writer,
                unwritten: None,
                failed: None,
            }),
            dropping: Mutex::new(()),
        };
        log.check_space();
        Ok(log)
    }

    /// What opening found.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Adds a record. It is durable once [`Log::committed`] has reached its position.
    ///
    /// While [`Log::run`] is running and [`Options::buffer_bytes`] wait to be committed, this waits
    /// too; see [`Log::buffered_bytes`]. Otherwise what is appended stays in memory without bound.
    /// After a failed commit the record is forgotten, and its position never committed.
    ///
    /// # Panics
    /// If the record has more than [`MAX_RECORD_BYTES`].
    pub fn append(&self, record: &[u8], urgency: Urgency) -> Appended {
        assert!(
            record.len() <= MAX_RECORD_BYTES,
            "a record of {} bytes",
            record.len()
        );
        let mut queue = self.queue.lock();
        while queue.is_full() {
            queue.urge();
            self.work.notify_one();
            self.room.wait(&mut queue);
        }
        let (appended, wakes) = queue.push(record, urgency);
        self.appended.store(appended.position.0, Ordering::Release);
        drop(queue);
        if wakes {
            self.work.notify_one();
        }
        appended
    }

    /// The position of the last record that was appended.
    pub fn appended(&self) -> Position {
        Position(self.appended.load(Ordering::Acquire))
    }

    /// Everything up to this position is durable.
    pub fn committed(&self) -> Position {
        Position(self.waiting.committed())
    }

    /// Bytes appended and not yet committed.
    pub fn buffered_bytes(&self) -> usize {
        self.queue.lock().bytes()
    }

    /// Wakes once when `position` is committed. False if it is already: the waker is not kept.
    ///
    /// Each call adds a waker: a task that is polled again for another reason has to remember what
    /// it registered for. After a failed commit nobody is woken.
    pub fn wake_at(&self, position: Position, waker: &Waker) -> bool {
        self.waiting.wake_at(position.0, waker)
    }

    /// Writes and syncs one batch, if there is one: whether it did. False also when there is no room
    /// on the disk, see [`Log::full`]; the same batch is then written at the next call.
    ///
    /// # Errors
    /// The disk failed, now or earlier: the process has to end.
    pub fn commit(&self) -> Result<bool, CommitError> {
        Ok(matches!(self.commit_next()?, Outcome::Written))
    }

    /// Commits what is appended until [`Log::close`]: the body of the committer's thread.
    ///
    /// # Errors
    /// The disk failed: the process has to end, for nothing is acknowledged any more. Or there was
    /// no room for what was left at the end.
    pub fn run(&self) -> Result<(), CommitError> {
        self.queue.lock().running = true;
        let result = self.commit_until_closed();
        self.queue.lock().running = false;
        self.room.notify_all();
        result
    }

    /// Lets [`Log::run`] commit what is there, and return.
    pub fn close(&self) {
        self.queue.lock().closed = true;
        self.work.notify_all();
    }

    /// Why nothing more should be appended than has to be: there is no room on the disk, or less
    /// than [`Options::low_space_bytes`]. None when all is well, and then it costs one atomic load.
    ///
    /// What was appended is not lost: it is written once there is room again, which `run` finds out
    /// by itself within a second.
    pub fn full(&self) -> Option<String> {
        self.space.reason()
    }

    /// Why nothing is committed for now: of what [`Log::full`] says, the want of any room at all.
    pub fn stuck(&self) -> Option<String> {
        self.space.unwritten()
    }

    /// Whether [`Log::full`] has something to say.
    pub fn is_full(&self) -> bool {
        self.space.is_full()
    }

    /// The oldest segment on disk, and the newest, which is being written.
    pub fn segments(&self) -> (u64, u64) {
        self.segments.ends()
    }

    /// Bytes of all segments on disk, without the at most 1 MiB that is taken ahead.
    pub fn bytes(&self) -> u64 {
        self.segments.bytes()
    }

    /// Removes the segments before `segment`. The caller has appended again what still lives in
    /// them, and seen it committed.
    ///
    /// Takes one sync during which no batch is committed, and then removes files, oldest first,
    /// beside whatever is committed meanwhile. The removals are not synced: a file that a crash
    /// brings back is known to be dropped, and removed when the log is opened.
    ///
    /// # Errors
    /// `segment` is newer than the newest, or the disk failed, or has no room for the note of 48
    /// bytes that comes before the removals. Can be called again.
    pub fn drop_before(&self, segment: u64) -> io::Result<()> {
        let _alone = self.dropping.lock();
        let segments = self.segments.before(segment);
        if segments.is_empty() {
            return Ok(());
        }
        if segment > self.segments.ends().1 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the newest segment cannot be dropped",
            ));
        }
        self.note_dropped(segment)?;
        for number in segments {
            self.disk.remove(&file_name(number))?;
            self.segments.removed(number);
        }
        Ok(())
    }

    /// What the log has done.
    pub fn counts(&self) -> Counts {
        self.counters.read()
    }

    fn note_dropped(&self, segment: u64) -> io::Result<()> {
        let mut committer = self.committer.lock();
        committer.check().map_err(into_io)?;
        match committer.writer.drop_before(segment) {
            Ok(()) => Ok(()),
            Err(WriteError::NoRoom(error)) => Err(into_io(error)),
            Err(WriteError::Failed(error)) => Err(into_io(self.fail(&mut committer, error))),
        }
    }

    /// Writes the next batch, urgent or not.
    pub(crate) fn commit_next(&self) -> Result<Outcome, CommitError> {
        let mut committer = self.committer.lock();
        committer.check()?;
        let Some(mut batch) = committer
            .unwritten
            .take()
            .or_else(|| self.queue.lock().take())
        else {
            return Ok(Outcome::Nothing);
        };
        let segment = committer.writer.end().0;
        match committer.writer.write(&mut batch) {
            Ok(()) => {}
            Err(WriteError::NoRoom(error)) => {
                committer.unwritten = Some(batch);
                let why = format!("{}: {}: free some space there", error.doing, error.error);
                self.space.write(Some(why));
                return Ok(Outcome::NoRoom);
            }
            Err(WriteError::Failed(error)) => return Err(self.fail(&mut committer, error)),
        }
        self.space.write(None);
        let new_segment = committer.writer.end().0 != segment;
        drop(committer);
        if new_segment {
            self.check_space();
        }
        let position = batch.position;
        self.queue.lock().done(batch);
        self.room.notify_all();
        self.waiting.commit(position);
        Ok(Outcome::Written)
    }

    /// Nothing will be committed any more.
    fn fail(&self, committer: &mut Committer, error: CommitError) -> CommitError {
        committer.failed = Some(error.clone());
        self.queue.lock().fail();
        self.room.notify_all();
        error
    }

    /// Looks whether enough is free.
    pub(crate) fn check_space(&self) {
        let low = self.low_space_bytes;
        self.space.watermark(match self.disk.free_bytes() {
            Ok(free) if free >= low => None,
            Ok(free) => Some(format!(
                "{free} bytes are free on the disk and {low} are wanted: free some space there"
            )),
            Err(error) => Some(format!("cannot tell how much is free on the disk: {error}")),
        });
    }
}

fn into_io(error: CommitError) -> io::Error {
    io::Error::new(error.io().kind(), error)
}

impl Committer {
    fn check(&self) -> Result<(), CommitError> {
        self.failed.clone().map_or(Ok(()), Err)
    }
}
