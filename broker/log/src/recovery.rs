//! From the bytes on disk back to records.
//!
//! The last segment says where the log ends and from which segment on it counts; then everything is
//! read in order. Nothing is changed before all of it was found good.
//!
//! Where the last segment stops being valid there is either a torn write, which is cut, or damage,
//! which is an error. A frame further on decides: it says how much was synced before it was written.

use std::collections::BTreeMap;

use crate::disk::{Disk, DiskFile};
use crate::error::OpenError;
use crate::format::{SegmentHeader, file_name, segment_of, split_records};
use crate::segment::{Segment, damaged, reading};

/// How far reading has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read.
    pub bytes: u64,
    /// Of so many.
    pub total: u64,
    /// Records found.
    pub records: u64,
}

/// Progress is told this often.
const PROGRESS_BYTES: u64 = 4 << 20;

/// What was found in a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The oldest and the newest segment; 0 in an empty directory.
    pub segments: (u64, u64),
    /// Records in them.
    pub records: u64,
    /// Bytes of their files, what is torn included.
    pub bytes: u64,
    /// A write that a crash had cut short; it was never committed.
    pub torn: Option<Torn>,
    /// Files without meaning, which opening removes: segments that were dropped, and one whose
    /// creation a crash had cut short.
    pub leftovers: Vec<String>,
}

/// The remains of a write that was cut short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub file: String,
    /// Where they begin.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Is given each record and the number of its segment; an error ends the reading.
pub type Replay<'a> = &'a mut dyn FnMut(u64, &[u8]) -> Result<(), String>;

