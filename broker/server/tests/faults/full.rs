//! The disk fills up under load, and is freed again.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use dunlin_codec::{Connect, Packet, Publish, Qos, ReasonCode, Version};
use tempfile::TempDir;

use crate::daemon::{BINARY, Daemon, LISTENER};
use crate::publisher::{Publisher, Until};
use crate::small_disk::SmallDisk;
use crate::subscriber::{END, Subscriber};
use crate::support::{Client, id};

/// Bytes of the whole disk.
const DISK: u64 = 32 << 20;
/// How long an acknowledgement may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Acknowledgements that count as load.
const SOME: usize = 200;

#[test]
fn no_space_is_left() {
    fill_up("no space left", 0, 0);
}

#[test]
fn less_than_the_reserve_is_left() {
    fill_up("less than the reserve", 8 << 20, 6 << 20);
}

/// A broker that keeps `reserve` bytes free meets a disk on which `left` bytes are.
fn fill_up(name: &str, reserve: u64, left: u64) {
    let disk = SmallDisk::new(DISK);
    let mut daemon = start(&disk, reserve);
    let mut away = Subscriber::new("away".into(), Version::Mqtt5);
    away.subscribe(daemon.listener(0));
    let mut publishers = [Qos::AtLeastOnce, Qos::ExactlyOnce]
        .map(|qos| Publisher::new(format!("{qos:?}"), Version::Mqtt5, qos, 64));
    let (acknowledged, heard) = channel();
    let first = under_load(&mut publishers, &mut daemon, &acknowledged, |daemon| {
        expect_some(&heard);
        disk.fill(left);
        daemon.expect_status("/readyz", 503);
        expect_refusals(daemon);
        expect_answer(daemon, left);
        let ready = until_ready(&disk, daemon);
        while heard.try_recv().is_ok() {}
        expect_some(&heard);
        // The second time it dies of it.
        disk.fill(left);
        daemon.expect_status("/readyz", 503);
        ready
    });
    daemon.start_again();
    let second = under_load(&mut publishers, &mut daemon, &acknowledged, |daemon| {
        daemon.expect_status("/readyz", 503);
        until_ready(&disk, daemon)
    });
    daemon.start_again();
    let lost = settle(&mut publishers, &mut away, &daemon, &acknowledged);
    println!(
        "{name}: {} acknowledged, {} refused, lost {lost}; ready {:.3} s after room was made, and \
         {:.3} s after a start on the full disk",
        publishers
            .iter()
            .map(|one| one.acknowledged().len())
            .sum::<usize>(),
        publishers.iter().map(Publisher::refused).sum::<u32>(),
        first.as_secs_f64(),
        second.as_secs_f64(),
    );
    assert_eq!(lost, 0);
}

fn start(disk: &SmallDisk, reserve: u64) -> Daemon {
    let settings = format!(
        "data_dir = \"{}\"\nsys.interval = \"0s\"\nlimits.disk_reserve = {reserve}\n\
         limits.queued_messages = \"unlimited\"\nlimits.queued_bytes = \"unlimited\"\n{LISTENER}",
        disk.path("data").display()
    );
    Daemon::within(
        disk.program(BINARY),
        TempDir::new().expect("a directory"),
        &settings,
    )
}

/// Does something while all publish, then kills the broker.
fn under_load<T>(
    publishers: &mut [Publisher],
    daemon: &mut Daemon,
    acknowledged: &Sender<()>,
    work: impl FnOnce(&mut Daemon) -> T,
) -> T {
    let address = daemon.listener(0);
    thread::scope(|scope| {
        for publisher in publishers {
            scope.spawn(|| publisher.run(address, Until::Killed, acknowledged));
        }
        let result = work(daemon);
        daemon.crash();
        result
    })
}

fn expect_some(heard: &Receiver<()>) {
    for _ in 0..SOME {
        heard.recv_timeout(PATIENCE).expect("an acknowledgement");
    }
}

