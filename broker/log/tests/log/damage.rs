//! What was once synced and is not there any more is an error that says where, and what to do.

use dunlin_log::{Durability, MemoryDisk, OpenError, Options, Urgency, inspect};
use proptest::prelude::*;

use super::{open, options, written};

const FIRST: &str = "0000000000000001.log";

/// All but the last batch was synced before something else was written.
#[test]
fn no_changed_byte_loses_a_batch_silently() {
    let (disk, expected) = written(8, 500);
    let names: Vec<_> = disk.files().into_iter().map(|(name, _)| name).collect();
    assert!(names.len() >= 2, "{names:?}");
    let end_of_all_but_one = written(7, 500).0;
    for name in &names {
        let whole = disk.read(name).unwrap();
        let last = name == names.last().unwrap();
        let last_batch = if last {
            end_of_all_but_one.read(name).unwrap().len()
        } else {
            whole.len()
        };
        for at in 0..last_batch {
            for flip in [1, 0x80, 0xff] {
                let disk = disk.copy();
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                disk.put(name, bytes);
                match open(disk, options()) {
                    Ok((_, found)) => assert_eq!(found, expected, "{name}, byte {at}"),
                    Err(OpenError::Damaged { file, offset, .. }) => {
                        assert_eq!(&file, name);
                        assert!(offset <= at as u64);
                    }
                    Err(OpenError::Newer { file, .. }) => assert_eq!(&file, name),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }
}

#[test]
fn a_damaged_middle_names_file_and_offset() {
    let (disk, _) = written(3, 1 << 20);
    let mut bytes = disk.read(FIRST).unwrap();
    let second = written(1, 1 << 20).0.read(FIRST).unwrap().len();
    bytes[second + 60] ^= 1;
    disk.put(FIRST, bytes);
    let error = open(disk, options()).err().unwrap().to_string();
    let place = format!("{FIRST} is damaged at byte {second}: the batch's checksum is wrong; ");
    assert!(
        error.starts_with(&place) && error.contains("from a backup"),
        "{error}"
    );
}

#[test]
fn a_segment_cut_short_before_another_is_damage() {
    let (disk, _) = written(20, 500);
    let whole = disk.read(FIRST).unwrap();
    for length in 0..whole.len() {
        disk.put(FIRST, whole[..length].to_vec());
        let error = open(disk.copy(), options()).err().unwrap();
        assert!(
            matches!(error, OpenError::Damaged { .. }),
            "{length} bytes: {error}"
        );
    }
}

/// Nothing is promised of what was not synced: here a hole is the end, and no damage.
#[test]
fn a_hole_in_what_was_not_synced_is_the_end() {
    let disk = MemoryDisk::default();
    let options = Options {
        durability: Durability::Os,
        ..options()
    };
    let (log, _) = open(disk.clone(), options.clone()).unwrap();
    let mut ends = Vec::new();
    for batch in 0..5u8 {
        log.append(&[batch; 30], Urgency::Now);
        log.commit().unwrap();
        ends.push(disk.read(FIRST).unwrap().len());
    }
    let mut bytes = disk.read(FIRST).unwrap();
    bytes[ends[1]..ends[2]].fill(0);
    disk.put(FIRST, bytes);
    let (log, found) = open(disk.clone(), options.clone()).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(log.found().torn.as_ref().unwrap().offset, ends[1] as u64);
    drop(log);
    assert_eq!(open(disk, options).unwrap().1.len(), 2);
}

#[test]
fn a_missing_segment_is_named() {
    let (disk, _) = written(20, 500);
    let names: Vec<_> = disk.files().into_iter().map(|(name, _)| name).collect();
    for missing in &names[..names.len() - 1] {
        let disk = MemoryDisk::default();
        for (name, bytes) in written(20, 500).0.files() {
            if name != *missing {
                disk.put(&name, bytes);
            }
        }
        let error = open(disk, options()).err().unwrap();
        assert!(
            matches!(&error, OpenError::Missing { file } if file == missing),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .starts_with(&format!("{missing} is missing: put it back"))
        );
    }
}

#[test]
fn a_newer_format_says_so() {
    let (disk, _) = written(3, 1 << 20);
    let mut bytes = disk.read(FIRST).unwrap();
    bytes[8] = 2;
    disk.put(FIRST, bytes);
    let error = open(disk, options()).err().unwrap();
    assert!(
        matches!(error, OpenError::Newer { version: 2, .. }),
        "{error}"
    );
    let text = "0000000000000001.log has format version 2, and this program knows versions up to 1";
    assert!(error.to_string().starts_with(text), "{error}");
}

#[test]
fn a_segment_under_another_name_is_damage() {
    let (disk, _) = written(20, 500);
    disk.put(FIRST, disk.read("0000000000000002.log").unwrap());
    let error = open(disk, options()).err().unwrap();
    assert!(
        matches!(error, OpenError::Damaged { offset: 0, .. }),
        "{error}"
    );
}

#[test]
fn a_refused_record_ends_opening_with_its_place() {
    let (disk, _) = written(3, 1 << 20);
    let mut seen = 0;
    let mut replay = |_, _: &[u8]| {
        seen += 1;
        if seen == 4 {
            Err("record of kind 77".to_owned())
        } else {
            Ok(())
        }
    };
    let error = inspect(&disk, &mut replay, &mut |_| ()).unwrap_err();
    let second = written(1, 1 << 20).0.read(FIRST).unwrap().len() as u64;
    assert!(
        matches!(error, OpenError::Refused { offset, .. } if offset == second),
        "{error}"
    );
}

#[test]
fn other_files_are_left_alone() {
    let (disk, expected) = written(3, 1 << 20);
    for name in [
        "lock",
        "notes.txt",
        "1.log",
        "0000000000000000.log",
        "000000000000000G.log",
        "+000000000000002.log",
    ] {
        disk.put(name, vec![1, 2, 3]);
    }
    let (log, found) = open(disk.clone(), options()).unwrap();
    assert_eq!(found, expected);
    assert_eq!(log.segments(), (1, 1));
    assert_eq!(disk.files().len(), 7);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is in the directory, opening ends, and takes no memory for what is not there.
    #[test]
    fn any_bytes_are_read_without_harm(
        files in prop::collection::vec((1u64..4, prop::collection::vec(any::<u8>(), 0..400)), 0..3),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let (disk, _) = written(8, 500);
        let names: Vec<_> = disk.files().into_iter().map(|(name, _)| name).collect();
        let name = cut.get(&names);
        let mut bytes = disk.read(name).unwrap();
        for (at, byte) in changes {
            *at.get_mut(&mut bytes) = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        disk.put(name, bytes);
        for (number, bytes) in files {
            disk.put(&format!("{number:016x}.log"), bytes);
        }
        if let Ok((log, found)) = open(disk.clone(), options()) {
            prop_assert_eq!(log.found().records, found.len() as u64);
            prop_assert_eq!(open(disk, options()).unwrap().1, found);
        }
    }
}
