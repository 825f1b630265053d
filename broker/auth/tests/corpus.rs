//! Replays the fuzzers' seed corpus.

#[path = "../fuzz/checks.rs"]
mod checks;

use std::{fs, path::Path};

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(folder).expect("the corpus is part of the source") {
        let file = entry.expect("a readable folder").path();
        println!("{}", file.display());
        check(&fs::read(file).expect("a readable input"));
        inputs += 1;
    }
    assert!(inputs > 5, "the corpus is gone");
}

#[test]
fn acl() {
    replay("acl", checks::acl);
}

#[test]
fn password() {
    replay("password", checks::password);
}
