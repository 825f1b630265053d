//! The faulty disk itself: a test on it is worth what its faults are.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use dunlin_log::{Disk, FaultyDisk, MemoryDisk, SyncPoint};

const ONE: [u8; 1024] = [1; 1024];
const TWO: [u8; 1024] = [2; 1024];

/// A file of two sectors, synced, with all of it written over since.
fn half_synced(seed: u64) -> FaultyDisk {
    let disk = FaultyDisk::new(seed);
    let file = disk.create("file").unwrap();
    file.write_at(0, &ONE).unwrap();
    file.sync(SyncPoint::Batch).unwrap();
    disk.sync_names(SyncPoint::Created).unwrap();
    file.write_at(0, &TWO).unwrap();
    disk
}

#[test]
fn any_part_of_what_was_not_synced_survives() {
    let disk = half_synced(1);
    let mut seen = BTreeSet::new();
    for _ in 0..1000 {
        let content = disk.survivors().read("file").unwrap();
        assert_eq!(content.len(), 1024);
        for sector in content.chunks(512) {
            // A sector is torn once at most: the new bytes, then the old ones.
            assert!(sector.is_sorted_by(|a, b| a >= b));
        }
        let new = |sector: &[u8]| sector.iter().filter(|&&byte| byte == 2).count();
        let kind = |sector: &[u8]| match new(sector) {
            0 => "old",
            512 => "new",
            _ => "torn",
        };
        seen.insert((kind(&content[..512]), kind(&content[512..])));
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
}

#[test]
fn names_lengths_and_removals_survive_or_not() {
    let disk = half_synced(2);
    let file = disk.open("file").unwrap();
    file.sync(SyncPoint::Batch).unwrap();
    file.write_at(2048, &TWO).unwrap();
    disk.create("other").unwrap();
    let lengths: BTreeSet<_> = (0..500)
        .map(|_| disk.survivors().read("file").unwrap().len())
        .collect();
    assert!(
        lengths.contains(&1024) && lengths.contains(&3072),
        "{lengths:?}"
    );
    let names: BTreeSet<_> = (0..50).map(|_| disk.survivors().list().unwrap()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    disk.remove("file").unwrap();
    let kept: BTreeSet<_> = (0..50)
        .map(|_| disk.survivors().read("file").is_some())
        .collect();
    assert_eq!(kept.len(), 2);
}

#[test]
fn the_same_seed_breaks_in_the_same_way() {
    let survivors = |seed| half_synced(seed).survivors().files();
    assert_eq!(survivors(5), survivors(5));
    let differing = (0..50).map(survivors).collect::<BTreeSet<_>>();
    assert!(differing.len() > 4);
}

#[test]
fn after_the_crash_everything_fails_until_the_restart() {
    let disk = half_synced(1);
    let file = disk.open("file").unwrap();
    disk.crash_at(disk.operations());
    for _ in 0..3 {
        assert!(
            file.write_at(0, &ONE)
                .unwrap_err()
                .to_string()
                .contains("the disk crashed, as ordered")
        );
        assert!(disk.create("other").is_err() && disk.list().is_err());
        assert!(file.sync(SyncPoint::Batch).is_err() && file.len().is_err());
    }
    disk.restart();
    assert_eq!(disk.list().unwrap(), ["file"]);
}

#[test]
fn an_ignored_sync_says_that_all_is_well() {
    let disk = half_synced(1);
    disk.ignore_sync(SyncPoint::Header);
    let file = disk.open("file").unwrap();
    file.sync(SyncPoint::Header).unwrap();
    let all_new = |disk: &FaultyDisk| disk.survivors().read("file").unwrap() == TWO;
    assert!((0..100).any(|_| !all_new(&disk)));
    file.sync(SyncPoint::Batch).unwrap();
    assert!((0..100).all(|_| all_new(&disk)));
}

#[test]
fn a_full_disk_takes_what_fits() {
    let content = MemoryDisk::default();
    content.put("file", vec![1; 1000]);
    let disk = FaultyDisk::over(&content, 1);
    disk.set_capacity(1500);
    assert_eq!(disk.free_bytes().unwrap(), 500);
    let file = disk.open("file").unwrap();
    assert_eq!(
        file.write_at(1000, &ONE).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    assert_eq!(file.len().unwrap(), 1500);
    assert_eq!(
        file.reserve(1501).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    file.write_at(0, &ONE).unwrap();
    disk.remove("file").unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 1500);
}
