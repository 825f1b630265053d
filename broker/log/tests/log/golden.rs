//! Format version 1, as it was when it was fixed: it has to be readable for ever.

use dunlin_log::{MemoryDisk, Options, Urgency};

use super::{open, options};

const NAMES: [&str; 2] = ["0000000000000001.log", "0000000000000002.log"];
const FILES: [&[u8]; 2] = [
    include_bytes!("../golden/version-1/0000000000000001.log"),
    include_bytes!("../golden/version-1/0000000000000002.log"),
];

fn records() -> Vec<(u64, Vec<u8>)> {
    vec![
        (1, b"".to_vec()),
        (1, b"a record".to_vec()),
        (1, vec![0xff; 100]),
        (2, b"in the second segment".to_vec()),
    ]
}

#[test]
fn version_1_is_read() {
    let disk = MemoryDisk::default();
    for (name, bytes) in NAMES.iter().zip(FILES) {
        disk.put(name, bytes.to_vec());
    }
    let (log, found) = open(disk, options()).unwrap();
    assert_eq!(found, records());
    assert_eq!(log.found().torn, None);
    assert_eq!(log.segments(), (1, 2));
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
    for (_, record) in records() {
        log.append(&record, Urgency::Now);
        if record.is_empty() {
            continue;
        }
        while log.commit().unwrap() {}
    }
    for (name, bytes) in NAMES.iter().zip(FILES) {
        assert_eq!(disk.read(name).unwrap(), bytes, "{name}");
    }
}
