//! Writing segments: batches one after the other, each synced before the next.

use std::io;
use std::sync::Arc;

use crate::counts::Counters;
use crate::disk::{Disk, DiskFile, SyncPoint, no_room};
use crate::error::{CommitError, OpenError};
use crate::format::{Frame, HEADER_BYTES, SegmentHeader, file_name, tag};
use crate::options::{Durability, Options};
use crate::queue::Batch;
use crate::recovery::{Recovered, Tail};
use crate::segments::Segments;

/// Room is taken by so much at once, so that a full disk shows before a write and not at a sync, and
/// a sync seldom has more to write than bytes.
const RESERVE_BYTES: u64 = 1 << 20;

/// Of it, what is kept for the note of [`Writer::drop_before`]: dropping works on a full disk.
const NOTE_ROOM_BYTES: u64 = 4096;

/// Why something was not written.
pub(crate) enum WriteError {
    /// There is no room; the same can be tried again.
    NoRoom(CommitError),
    /// The disk failed.
    Failed(CommitError),
}

impl From<WriteError> for OpenError {
    fn from(error: WriteError) -> Self {
        let (WriteError::NoRoom(error) | WriteError::Failed(error)) = error;
        OpenError::Disk {
            doing: error.doing,
            error: io::Error::new(error.error.kind(), error.error),
        }
    }
}

/// The end of the log.
pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    counters: Arc<Counters>,
    segments: Arc<Segments>,
    options: Options,
    current: Current,
    /// Of the last batch.
    position: u64,
    /// The oldest segment that counts.
    oldest: u64,
}

/// The segment that is being written.
struct Current {
    file: Box<dyn DiskFile>,
    header: SegmentHeader,
    /// Where the next frame goes.
    end: u64,
    /// Up to here the segment is synced.
    synced: u64,
    /// Up to here there is room.
    reserved: u64,
}

impl Writer {
    /// Goes on where recovery found the end, or begins the first segment.
    pub fn resume(
        disk: Arc<dyn Disk>,
        options: &Options,
        recovered: Recovered,
        counters: Arc<Counters>,
    ) -> Result<Self, WriteError> {
        let segments = Arc::new(Segments::new(recovered.segments));
        let (position, oldest) = recovered
            .tail
            .as_ref()
            .map_or((0, 1), |tail| (tail.position, tail.oldest));
        let current = match recovered.tail {
            Some(tail) => settle(&*disk, tail, &counters)?,
            None => {
                let tag = tag(options.seed, 1);
                let header = SegmentHeader {
                    segment: 1,
                    first: 1,
                    oldest: 1,
                    tag,
                };
                create(&*disk, header, &counters, &segments)?
            }
        };
        // Not earlier: the note that they are dropped has to be durable first.
        for name in &recovered.found.leftovers {
            disk.remove(name)
                .map_err(|error| failed("removing", name, error))?;
        }
        Ok(Writer {
            disk,
            counters,
            segments,
            options: options.clone(),
            current,
            position,
            oldest,
        })
    }

    pub fn segments(&self) -> &Arc<Segments> {
        &self.segments
    }

    /// The last batch.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The segment that is being written, and its bytes.
    pub fn end(&self) -> (u64, u64) {
        (self.current.header.segment, self.current.end)
    }

    /// Writes a batch where the log ends, and syncs it unless the system may take its time.
    ///
    /// When there was no room, the same batch can be given again.
    pub fn write(&mut self, batch: &mut Batch) -> Result<(), WriteError> {
        if batch.segment != self.current.header.segment {
            self.switch(batch.segment)?;
        }
        let (header, body) = batch.frame.split_at_mut(HEADER_BYTES as usize);
        let frame = Frame::around(
            body,
            batch.records,
            batch.position,
            self.current.synced,
            self.oldest,
        );
        header.copy_from_slice(&frame.encode(self.current.header.tag));
        self.put(&batch.frame, NOTE_ROOM_BYTES)?;
        if self.options.durability == Durability::Fsync {
            self.current.sync(SyncPoint::Batch, &self.counters)?;
        }
        self.position = batch.position;
        self.counters.committed(batch.records);
        Ok(())
    }

    /// Notes, durably, that segments before `oldest` do not count any more.
    pub fn drop_before(&mut self, oldest: u64) -> Result<(), WriteError> {
        let note = Frame::around(&[], 0, self.position, self.current.synced, oldest);
        self.put(&note.encode(self.current.header.tag), 0)?;
        self.current.sync(SyncPoint::Dropping, &self.counters)?;
        self.oldest = oldest;
        Ok(())
    }

