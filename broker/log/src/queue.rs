//! What was appended and is not yet written: a queue of batches, the last of them open.

use std::collections::VecDeque;

use crate::format::{HEADER_BYTES, push_record, record_bytes};
use crate::options::Options;

/// The number of a batch: all records of a batch become durable together. 0 is before everything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Position(pub u64);

/// Where a record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Once [`Log::committed`](crate::Log::committed) has reached it, the record is durable.
    pub position: Position,
    /// The segment that the record lies in.
    pub segment: u64,
}

/// Whether somebody waits for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Commit as soon as the disk is free.
    Now,
    /// Commit with what comes next, or after 100 ms.
    Later,
}

/// Records that are written and synced together.
pub(crate) struct Batch {
    pub position: u64,
    pub segment: u64,
    pub records: u32,
    /// The frame: its header is filled in when it is written.
    pub frame: Vec<u8>,
}

/// How the committer sleeps, and so what wakes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sleep {
    /// It is at work and will look again.
    Awake,
    /// Until something urgent comes, or its time is up.
    Light,
    /// There is nothing to do: until anything comes.
    Deep,
}

/// Kept memory of a written batch, for the next one.
const SPARE_BYTES: usize = 1 << 20;

pub(crate) struct Queue {
    batches: VecDeque<Batch>,
    /// Bytes of all batches not yet committed, the one that is being written included.
    bytes: usize,
    max_bytes: usize,
    next: u64,
    segment: u64,
    /// Where the segment will end once all is written.
    segment_end: u64,
    max_segment_bytes: u64,
    urgent: u64,
    spare: Vec<u8>,
    pub sleep: Sleep,
    /// A committer runs, so waiting for room makes sense.
    pub running: bool,
    pub closed: bool,
    /// Nothing will be committed any more.
    pub failed: bool,
}

impl Queue {
    /// An empty queue, whose first record becomes part of batch `next` at the given end of a segment.
    pub fn new(next: u64, (segment, segment_end): (u64, u64), options: &Options) -> Self {
        Queue {
            batches: VecDeque::new(),
            bytes: 0,
            max_bytes: options.buffer_bytes,
            next,
            segment,
            segment_end,
            max_segment_bytes: options.segment_bytes,
            urgent: 0,
            spare: Vec::new(),
            sleep: Sleep::Awake,
            running: false,
            closed: false,
            failed: false,
        }
    }

    /// Whether an append has to wait until the committer has written.
    pub fn is_full(&self) -> bool {
        self.bytes >= self.max_bytes && self.running && !self.failed
    }

    /// Adds a record to the open batch; whether the committer is to be woken.
    pub fn push(&mut self, record: &[u8], urgency: Urgency) -> (Appended, bool) {
        if self.failed {
            let position = Position(self.next);
            let segment = self.segment;
            return (Appended { position, segment }, false);
        }
        self.make_room(record_bytes(record));
        let Some(batch) = self.batches.back_mut() else {
            unreachable!("make_room leaves an open batch");
        };
        push_record(&mut batch.frame, record);
        batch.records += 1;
        let appended = Appended {
            position: Position(batch.position),
            segment: batch.segment,
        };
        self.bytes += record_bytes(record);
        self.segment_end += record_bytes(record) as u64;
        let wakes = match urgency {
            Urgency::Now => {
                self.urgent = appended.position.0;
                self.sleep != Sleep::Awake
            }
            Urgency::Later => self.sleep == Sleep::Deep,
        };
        (appended, wakes)
    }

    /// Opens a batch, in the next segment if need be, unless there is one with room.
    fn make_room(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        let opening = self.batches.is_empty();
        let end = self.segment_end + bytes + if opening { HEADER_BYTES } else { 0 };
        if end > self.max_segment_bytes && self.segment_end > HEADER_BYTES {
            self.segment += 1;
            self.segment_end = HEADER_BYTES;
            self.open_batch();
        } else if opening {
            self.open_batch();
        }
    }

    fn open_batch(&mut self) {
        let mut frame = std::mem::take(&mut self.spare);
        frame.resize(HEADER_BYTES as usize, 0);
        self.batches.push_back(Batch {
            position: self.next,
            segment: self.segment,
            records: 0,
            frame,
        });
        self.next += 1;
        self.segment_end += HEADER_BYTES;
        self.bytes += HEADER_BYTES as usize;
    }

    /// Makes everything that is here urgent.
    pub fn urge(&mut self) {
        self.urgent = self.next - 1;
    }

    /// Whether somebody waits for the batch that comes next.
    pub fn is_urgent(&self) -> bool {
        self.batches
            .front()
            .is_some_and(|batch| batch.position <= self.urgent)
    }

    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// The batch to write next; appends go to another one from here on.
    pub fn take(&mut self) -> Option<Batch> {
        self.batches.pop_front()
    }

    /// A batch that was taken is committed.
    pub fn done(&mut self, mut batch: Batch) {
        self.bytes -= batch.frame.len();
        if batch.frame.capacity() <= SPARE_BYTES {
            batch.frame.clear();
            self.spare = batch.frame;
        }
    }

    /// Nothing will be committed any more: forgets what waits.
    pub fn fail(&mut self) {
        self.failed = true;
        self.batches.clear();
    }

    /// Bytes appended and not yet committed.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
