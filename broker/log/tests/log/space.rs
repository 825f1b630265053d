//! Full disks, and disks that fail.

use std::io;

use dunlin_log::{FaultyDisk, Options, Position, SyncPoint, Urgency};

use super::{open, options};

/// Room for the first segment, its reserve included, and not for more.
const ONE_MIB: u64 = 1 << 20;

#[test]
fn a_full_disk_keeps_the_batch_for_later() {
    let disk = FaultyDisk::new(1);
    let (log, _) = open(disk.clone(), options()).unwrap();
    log.append(b"before", Urgency::Now);
    assert!(log.commit().unwrap());
    disk.set_capacity(ONE_MIB);
    let big = log.append(&vec![7; 2 * ONE_MIB as usize], Urgency::Now);
    for _ in 0..3 {
        assert!(!log.commit().unwrap());
        assert!(
            log.full().unwrap().contains("free some space"),
            "{:?}",
            log.full()
        );
        assert_eq!(log.committed(), Position(1));
    }
    let small = log.append(b"after", Urgency::Now);
    disk.set_capacity(10 * ONE_MIB);
    assert!(log.commit().unwrap());
    assert_eq!((log.full(), log.committed()), (None, big.position));
    assert!(log.commit().unwrap());
    assert_eq!(log.committed(), small.position);
    let (_, found) = open(disk, options()).unwrap();
    let lengths: Vec<_> = found.iter().map(|(_, record)| record.len()).collect();
    assert_eq!(lengths, [6, 2 * ONE_MIB as usize, 5]);
}

/// Every write may be the first for which there is no room: in a batch, a header, a reservation.
#[test]
fn any_capacity_loses_nothing() {
    for capacity in (0..3 * ONE_MIB).step_by(9973) {
        let disk = FaultyDisk::new(capacity);
        let options = Options {
            segment_bytes: ONE_MIB / 2,
            ..options()
        };
        let (log, _) = open(disk.clone(), options.clone()).unwrap();
        disk.set_capacity(capacity);
        let records: Vec<_> = (0..8u8).map(|byte| vec![byte; 200_000]).collect();
        let mut full = 0;
        for record in &records {
            log.append(record, Urgency::Now);
            full += u64::from(!log.commit().unwrap());
        }
        let committed = log.committed().0;
        assert_eq!(full > 0, committed < 8, "capacity {capacity}");
        // The process ends while the disk is full: what was committed is there.
        let (_, found) = open(disk.clone(), options.clone()).unwrap();
        assert_eq!(found.len() as u64, committed);
        drop(log);
        disk.set_capacity(u64::MAX);
        let (log, found) = open(disk, options).unwrap();
        let found: Vec<_> = found.into_iter().map(|(_, record)| record).collect();
        assert_eq!(found, records[..committed as usize]);
        assert_eq!(log.full(), None);
    }
}

#[test]
fn little_space_is_said_before_there_is_none() {
    let disk = FaultyDisk::new(1);
    disk.set_capacity(10 * ONE_MIB);
    let options = Options {
        low_space_bytes: 20 * ONE_MIB,
        ..options()
    };
    let (log, _) = open(disk.clone(), options).unwrap();
    assert!(
        log.full().unwrap().contains("free some space"),
        "{:?}",
        log.full()
    );
    let appended = log.append(b"what is under way", Urgency::Now);
    assert!(log.commit().unwrap());
    assert_eq!(log.committed(), appended.position);
}

#[test]
fn segments_can_be_dropped_on_a_full_disk() {
    let disk = FaultyDisk::new(1);
    let options = Options {
        segment_bytes: ONE_MIB / 2,
        ..options()
    };
    let (log, _) = open(disk.clone(), options.clone()).unwrap();
    for byte in 0..4 {
        log.append(&vec![byte; 400_000], Urgency::Now);
        assert!(log.commit().unwrap());
    }
    disk.set_capacity(0);
    log.append(&vec![4; 400_000], Urgency::Now);
    assert!(!log.commit().unwrap());
    log.drop_before(4).unwrap();
    assert_eq!(log.segments(), (4, 4));
    disk.set_capacity(2 * ONE_MIB);
    assert!(log.commit().unwrap());
    let (_, found) = open(disk, options).unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|(segment, record)| (*segment, record[0]))
        .collect();
    assert_eq!(found, [(4, 3), (5, 4)]);
}

#[test]
fn a_failed_sync_ends_acknowledging() {
    for failing in 0..4 {
        let disk = FaultyDisk::new(failing);
        let (log, _) = open(disk.clone(), options()).unwrap();
        disk.fail_sync(disk.syncs() + failing);
        let mut positions = Vec::new();
        let error = loop {
            positions.push(log.append(b"record", Urgency::Now).position);
            if let Err(error) = log.commit() {
                break error;
            }
        };
        assert!(
            error
                .to_string()
                .starts_with("syncing 0000000000000001.log: the sync failed"),
            "{error}"
        );
        let committed = log.committed();
        assert_eq!(committed, Position(failing));
        let later = log.append(b"record", Urgency::Now).position;
        assert!(log.commit().is_err());
        assert!(log.drop_before(1).is_ok(), "there is nothing to drop");
        assert_eq!(log.committed(), committed);
        assert!(later > committed);
        assert!(log.buffered_bytes() < 1000);
    }
}

#[test]
fn a_disk_that_fails_at_opening_is_named() {
    let disk = FaultyDisk::new(1);
    disk.fail_sync(0);
    let error = open(disk, options()).err().unwrap();
    assert!(
        error
            .to_string()
            .starts_with("syncing 0000000000000001.log"),
        "{error}"
    );
    let full = FaultyDisk::new(1);
    full.set_capacity(10);
    let error = open(full, options()).err().unwrap();
    assert!(
        error
            .to_string()
            .starts_with("creating 0000000000000001.log"),
        "{error}"
    );
}

#[test]
fn a_failed_note_removes_nothing() {
    let disk = FaultyDisk::new(1);
    let options = Options {
        segment_bytes: 1000,
        ..options()
    };
    let (log, _) = open(disk.clone(), options.clone()).unwrap();
    for byte in 0..4 {
        log.append(&[byte; 600], Urgency::Now);
        assert!(log.commit().unwrap());
    }
    disk.fail_sync(disk.syncs());
    assert_eq!(log.drop_before(3).unwrap_err().kind(), io::ErrorKind::Other);
    assert!(
        log.commit().is_err(),
        "a failed sync is the end, whoever saw it"
    );
    disk.ignore_sync(SyncPoint::Batch);
    assert_eq!(open(disk, options).unwrap().0.segments().1, 4);
}
