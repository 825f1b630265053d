//! Format version 1, as it was when it was fixed: it has to be readable for ever.

use dunlin_log::{MemoryDisk, Options, Urgency};

use super::{open, options};

const NAMES: [&str; 2] = ["0000000000000002.log", "0000000000000003.log"];
const FILES: [&[u8]; 2] = [
    include_bytes!("../golden/version-1/0000000000000002.log"),
    include_bytes!("../golden/version-1/0000000000000003.log"),
];

/// What is appended, each record as a batch but for the empty one, which goes with the next.
fn records() -> Vec<(u64, Vec<u8>)> {
    vec![
        (1, vec![1; 200]),
        (2, b"".to_vec()),
        (2, b"a record".to_vec()),
        (2, vec![0xff; 100]),
        (
            3,
            b"before the note that the first segment is dropped".to_vec(),
        ),
        (3, b"after it".to_vec()),
    ]
}

#[test]
fn version_1_is_read() {
    let disk = MemoryDisk::default();
    for (name, bytes) in NAMES.iter().zip(FILES) {
        disk.put(name, bytes.to_vec());
    }
    let (log, found) = open(disk, options()).unwrap();
    assert_eq!(found, records()[1..]);
    assert_eq!(log.found().torn, None);
    assert_eq!(log.segments(), (2, 3));
}

/// A change of the bytes needs a new version, which this test then writes beside the old one.
#[test]
fn version_1_is_written() {
    let disk = MemoryDisk::default();
    let (log, _) = open(
        disk.clone(),
        Options {
            segment_bytes: 300,
            ..options()
        },
    )
    .unwrap();
    for (segment, record) in records() {
        assert_eq!(log.append(&record, Urgency::Now).segment, segment);
        if record.is_empty() {
            continue;
        }
        while log.commit().unwrap() {}
        if record.starts_with(b"before") {
            log.drop_before(2).unwrap();
        }
    }
    for (name, bytes) in NAMES.iter().zip(FILES) {
        assert_eq!(disk.read(name).unwrap(), bytes, "{name}");
    }
}