    /// Writes a frame, and leaves so much room after it.
    fn put(&mut self, frame: &[u8], leave: u64) -> Result<(), WriteError> {
        let current = &mut self.current;
        let name = current.name();
        let bytes = frame.len() as u64;
        let room = current.end + bytes + leave;
        if room > current.reserved {
            let segment = room.max(self.options.segment_bytes + NOTE_ROOM_BYTES);
            let reserve = room.next_multiple_of(RESERVE_BYTES).min(segment);
            current
                .file
                .reserve(reserve)
                .map_err(|error| failed("taking room for", &name, error))?;
            current.reserved = reserve;
        }
        current
            .file
            .write_at(current.end, frame)
            .map_err(|error| failed("writing", &name, error))?;
        current.end += bytes;
        self.segments.grew(current.header.segment, bytes);
        self.counters.wrote(bytes);
        Ok(())
    }

    /// Goes on in another segment, once all of this one is synced.
    fn switch(&mut self, segment: u64) -> Result<(), WriteError> {
        if self.current.synced < self.current.end {
            self.current.sync(SyncPoint::Finished, &self.counters)?;
        }
        let header = SegmentHeader {
            segment,
            first: self.position + 1,
            oldest: self.oldest,
            tag: tag(self.options.seed, segment),
        };
        let next = create(&*self.disk, header, &self.counters, &self.segments)?;
        // Not earlier: while there is no room for another segment, notes go into this one.
        std::mem::replace(&mut self.current, next).give_back()
    }
}

impl Current {
    fn name(&self) -> String {
        file_name(self.header.segment)
    }

    fn sync(&mut self, point: SyncPoint, counters: &Counters) -> Result<(), WriteError> {
        self.file
            .sync(point)
            .map_err(|error| sync_failed(&self.name(), error))?;
        self.synced = self.end;
        counters.synced();
        Ok(())
    }

    /// Cuts what lies beyond the end: room that was taken, or the remains of a torn write.
    fn give_back(&mut self) -> Result<(), WriteError> {
        self.reserved = 0;
        self.file
            .set_len(self.end)
            .map_err(|error| failed("cutting", &self.name(), error))
    }
}

/// Makes durable what recovery found, which may be in the system's cache alone.
fn settle(disk: &dyn Disk, tail: Tail, counters: &Counters) -> Result<Current, WriteError> {
    let mut current = Current {
        file: tail.file,
        header: tail.header,
        end: tail.end,
        synced: 0,
        reserved: 0,
    };
    current.give_back()?;
    current.sync(SyncPoint::Recovered, counters)?;
    sync_names(disk, SyncPoint::RecoveredNames, counters)?;
    Ok(current)
}

/// Begins a segment.
fn create(
    disk: &dyn Disk,
    header: SegmentHeader,
    counters: &Counters,
    segments: &Segments,
) -> Result<Current, WriteError> {
    let name = file_name(header.segment);
    let creating = |error| failed("creating", &name, error);
    let file = match disk.create(&name) {
        // An earlier try, which found no room or was cut short by a crash.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.open(&name).map_err(creating)?
        }
        result => result.map_err(creating)?,
    };
    file.write_at(0, &header.encode()).map_err(creating)?;
    let mut current = Current {
        file,
        header,
        end: HEADER_BYTES,
        synced: 0,
        reserved: 0,
    };
    current.sync(SyncPoint::Header, counters)?;
    sync_names(disk, SyncPoint::Created, counters)?;
    segments.grew(header.segment, HEADER_BYTES);
    counters.wrote(HEADER_BYTES);
    Ok(current)
}

fn sync_names(disk: &dyn Disk, point: SyncPoint, counters: &Counters) -> Result<(), WriteError> {
    disk.sync_names(point)
        .map_err(|error| sync_failed("the directory", error))?;
    counters.synced();
    Ok(())
}

fn failed(doing: &str, name: &str, error: io::Error) -> WriteError {
    let full = no_room(&error);
    let error = CommitError::new(format!("{doing} {name}"), error);
    if full {
        WriteError::NoRoom(error)
    } else {
        WriteError::Failed(error)
    }
}

/// What a failed sync leaves on disk nobody knows: even for want of room there is no second try.
fn sync_failed(name: &str, error: io::Error) -> WriteError {
    WriteError::Failed(CommitError::new(format!("syncing {name}"), error))
}
