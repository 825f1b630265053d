//! The memory of the whole process.

use std::io::{Read, Write};

use dunlin_codec::{Connect, Packet, Property, Publish, Qos, Version};

use crate::daemon::Daemon;
use crate::support::{id, properties};

/// Large enough for a broker that does nothing, of whatever build.
const BUDGET: &str = "limits.memory = \"64 MiB\"\nlimits.queued_bytes = \"unlimited\"\nlimits.queued_messages = \"unlimited\"\n";

/// Where they are in memory only: what is on disk stays.
#[test]
fn the_largest_queues_are_dropped_first() {
    let mut daemon = Daemon::with(&format!("store = \"memory\"\n{BUDGET}"));
    let properties = properties(&[Property::SessionExpiryInterval(300)]);
    for (client_id, filter) in [("small", "small"), ("large", "large")] {
        let mut client = daemon.client_with(&Connect {
            version: Version::Mqtt5,
            client_id,
            properties: properties.as_properties(),
            ..Connect::default()
        });
        client.subscribe(filter, Qos::AtLeastOnce);
        client.disconnect();
    }
    let mut publisher = daemon.client("publisher");
    publisher.publish("small", b"stays", Qos::AtLeastOnce);
    // Small enough to go through also when memory is short, 80 MiB together.
    let payload = vec![0; 15 * 1024];
    for _ in 0..110 {
        for n in 1..=50 {
            publisher.send(&Packet::Publish(Publish {
                topic: "large",
                payload: &payload,
                qos: Qos::AtLeastOnce,
                packet_id: Some(id(n)),
                ..Publish::default()
            }));
        }
        for n in 1..=50 {
            assert_eq!(publisher.receive().puback().0, n);
        }
    }
    daemon.expect_log("over limits.memory");
    let dropped = daemon.expect_log("queue dropped to save memory");
    assert!(dropped.contains("large"), "{dropped}");
    daemon.expect_log("within limits.memory again");
    daemon.expect_status("/readyz", 200);
    let mut small = daemon.client_with(&Connect {
        version: Version::Mqtt5,
        client_id: "small",
        properties: properties.as_properties(),
        ..Connect::default()
    });
    small.expect_message("small", b"stays");
    publisher.ping();
}

#[test]
fn packets_that_are_never_finished_stop_growing() {
    let mut daemon = Daemon::with(&format!("{BUDGET}limits.packet_size = \"8 MiB\"\n"));
    let mut bystander = daemon.client("bystander");
    let mut hoarders: Vec<_> = (0..40).map(|_| daemon.dial()).collect();
    for (hoarder, id) in hoarders.iter_mut().zip(b'A'..) {
        let connect = *b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x01";
        hoarder.write_all(&connect).expect("it reads");
        hoarder.write_all(&[id]).expect("it reads");
        hoarder.read_exact(&mut [0; 4]).expect("a CONNACK");
        let publish = b"\x30\xF0\xFF\xFF\x03\x00\x01t";
        hoarder.write_all(publish).expect("it reads");
    }
    // 40 times 8 MiB, less a few bytes each, would be five times the budget.
    let piece = vec![0; 64 * 1024];
    for _ in 0..127 {
        for hoarder in &mut hoarders {
            // Whoever goes on when memory is short is cut off.
            let _ = hoarder.write_all(&piece);
        }
        if daemon.http("GET", "/readyz", "").0 == 503 {
            break;
        }
    }
    daemon.expect_log("over limits.memory");
    let mut stranger = daemon.dial();
    assert_eq!(
        stranger.read(&mut [0]).unwrap_or(0),
        0,
        "nobody new comes in meanwhile"
    );
    for hoarder in &mut hoarders {
        let _ = hoarder.write_all(&piece);
        assert_eq!(hoarder.read(&mut [0]).unwrap_or(0), 0);
    }
    assert!(daemon.metric("connections_short_of_memory_total") > 40);
    daemon.expect_log("within limits.memory again");
    daemon.expect_status("/readyz", 200);
    bystander.ping();
    daemon.client("new").ping();
}
