//! A disk that fails to sync: the broker ends, and nothing that it acknowledged is lost.

use dunlin_codec::{Packet, Publish, Qos};
use tempfile::TempDir;

use crate::daemon::{Daemon, LISTENER};
use crate::faulty::{Fault, dunlin};
use crate::support::id;

/// What the process ends with (EX_IOERR).
const DISK_FAILED: i32 = 74;

#[test]
fn a_failed_sync_stops_the_broker() {
    let home = TempDir::new().expect("a directory");
    let sign = home.path().join("sign");
    let program = dunlin(home.path(), Fault::FailSync, &sign);
    let mut daemon = Daemon::within(program, home, LISTENER);
    let mut client = daemon.client("one");
    client.publish_retained("t", b"acknowledged", Qos::AtLeastOnce);
    std::fs::write(&sign, "").expect("a file");
    client.send(&Packet::Publish(Publish {
        topic: "t",
        payload: b"not acknowledged",
        qos: Qos::AtLeastOnce,
        retain: true,
        packet_id: Some(id(1)),
        ..Publish::default()
    }));
    client.expect_close();
    let (code, said) = daemon.last_words();
    assert_eq!(code, Some(DISK_FAILED), "{said}");
    let line = said.lines().last().unwrap_or_default();
    for part in [
        "the disk failed: stopping",
        "0000000000000001.log",
        "(os error 5)",
        "nothing after it is acknowledged. Check the disk, then start again",
    ] {
        assert!(line.contains(part), "{part}: {said}");
    }
    std::fs::remove_file(&sign).expect("it was there");
    daemon.start_again();
    let mut client = daemon.client("two");
    client.subscribe("t", Qos::AtMostOnce);
    // What was not acknowledged may be there or not.
    let frame = client.receive();
    let payload = frame.publish().payload.to_owned();
    assert!([&b"acknowledged"[..], b"not acknowledged"].contains(&&*payload));
}
