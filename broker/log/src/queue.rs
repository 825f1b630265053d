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

impl Batch {
    /// A batch without records, in memory that was used before.
    fn open(position: u64, segment: u64, mut frame: Vec<u8>) -> Self {
        frame.clear();
        frame.resize(HEADER_BYTES as usize, 0);
        Batch {
            position,
            segment,
            records: 0,
            frame,
        }
    }
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
    /// Batches whose segment is full, and so closed.
    closed_batches: VecDeque<Batch>,
    /// Takes the next record; counts as there once it has one.
    open: Batch,
    /// Where the segment of the open batch will end once all is written.
    segment_end: u64,
    max_segment_bytes: u64,
    /// Bytes of all batches not yet committed, the one that is being written included.
    bytes: usize,
    max_bytes: usize,
    /// Somebody waits for the batches up to this one.
    urgent: u64,
    /// The memory of a batch that was committed.
    spare: Vec<u8>,
    pub sleep: Sleep,
    /// A committer runs, so waiting for room makes sense.
    pub running: bool,
    /// The committer is to end.
    pub closed: bool,
    /// Nothing will be committed any more.
    failed: bool,
}

impl Queue {
    /// An empty queue, whose first record becomes part of batch `next` at the given end of a segment.
    pub fn new(next: u64, (segment, segment_end): (u64, u64), options: &Options) -> Self {
        Queue {
            closed_batches: VecDeque::new(),
            open: Batch::open(next, segment, Vec::new()),
            segment_end,
            max_segment_bytes: options.segment_bytes,
            bytes: 0,
            max_bytes: options.buffer_bytes,
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
        if !self.failed {
            self.add(record);
        }
        let wakes = match urgency {
            Urgency::Now => {
                self.urgent = self.open.position;
                self.sleep != Sleep::Awake
            }
            Urgency::Later => self.sleep == Sleep::Deep,
        };
        let position = Position(self.open.position);
        let segment = self.open.segment;
        (Appended { position, segment }, wakes)
    }

    fn add(&mut self, record: &[u8]) {
        let header = |open: &Batch| if open.records == 0 { HEADER_BYTES } else { 0 };
        let bytes = record_bytes(record) as u64;
        let end = self.segment_end + header(&self.open) + bytes;
        if end > self.max_segment_bytes && self.segment_end > HEADER_BYTES {
            if self.open.records > 0 {
                let full = self.next_batch();
                self.closed_batches.push_back(full);
            }
            self.open.segment += 1;
            self.segment_end = HEADER_BYTES;
        }
        let bytes = header(&self.open) + bytes;
        self.segment_end += bytes;
        self.bytes += bytes as usize;
        push_record(&mut self.open.frame, record);
        self.open.records += 1;
    }

    /// Puts an empty batch in place of the open one.
    fn next_batch(&mut self) -> Batch {
        let memory = std::mem::take(&mut self.spare);
        let next = Batch::open(self.open.position + 1, self.open.segment, memory);
        std::mem::replace(&mut self.open, next)
    }

    /// Makes everything that is here urgent.
    pub fn urge(&mut self) {
        self.urgent = self.open.position;
    }

    /// Whether somebody waits for the batch that comes next.
    pub fn is_urgent(&self) -> bool {
        let next = self.closed_batches.front().unwrap_or(&self.open);
        next.records > 0 && next.position <= self.urgent
    }

    pub fn is_empty(&self) -> bool {
        self.closed_batches.is_empty() && self.open.records == 0
    }

    /// The batch to write next; appends go to another one from here on.
    pub fn take(&mut self) -> Option<Batch> {
        let closed = self.closed_batches.pop_front();
        closed.or_else(|| (self.open.records > 0).then(|| self.next_batch()))
    }

    /// A batch that was taken is committed.
    pub fn done(&mut self, batch: Batch) {
        self.bytes -= batch.frame.len();
        if batch.frame.capacity() <= SPARE_BYTES {
            self.spare = batch.frame;
        }
    }

    /// Nothing will be committed any more: forgets what waits.
    pub fn fail(&mut self) {
        self.failed = true;
        self.closed_batches.clear();
        self.next_batch();
    }

    /// Bytes appended and not yet committed.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
