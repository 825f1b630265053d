//! The fuzz targets' seeds and finds, replayed. The first byte of a file selects the version.

use std::fs;
use std::path::Path;

use dunlin_codec::Version;

use crate::mutation::accepts_only_what_it_can_repeat;

#[test]
fn corpus_of_decode() {
    replay("decode");
}

#[test]
fn corpus_of_decode_encode_decode() {
    replay("decode_encode_decode");
}

fn replay(target: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let files = fs::read_dir(&folder).expect("the corpus is committed");
    let mut replayed = 0;
    for file in files {
        let bytes = fs::read(file.expect("readable").path()).expect("readable");
        if let Some((&selector, packet)) = bytes.split_first() {
            let versions = [Version::Mqtt31, Version::Mqtt311, Version::Mqtt5];
            accepts_only_what_it_can_repeat(packet, versions[usize::from(selector) % 3]);
        }
        replayed += 1;
    }
    assert!(replayed > 0, "{} is empty", folder.display());
}
