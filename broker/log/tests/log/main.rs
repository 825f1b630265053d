//! The log as its callers see it, on disks that behave and on disks that do not.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod committing;
mod crashes;
mod damage;
mod directory;
mod faulty;
mod golden;
mod recovery;
mod space;

use std::sync::Arc;

use dunlin_log::{Disk, Log, MemoryDisk, OpenError, Options, Urgency};

/// A record and its segment, as replay gives them.
type Replayed = (u64, Vec<u8>);

/// Options for small logs, whose bytes are always the same.
fn options() -> Options {
    Options {
        low_space_bytes: 0,
        seed: 7,
        ..Options::default()
    }
}

/// Opens a log; what it replayed.
fn open(disk: impl Disk, options: Options) -> Result<(Log, Vec<Replayed>), OpenError> {
    let mut records = Vec::new();
    let mut replay = |segment, record: &[u8]| {
        records.push((segment, record.to_vec()));
        Ok(())
    };
    let log = Log::open(Arc::new(disk), options, &mut replay, &mut |_| ())?;
    Ok((log, records))
}

/// A log of `batches` batches of three records each, in segments of `segment_bytes`; the records.
fn written(batches: u8, segment_bytes: u64) -> (MemoryDisk, Vec<Replayed>) {
    let disk = MemoryDisk::default();
    let options = Options {
        segment_bytes,
        ..options()
    };
    let (log, _) = open(disk.clone(), options).unwrap();
    let mut records = Vec::new();
    for batch in 0..batches {
        for length in [0, 5, 20] {
            let record = vec![batch; length];
            let segment = log.append(&record, Urgency::Now).segment;
            records.push((segment, record));
        }
        while log.commit().unwrap() {}
    }
    (disk, records)
}
