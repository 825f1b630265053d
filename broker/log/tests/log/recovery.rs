//! What is read when a log is opened.

use std::sync::Arc;

use dunlin_log::{Log, MemoryDisk, Position, Progress, Torn, Urgency, inspect};

use super::{open, options, written};

const FIRST: &str = "0000000000000001.log";

#[test]
fn an_empty_directory_begins_a_log() {
    let disk = MemoryDisk::default();
    let (log, records) = open(disk.clone(), options()).unwrap();
    assert_eq!(records, []);
    assert_eq!(
        (log.segments(), log.committed(), log.bytes()),
        ((1, 1), Position(0), 48)
    );
    assert_eq!(log.found().records, 0);
}

#[test]
fn records_come_back_in_order_through_segments() {
    let (disk, expected) = written(20, 500);
    let (log, records) = open(disk.clone(), options()).unwrap();
    assert_eq!(records, expected);
    assert_eq!(log.committed(), Position(20));
    assert_eq!(log.appended(), Position(20));
    assert!(log.segments().1 > 3, "{:?}", log.segments());
    let on_disk: usize = disk.files().iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(log.bytes(), on_disk as u64);
}

#[test]
fn work_goes_on_after_opening() {
    let (disk, mut expected) = written(3, 1000);
    for round in 0..10 {
        let (log, records) = open(disk.clone(), options()).unwrap();
        assert_eq!(records, expected);
        let appended = log.append(&[round; 30], Urgency::Now);
        assert_eq!(appended.position, Position(u64::from(round) + 4));
        assert!(log.commit().unwrap());
        expected.push((appended.segment, vec![round; 30]));
    }
}

#[test]
fn a_write_cut_short_at_any_byte_is_cut() {
    let (disk, records) = written(3, 1 << 20);
    let whole = disk.read(FIRST).unwrap();
    let start = written(2, 1 << 20).0.read(FIRST).unwrap().len();
    assert!(start < whole.len());
    for length in start..whole.len() {
        let disk = MemoryDisk::default();
        disk.put(FIRST, whole[..length].to_vec());
        let (log, found) = open(disk.clone(), options()).unwrap();
        assert_eq!(found, records[..6], "{length} bytes");
        let torn = (length > start).then(|| Torn {
            file: FIRST.into(),
            offset: start as u64,
            bytes: (length - start) as u64,
        });
        assert_eq!(log.found().torn, torn);
        assert_eq!(disk.read(FIRST).unwrap().len(), start);
        let appended = log.append(b"next", Urgency::Now);
        assert_eq!(appended.position, Position(3));
        log.commit().unwrap();
        let (_, found) = open(disk, options()).unwrap();
        assert_eq!(found.last().unwrap().1, b"next");
    }
}

/// Room that was taken ahead is not cut from a file when a crash comes.
#[test]
fn zeros_at_the_end_of_a_segment_are_no_damage() {
    let (disk, expected) = written(20, 500);
    for (name, mut bytes) in disk.files() {
        bytes.resize(bytes.len() + 3000, 0);
        disk.put(&name, bytes);
    }
    let (log, found) = open(disk, options()).unwrap();
    assert_eq!(found, expected);
    assert_eq!(log.found().torn, None);
}

/// A frame that a client put into its message is nothing but bytes of the message.
#[test]
fn a_record_cannot_pass_for_a_batch() {
    let stranger = written(9, 1 << 20).0.read(FIRST).unwrap();
    let (disk, records) = written(2, 1 << 20);
    let options = dunlin_log::Options {
        seed: 8,
        ..options()
    };
    let ours = MemoryDisk::default();
    let (log, _) = open(ours.clone(), options.clone()).unwrap();
    log.append(b"first", Urgency::Now);
    log.commit().unwrap();
    let start = ours.read(FIRST).unwrap().len();
    log.append(&stranger, Urgency::Now);
    log.commit().unwrap();
    // The batch is torn: its own header did not reach the disk, the bytes in it did.
    let mut torn = ours.read(FIRST).unwrap();
    torn[start..start + 48].fill(0);
    ours.put(FIRST, torn);
    let (log, found) = open(ours, options).unwrap();
    assert_eq!(found, [(1, b"first".to_vec())]);
    assert!(log.found().torn.is_some());
    // Whereas in its own log the same frame is one.
    assert_eq!(open(disk, super::options()).unwrap().1, records);
}