/// What clients see of a broker that has no room.
fn expect_refusals(daemon: &mut Daemon) {
    let why = "the disk of data_dir is full\n";
    assert_eq!(daemon.http("GET", "/readyz", ""), (503, why.into()));
    assert_eq!(daemon.http("GET", "/livez", "").0, 200);
    daemon.expect_log("the disk is full: messages above QoS 0 and retained ones are refused");
    assert_eq!(daemon.metric("short_of_storage"), 1);
    let refused = daemon.metric("publishes_storage_full_total");

    let mut newer = daemon.client("newer");
    newer.send(&publish(Qos::AtLeastOnce, false));
    assert_eq!(newer.receive().puback(), (1, ReasonCode::QuotaExceeded));
    newer.send(&publish(Qos::ExactlyOnce, false));
    assert_eq!(newer.receive().pubrec(), (1, ReasonCode::QuotaExceeded));
    // Nobody is told of one at QoS 0.
    newer.send(&publish(Qos::AtMostOnce, true));
    newer.ping();
    daemon.expect_metric("publishes_storage_full_total", refused + 3);

    let mut older = daemon.client_with(&Connect {
        version: Version::Mqtt311,
        client_id: "older",
        clean_start: true,
        ..Connect::default()
    });
    older.subscribe("full", Qos::ExactlyOnce);
    // Nothing was retained, and QoS 0 flows.
    newer.publish("full", b"flows", Qos::AtMostOnce);
    older.expect_message("full", b"flows");
    older.send(&publish(Qos::AtLeastOnce, false));
    older.expect_close();
}

/// A session that is to last needs some bytes of the reserve: where nothing is left, it is refused
/// at once. Load may have used up the reserve, too.
fn expect_answer(daemon: &Daemon, left: u64) {
    let (_client, reason) = daemon.ask(&Connect {
        version: Version::Mqtt311,
        client_id: "lasting",
        clean_start: false,
        ..Connect::default()
    });
    match reason {
        ReasonCode::ServerUnavailable => {}
        reason => assert!(left > 0 && reason == ReasonCode::Success, "{reason:?}"),
    }
}

fn publish(qos: Qos, retain: bool) -> Packet<'static> {
    Packet::Publish(Publish {
        topic: "full",
        payload: b"refused",
        qos,
        retain,
        packet_id: (qos != Qos::AtMostOnce).then(|| id(1)),
        ..Publish::default()
    })
}

/// Makes room; how long until the broker is ready by itself, and takes messages.
fn until_ready(disk: &SmallDisk, daemon: &Daemon) -> Duration {
    disk.free();
    let start = Instant::now();
    daemon.expect_status("/readyz", 200);
    let ready = start.elapsed();
    let mut client: Client = daemon.client("after");
    client.publish_retained("full", b"taken", Qos::AtLeastOnce);
    client.publish_retained("full", b"", Qos::AtLeastOnce);
    ready
}

/// Completes what is open, and has all delivered; how many that were acknowledged are not there.
fn settle(
    publishers: &mut [Publisher],
    away: &mut Subscriber,
    daemon: &Daemon,
    acknowledged: &Sender<()>,
) -> usize {
    for publisher in publishers.iter_mut() {
        publisher.run(daemon.listener(0), Until::Settled, acknowledged);
    }
    let mut client = daemon.client("end");
    client.publish(END, b"the last", Qos::ExactlyOnce);
    away.run(daemon.listener(0));
    assert!(away.has_ended(), "the broker closed");
    let lost = |publisher: &Publisher| {
        let delivered: Vec<_> = away.delivered(publisher.topic()).to_vec();
        let unique: BTreeSet<_> = delivered.iter().copied().collect();
        if publisher.qos() == Qos::ExactlyOnce {
            assert_eq!(delivered.len(), unique.len(), "doubled at QoS 2");
        }
        publisher.acknowledged().difference(&unique).count()
    };
    publishers.iter().map(lost).sum()
}
