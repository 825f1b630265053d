//! Data directories that are not as the broker left them: it says where, and what to do.

use std::path::PathBuf;
use std::process::Command;

use dunlin_codec::Qos;

use crate::daemon::{BINARY, Daemon};

/// The first file of a store, and its second.
const FIRST: &str = "0000000000000001.log";
const SECOND: &str = "0000000000000002.log";
/// What every text ends with where something is lost.
const ADVICE: &str = "Restore the directory from a backup, or move it away to start with an empty \
                      one";

/// A broker that has stored these messages, and is dead.
fn stored(payloads: &[Vec<u8>]) -> Daemon {
    let mut daemon = Daemon::with("sys.interval = \"0s\"\n");
    let mut client = daemon.client("one");
    for (number, payload) in payloads.iter().enumerate() {
        client.publish_retained(&topic(number), payload, Qos::AtLeastOnce);
    }
    daemon.crash();
    daemon
}

fn few() -> Daemon {
    let payloads: Vec<_> = (0..10).map(payload).collect();
    stored(&payloads)
}

/// So much that it stands in two files, of 16 MiB each.
fn much() -> Daemon {
    let payloads = vec![vec![b'x'; 900_000]; 20];
    stored(&payloads)
}

fn topic(number: usize) -> String {
    format!("stored/{number}")
}

fn payload(number: usize) -> Vec<u8> {
    format!("the {number}. of all").into_bytes()
}

fn segment(daemon: &Daemon, name: &str) -> PathBuf {
    daemon.file("dunlin-data").join(name)
}

/// Changes the bytes of a file.
fn change(daemon: &Daemon, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = segment(daemon, name);
    let mut bytes = std::fs::read(&path).expect("a file");
    change(&mut bytes);
    std::fs::write(&path, bytes).expect("a file");
}

/// Where these bytes stand, once.
fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    let mut places = bytes.windows(wanted.len());
    places
        .position(|window| window == wanted)
        .expect("it is there")
}

/// What the broker says as it ends at its start; `dunlin store check` says the same.
fn refused(daemon: &mut Daemon) -> String {
    daemon.launch_again();
    let (code, said) = daemon.last_words();
    assert_eq!(code, Some(1), "{said}");
    let check = Command::new(BINARY)
        .args(["store", "check"])
        .arg(daemon.file("dunlin-data"))
        .output()
        .expect("a process");
    let checked = String::from_utf8(check.stderr).expect("text");
    let what = said.rsplit_once("dunlin-data: ").expect("the directory").1;
    assert!(!check.status.success());
    assert!(checked.trim_end().ends_with(what), "{checked}\n{said}");
    what.to_owned()
}

#[test]
fn a_damaged_middle_is_named_with_its_place() {
    let mut daemon = few();
    let mut at = 0;
    change(&daemon, FIRST, |bytes| {
        at = find(bytes, &payload(4));
        bytes[at] ^= 1;
    });
    let said = refused(&mut daemon);
    let rest = said.strip_prefix(&format!("{FIRST} is damaged at byte "));
    let (offset, rest) = rest.and_then(|rest| rest.split_once(':')).expect(&said);
    // Where the batch begins that the byte is in.
    let offset: usize = offset.parse().expect("a number");
    assert!((at - 200..at).contains(&offset), "{at}: {said}");
    assert!(rest.ends_with(ADVICE), "{said}");
}

#[test]
fn a_damaged_segment_before_the_last_is_named_too() {
    let mut daemon = much();
    change(&daemon, FIRST, |bytes| bytes[5_000_000] ^= 1);
    let said = refused(&mut daemon);
    assert!(
        said.starts_with(&format!("{FIRST} is damaged at byte ")),
        "{said}"
    );
    assert!(said.ends_with(ADVICE), "{said}");
}

#[test]
fn a_torn_tail_is_cut() {
    let mut daemon = few();
    change(&daemon, FIRST, |bytes| {
        // The last write came to the disk without its end.
        let at = find(bytes, &payload(9));
        bytes[at + 3..].fill(0);
    });
    daemon.start_again();
    assert!(
        daemon.has_logged("removed a write that a crash had cut short; nobody was told of it"),
        "it says so"
    );
    let mut client = daemon.client("two");
    client.subscribe("stored/+", Qos::AtMostOnce);
    let mut found: Vec<_> = (0..9)
        .map(|_| client.receive().publish().topic.to_owned())
        .collect();
    found.sort();
    assert_eq!(found, (0..9).map(topic).collect::<Vec<_>>());
    client.ping();
    // The next one is in the place of what was cut, and there is nothing to cut any more.
    client.publish_retained(&topic(9), b"again", Qos::AtLeastOnce);
    daemon.crash();
    daemon.start_again();
    assert!(!daemon.has_logged("removed a write"));
    let mut client = daemon.client("three");
    client.subscribe(&topic(9), Qos::AtMostOnce);
    client.expect_message(&topic(9), b"again");
}

#[test]
fn a_missing_segment_is_named() {
    let mut daemon = much();
    assert!(segment(&daemon, SECOND).exists());
    std::fs::remove_file(segment(&daemon, FIRST)).expect("a file");
    let expected = format!(
        "{FIRST} is missing: put it back, restore the directory from a backup, or move the \
         directory away to start with an empty one"
    );
    assert_eq!(refused(&mut daemon), expected);
}

#[test]
fn a_newer_format_is_left_to_the_newer_program() {
    let mut daemon = few();
    change(&daemon, FIRST, |bytes| bytes[8] = 2);
    let expected = format!(
        "{FIRST} has format version 2, and this program knows versions up to 1: start the newer \
         program that wrote it"
    );
    assert_eq!(refused(&mut daemon), expected);
    // Nothing was changed: with its version it is what it was.
    change(&daemon, FIRST, |bytes| bytes[8] = 1);
    daemon.start_again();
    assert_eq!(daemon.metric("retained_messages"), 10);
}