/// Reads a log and changes nothing: gives every record to `replay` as [`Log::open`](crate::Log::open)
/// would.
///
/// # Errors
/// Those of `open`.
pub fn inspect(
    disk: &dyn Disk,
    replay: Replay<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Found, OpenError> {
    Ok(read(disk, replay, progress)?.found)
}

/// A log as it was read.
pub(crate) struct Recovered {
    pub found: Found,
    /// Bytes of each segment that counts, without what is torn.
    pub segments: BTreeMap<u64, u64>,
    /// None in a directory without segments.
    pub tail: Option<Tail>,
}

/// Where a log goes on.
pub(crate) struct Tail {
    pub file: Box<dyn DiskFile>,
    pub header: SegmentHeader,
    pub end: u64,
    pub position: u64,
    pub oldest: u64,
}

pub(crate) fn read(
    disk: &dyn Disk,
    replay: Replay<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Recovered, OpenError> {
    let mut numbers = numbers(disk)?;
    let mut found = Found::default();
    let mut segments = BTreeMap::new();
    let tail = find_tail(disk, &mut numbers, &mut found)?;
    if let Some(tail) = &tail {
        let last = tail.header.segment;
        found.leftovers.extend(
            numbers
                .iter()
                .filter(|&&number| number < tail.oldest)
                .map(|&number| file_name(number)),
        );
        found.segments = (tail.oldest, last);
        if let Some(missing) =
            (tail.oldest..=last).find(|number| numbers.binary_search(number).is_err())
        {
            let file = file_name(missing);
            return Err(OpenError::Missing { file });
        }
        for number in tail.oldest..=last {
            let bytes = open(disk, number)?
                .len()
                .map_err(|error| reading(number, error))?;
            segments.insert(number, bytes);
        }
        found.bytes = segments.values().sum();
        found.records = replay_all(disk, &segments, tail, replay, progress)?;
        segments.insert(last, tail.end);
    }
    Ok(Recovered {
        found,
        segments,
        tail,
    })
}

/// The numbers of the segments that there are, in order.
fn numbers(disk: &dyn Disk) -> Result<Vec<u64>, OpenError> {
    let names = disk.list().map_err(|error| OpenError::Disk {
        doing: "listing the directory".into(),
        error,
    })?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_of(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Where the log ends: in the last segment, or in the one before if the last was not yet more than
/// a name when a crash came.
fn find_tail(
    disk: &dyn Disk,
    numbers: &mut Vec<u64>,
    found: &mut Found,
) -> Result<Option<Tail>, OpenError> {
    let Some(&last) = numbers.last() else {
        return Ok(None);
    };
    if let Some(tail) = end_of(disk, last, found)? {
        return Ok(Some(tail));
    }
    // The first is begun again in the same file, any other after the one before it.
    if last == 1 {
        return Ok(None);
    }
    numbers.pop();
    found.leftovers.push(file_name(last));
    let previous = last - 1;
    if numbers.last() != Some(&previous) {
        let file = file_name(previous);
        return Err(OpenError::Missing { file });
    }
    match end_of(disk, previous, found)? {
        Some(tail) => Ok(Some(tail)),
        None => Err(damaged(previous, 0, "its header is not valid")),
    }
}

/// Where a segment ends that nothing follows. None if it was only being created.
fn end_of(disk: &dyn Disk, number: u64, found: &mut Found) -> Result<Option<Tail>, OpenError> {
    let file = open(disk, number)?;
    let Some(mut segment) = Segment::open(number, &*file)? else {
        return Ok(None);
    };
    let end = segment.walk(&mut |_, _, _| Ok(()))?;
    if let Some(invalid) = end.invalid {
        if segment.was_synced(end.offset)? {
            return Err(damaged(number, end.offset, invalid));
        }
        found.torn = Some(Torn {
            file: file_name(number),
            offset: end.offset,
            bytes: segment.file_bytes() - end.offset,
        });
    }
    let header = segment.header;
    Ok(Some(Tail {
        file,
        header,
        end: end.offset,
        position: end.position,
        oldest: end.oldest,
    }))
}

/// Hands out the records of all segments; how many there are.
fn replay_all(
    disk: &dyn Disk,
    segments: &BTreeMap<u64, u64>,
    tail: &Tail,
    replay: Replay<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<u64, OpenError> {
    let mut now = Progress {
        total: segments.values().sum(),
        ..Progress::default()
    };
    let mut told = 0;
    let mut before = 0;
    let mut position = None;
    for (&number, &bytes) in segments {
        let file = open(disk, number)?;
        let Some(mut segment) = Segment::open(number, &*file)? else {
            return Err(damaged(number, 0, "its header is not valid"));
        };
        if position.is_some_and(|last: u64| segment.header.first != last + 1) {
            return Err(damaged(
                number,
                0,
                "batches are missing at the end of the segment before it",
            ));
        }
        let end = segment.walk(&mut |offset, body, records| {
            replay_batch(number, offset, body, records, replay)?;
            now.records += u64::from(records);
            now.bytes = before + offset + body.len() as u64;
            if now.bytes - told >= PROGRESS_BYTES {
                told = now.bytes;
                progress(now);
            }
            Ok(())
        })?;
        // All of a segment is synced before the next one is created; the last was judged before.
        if let Some(invalid) = end.invalid.filter(|_| number < tail.header.segment) {
            return Err(damaged(number, end.offset, invalid));
        }
        position = Some(end.position);
        before += bytes;
    }
    now.bytes = now.total;
    progress(now);
    Ok(now.records)
}

fn replay_batch(
    number: u64,
    offset: u64,
    body: &[u8],
    records: u32,
    replay: Replay<'_>,
) -> Result<(), OpenError> {
    for record in split_records(body, records).into_iter().flatten() {
        replay(number, record).map_err(|why| OpenError::Refused {
            file: file_name(number),
            offset,
            why,
        })?;
    }
    Ok(())
}

fn open(disk: &dyn Disk, number: u64) -> Result<Box<dyn DiskFile>, OpenError> {
    disk.open(&file_name(number))
        .map_err(|error| OpenError::Disk {
            doing: format!("opening {}", file_name(number)),
            error,
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::MemoryDisk;
    use crate::format::{Frame, push_record};

    /// Small numbers, which may fit together, and any others.
    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![4 => 0u64..4, 1 => any::<u64>(), 1 => u64::MAX - 2..=u64::MAX]
    }

    prop_compose! {
        fn header()(segment in number(), first in number(), oldest in number()) -> SegmentHeader {
            SegmentHeader { segment, first, oldest, tag: 7 }
        }
    }

    prop_compose! {
        fn frame()(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..3),
            count in 0u32..4,
            garbage in prop::collection::vec(any::<u8>(), 0..3),
            [position, synced, oldest] in [number(), number(), number()],
            length in prop_oneof![8 => Just(None), 1 => any::<u32>().prop_map(Some)],
        ) -> Vec<u8> {
            let mut body = Vec::new();
            for record in &records {
                push_record(&mut body, record);
            }
            body.extend(&garbage);
            let mut frame = Frame::around(&body, count, position, synced, oldest);
            frame.length = length.unwrap_or(frame.length);
            [&frame.encode(7)[..], &body].concat()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        /// Checksums can be right by malice: reading ends all the same, and takes no more memory
        /// than the files have bytes.
        #[test]
        fn valid_checksums_are_not_trusted(
            files in prop::collection::vec((number(), any::<bool>(), header(), prop::collection::vec(frame(), 0..4)), 1..4),
        ) {
            let disk = MemoryDisk::default();
            for (number, ours, mut header, frames) in files {
                if ours {
                    header.segment = number;
                }
                let bytes = [&header.encode()[..], &frames.concat()].concat();
                disk.put(&file_name(number), bytes);
            }
            let mut records = 0;
            let read = read(&disk, &mut |_, _| { records += 1; Ok(()) }, &mut |_| ());
            if let Ok(read) = read {
                prop_assert_eq!(read.found.records, records);
            }
        }
    }
}
