//! What waits for clients, and what is kept for all.

use std::time::{Duration, Instant};

use dunlin_codec::{Connect, Packet, Property, Publish, Qos, ReasonCode, Version};

use crate::daemon::Daemon;
use crate::support::{Client, id, properties};

/// A client that has a session and leaves; its CONNECT to come back.
fn leave(daemon: &Daemon, filter: &str) {
    let mut client = resume(daemon);
    client.subscribe(filter, Qos::AtLeastOnce);
    client.disconnect();
    daemon.expect_metric("connections_closed_total", 1);
}

fn resume(daemon: &Daemon) -> Client {
    let properties = properties(&[Property::SessionExpiryInterval(300)]);
    daemon.client_with(&Connect {
        version: Version::Mqtt5,
        client_id: "away",
        properties: properties.as_properties(),
        ..Connect::default()
    })
}

fn publish(client: &mut Client, topic: &str, payload: &[u8], packet_id: u16) -> ReasonCode {
    client.send(&Packet::Publish(Publish {
        topic,
        payload,
        qos: Qos::AtLeastOnce,
        packet_id: Some(id(packet_id)),
        ..Publish::default()
    }));
    client.receive().puback().1
}

#[test]
fn messages_of_a_queue() {
    let daemon = Daemon::with("workers = 1\nlimits.queued_messages = 5\n");
    leave(&daemon, "t");
    let mut publisher = daemon.client("publisher");
    for n in 1..=8u8 {
        let reason = publish(&mut publisher, "t", &[n], n.into());
        let expected = if n <= 5 {
            ReasonCode::Success
        } else {
            ReasonCode::QuotaExceeded
        };
        assert_eq!(reason, expected, "{n}");
    }
    assert_eq!(daemon.metric("messages_dropped_queue_full_total"), 3);
    assert_eq!(daemon.metric("queued_messages"), 5);
    let mut back = resume(&daemon);
    for n in 1..=5u8 {
        back.expect_message("t", &[n]);
    }
    back.ping();
}

#[test]
fn what_has_expired_does_not_fill_a_queue() {
    let mut daemon = Daemon::with("workers = 1\nlimits.queued_messages = 5\n");
    leave(&daemon, "t");
    let mut publisher = daemon.client("publisher");
    let expiry = properties(&[Property::MessageExpiryInterval(1)]);
    for n in 1..=5u16 {
        publisher.send(&Packet::Publish(Publish {
            topic: "t",
            payload: b"old",
            qos: Qos::AtLeastOnce,
            packet_id: Some(id(n)),
            properties: expiry.as_properties(),
            ..Publish::default()
        }));
        assert_eq!(publisher.receive().puback().1, ReasonCode::Success);
    }
    let start = Instant::now();
    for n in 6..=10 {
        while publish(&mut publisher, "t", b"new", n) == ReasonCode::QuotaExceeded {
            assert!(start.elapsed() < Duration::from_secs(20));
        }
    }
    assert_eq!(daemon.metric("messages_dropped_expired_total"), 5);
    assert_eq!(daemon.metric("queued_messages"), 5);
    daemon.crash();
    daemon.start_again();
    let mut back = resume(&daemon);
    for _ in 6..=10 {
        back.expect_message("t", b"new");
    }
    back.ping();
}

#[test]
fn bytes_of_a_queue() {
    let daemon = Daemon::with("workers = 1\nlimits.queued_bytes = \"10 KiB\"\n");
    leave(&daemon, "t");
    let mut publisher = daemon.client("publisher");
    let payload = [0; 3000];
    let reasons: Vec<_> = (1..=5)
        .map(|n| publish(&mut publisher, "t", &payload, n))
        .collect();
    let full = ReasonCode::QuotaExceeded;
    let good = ReasonCode::Success;
    assert_eq!(reasons, [good, good, good, full, full]);
    assert_eq!(daemon.metric("messages_dropped_queue_full_total"), 2);
    let queued = daemon.metric("queued_bytes");
    assert!((9000..=10_240).contains(&queued), "{queued}");
}

fn retain(daemon: &Daemon, payload: &[u8]) {
    let mut publisher = daemon.client("publisher");
    for n in 1..=4 {
        publisher.publish_retained(&format!("r/{n}"), payload, Qos::AtMostOnce);
    }
    assert_eq!(daemon.metric("retained_refused_total"), 2);
    // A topic that has a value may get another one, and clearing one makes room.
    publisher.publish_retained("r/1", b"new", Qos::AtMostOnce);
    publisher.publish_retained("r/2", b"", Qos::AtMostOnce);
    publisher.publish_retained("r/3", b"fits", Qos::AtMostOnce);
    assert_eq!(daemon.metric("retained_refused_total"), 2);
    publisher.subscribe("r/#", Qos::AtMostOnce);
    let mut found = [publisher.receive(), publisher.receive()].map(|frame| {
        let publish = frame.publish();
        (publish.topic.to_owned(), publish.payload.to_vec())
    });
    found.sort();
    let expected = [("r/1", b"new".to_vec()), ("r/3", b"fits".to_vec())];
    assert_eq!(
        found,
        expected.map(|(topic, payload)| (topic.to_owned(), payload))
    );
    publisher.ping();
}

#[test]
fn retained_messages() {
    let daemon = Daemon::with("limits.retained_messages = 2\nsys.interval = \"0s\"\n");
    retain(&daemon, b"x");
}

#[test]
fn bytes_of_retained_messages() {
    let daemon = Daemon::with("limits.retained_bytes = \"10 KiB\"\nsys.interval = \"0s\"\n");
    retain(&daemon, &[0; 4500]);
}
