//! The real disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use dunlin_log::{Directory, Disk, Options, SyncPoint, Urgency};

use super::{open, options};

#[test]
fn a_log_in_a_directory_comes_back() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("a/b");
    let options = Options {
        segment_bytes: 10_000,
        ..options()
    };
    let mut expected = Vec::new();
    for round in 0..3u8 {
        let (log, found) = open(Directory::open(&path).unwrap(), options.clone()).unwrap();
        assert_eq!(found, expected);
        for _ in 0..10 {
            let record = vec![round; 2000];
            expected.push((log.append(&record, Urgency::Now).segment, record));
            assert!(log.commit().unwrap());
        }
    }
    let (log, _) = open(Directory::open(&path).unwrap(), options.clone()).unwrap();
    let (_, newest) = log.segments();
    log.drop_before(newest).unwrap();
    drop(log);
    expected.retain(|(segment, _)| *segment == newest);
    assert_eq!(
        open(Directory::open(&path).unwrap(), options).unwrap().1,
        expected
    );
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for file in fs::read_dir(&path).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[test]
fn one_process_at_a_time() {
    let path = tempfile::tempdir().unwrap();
    let first = Directory::open(path.path()).unwrap();
    let error = Directory::open(path.path()).err().unwrap();
    assert!(error.is_in_use());
    let text = format!(
        "the data directory {} is in use by another process: stop that one, or choose another directory",
        path.path().display()
    );
    assert_eq!(error.to_string(), text);
    drop(first);
    Directory::open(path.path()).unwrap();
}

#[test]
fn a_file_in_its_place_is_said() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("data");
    fs::write(&path, "").unwrap();
    for path in [path.clone(), path.join("below")] {
        let error = Directory::open(&path).err().unwrap().to_string();
        assert!(
            error.starts_with(&format!(
                "cannot create the data directory {}",
                path.display()
            )),
            "{error}"
        );
        assert!(
            error.ends_with("it has to be a directory; move away what is there, or choose another"),
            "{error}"
        );
    }
}

#[test]
fn files_are_created_once_and_found_again() {
    let path = tempfile::tempdir().unwrap();
    let disk = Directory::open(path.path()).unwrap();
    let file = disk.create("x.log").unwrap();
    assert_eq!(
        disk.create("x.log").err().unwrap().kind(),
        std::io::ErrorKind::AlreadyExists
    );
    assert_eq!(
        disk.open("y.log").err().unwrap().kind(),
        std::io::ErrorKind::NotFound
    );
    file.reserve(1 << 20).unwrap();
    file.write_at(10, b"bytes").unwrap();
    file.sync(SyncPoint::Batch).unwrap();
    disk.sync_names(SyncPoint::Created).unwrap();
    let mut bytes = [1; 20];
    assert_eq!(
        disk.open("x.log").unwrap().read_at(5, &mut bytes).unwrap(),
        20
    );
    assert_eq!(&bytes, b"\0\0\0\0\0bytes\0\0\0\0\0\0\0\0\0\0");
    let used = || {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(path.path().join("x.log")).unwrap().blocks() * 512
    };
    assert!(used() >= 1 << 20, "{} bytes are reserved", used());
    file.set_len(15).unwrap();
    assert!(used() <= 1 << 16, "{} bytes are still reserved", used());
    assert!(disk.free_bytes().unwrap() > 0);
    let mut names = disk.list().unwrap();
    names.sort();
    assert_eq!(names, ["lock", "x.log"]);
    disk.remove("x.log").unwrap();
    assert_eq!(disk.list().unwrap(), ["lock"]);
}
