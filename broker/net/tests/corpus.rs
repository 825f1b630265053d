//! The fuzz targets' checks on their committed corpus.
#![allow(missing_docs, reason = "tests")]

use std::fs;
use std::path::Path;

#[path = "../fuzz/checks.rs"]
mod checks;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("a corpus") {
        let path = entry.expect("a file").path();
        println!("{}", path.display());
        check(&fs::read(&path).expect("a file"));
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

#[test]
fn proxy_header() {
    replay("proxy_header", checks::proxy_header);
}

#[test]
fn websocket_frames() {
    replay("websocket_frames", checks::websocket_frames);
}

#[test]
fn websocket_request() {
    replay("websocket_request", checks::websocket_request);
}