#[test]
fn progress_ends_with_everything() {
    let disk = MemoryDisk::default();
    let (log, _) = open(disk.clone(), options()).unwrap();
    for _ in 0..10 {
        log.append(&vec![1; 1 << 20], Urgency::Now);
        log.commit().unwrap();
    }
    let mut told = Vec::new();
    let log = Log::open(Arc::new(disk), options(), &mut |_, _| Ok(()), &mut |now| {
        told.push(now)
    })
    .unwrap();
    assert!(told.len() >= 3, "{told:?}");
    assert!(told.is_sorted_by_key(|now| now.bytes));
    let total = log.bytes();
    assert_eq!(
        told.last(),
        Some(&Progress {
            bytes: total,
            total,
            records: 10
        })
    );
}

#[test]
fn inspecting_changes_nothing() {
    let (disk, expected) = written(20, 500);
    let newest = disk.files().last().unwrap().0.clone();
    let mut bytes = disk.read(&newest).unwrap();
    bytes.pop();
    disk.put(&newest, bytes);
    let before = disk.files();
    let mut records = Vec::new();
    let found = inspect(
        &disk,
        &mut |segment, record| {
            records.push((segment, record.to_vec()));
            Ok(())
        },
        &mut |_| (),
    );
    let found = found.unwrap();
    assert_eq!(records, expected[..57]);
    assert_eq!(found.records, 57);
    assert!(found.torn.is_some());
    assert_eq!(disk.files(), before);
}

#[test]
fn a_segment_that_was_only_being_created_is_a_leftover() {
    let (disk, expected) = written(4, 1 << 20);
    for length in [0, 1, 47, 48] {
        let disk = disk.copy();
        disk.put("0000000000000002.log", vec![0; length]);
        let (log, found) = open(disk.clone(), options()).unwrap();
        assert_eq!(found, expected);
        assert_eq!(log.found().leftovers, ["0000000000000002.log"]);
        assert_eq!(log.segments(), (1, 1));
        assert_eq!(disk.files().len(), 1);
    }
    let first = MemoryDisk::default();
    first.put(FIRST, vec![0; 30]);
    assert_eq!(open(first, options()).unwrap().1, []);
}

#[test]
fn dropped_segments_are_gone_and_stay_gone() {
    let (disk, expected) = written(20, 500);
    let before = disk.copy();
    let (log, _) = open(disk.clone(), options()).unwrap();
    let bytes = log.bytes();
    log.drop_before(3).unwrap();
    assert_eq!(log.segments().0, 3);
    assert!(log.bytes() < bytes);
    let left: Vec<_> = expected
        .iter()
        .filter(|(segment, _)| *segment >= 3)
        .cloned()
        .collect();
    assert_eq!(open(disk.clone(), options()).unwrap().1, left);
    // A power loss brought one of the files back.
    disk.put(FIRST, before.read(FIRST).unwrap());
    let (log, found) = open(disk.clone(), options()).unwrap();
    assert_eq!(found, left);
    assert_eq!(log.found().leftovers, [FIRST]);
    assert_eq!(disk.read(FIRST), None);
}

#[test]
fn the_newest_segment_cannot_be_dropped() {
    let (disk, _) = written(20, 500);
    let (log, _) = open(disk, options()).unwrap();
    let (_, newest) = log.segments();
    let error = log.drop_before(newest + 1).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    log.drop_before(newest).unwrap();
    assert_eq!(log.segments(), (newest, newest));
}

#[test]
fn a_record_longer_than_a_segment_has_one_alone() {
    let disk = MemoryDisk::default();
    let options = dunlin_log::Options {
        segment_bytes: 200,
        ..options()
    };
    let (log, _) = open(disk.clone(), options.clone()).unwrap();
    for (length, segment) in [(10, 1), (1000, 2), (10, 3), (10, 3)] {
        assert_eq!(log.append(&vec![1; length], Urgency::Now).segment, segment);
    }
    while log.commit().unwrap() {}
    let found = open(disk, options).unwrap().1;
    assert_eq!(
        found
            .iter()
            .map(|(segment, record)| (record.len(), *segment))
            .collect::<Vec<_>>(),
        [(10, 1), (1000, 2), (10, 3), (10, 3)]
    );
}
