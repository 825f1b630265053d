//! How many messages, how large, and how many at a time.

use std::io::Write;
use std::time::{Duration, Instant};

use dunlin_codec::{Connect, Packet, Publish, Qos, ReasonCode, Version};
use rustix::process::Signal;

use crate::daemon::{Daemon, LISTENER};
use crate::support::{Client, id};

fn publish(payload: &[u8], packet_id: u16) -> Packet<'_> {
    Packet::Publish(Publish {
        topic: "t",
        payload,
        qos: Qos::AtLeastOnce,
        packet_id: Some(id(packet_id)),
        ..Publish::default()
    })
}

#[test]
fn messages_a_second() {
    let daemon = Daemon::with("limits.messages_per_second = 20\n");
    let mut client = daemon.client("fast");
    let start = Instant::now();
    for n in 1..=60 {
        client.send(&publish(b"x", n));
        assert_eq!(client.receive().puback().0, n);
    }
    // Twenty at once, then twenty a second.
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(1800), "{took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(daemon.metric("throttled_publishers_total") >= 1);
    client.ping();
}

#[test]
fn another_rate_after_a_reload() {
    let mut daemon = Daemon::with("");
    let mut client = daemon.client("fast");
    daemon.configure(&format!("limits.messages_per_second = 5\n{LISTENER}"));
    daemon.signal(Signal::HUP);
    daemon.expect_log("configuration reloaded");
    // Turns from now on know it: five at once, then five a second.
    client.ping();
    let start = Instant::now();
    for n in 1..=12 {
        client.send(&publish(b"x", n));
        assert_eq!(client.receive().puback().0, n);
    }
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert!(daemon.metric("throttled_publishers_total") >= 1);
}

#[test]
fn a_client_that_is_not_read_is_not_silent() {
    let daemon = Daemon::with("limits.messages_per_second = 1\n");
    let mut client = daemon.client_with(&Connect {
        version: Version::Mqtt311,
        client_id: "fast",
        keep_alive: 1,
        ..Connect::default()
    });
    for n in 1..=4 {
        client.send(&publish(b"x", n));
    }
    for n in 1..=4 {
        assert_eq!(client.receive().puback().0, n);
    }
    // For three seconds nobody reads this.
    client.ping();
    assert_eq!(daemon.metric("keep_alive_timeouts_total"), 0);
}

#[test]
fn bytes_a_second() {
    let daemon = Daemon::with("limits.bytes_per_second = \"64 KiB\"\n");
    let mut client = daemon.client("fast");
    let start = Instant::now();
    let payload = vec![0; 16 * 1024];
    for n in 1..=12 {
        client.send(&publish(&payload, n));
        assert_eq!(client.receive().puback().0, n);
    }
    // 192 KiB, of which 64 at once.
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(1500), "{took:?}");
    assert!(daemon.metric("throttled_publishers_total") >= 1);
    client.ping();
}

#[test]
fn packet_size() {
    let daemon = Daemon::with("limits.packet_size = 1024\n");
    let mut client = daemon.client("large");
    client.send(&publish(&[0; 1000], 1));
    assert_eq!(client.receive().puback().0, 1);
    client.send(&publish(&[0; 1100], 2));
    client.expect_end(ReasonCode::PacketTooLarge);
    assert_eq!(daemon.metric("packets_too_large_total"), 1);
}

#[test]
fn packet_size_of_a_connect() {
    let daemon = Daemon::with("limits.packet_size = 1024\n");
    let password = [0; 1100];
    let connect = Connect {
        version: Version::Mqtt5,
        client_id: "large",
        username: Some("ann"),
        password: Some(&password),
        ..Connect::default()
    };
    let (_, reason) = daemon.ask(&connect);
    assert_eq!(reason, ReasonCode::PacketTooLarge);
    assert_eq!(daemon.metric("packets_too_large_total"), 1);
}

#[test]
fn packet_size_before_authentication() {
    let daemon = Daemon::with("limits.packet_size = 268435460\n");
    // 512 KiB are read, one byte more is not.
    let mut client = Client::over(daemon.dial(), Version::Mqtt5);
    client.send_bytes(b"\x10\xFC\xFF\x1F\x00\x04MQTT\x05\x02\x00");
    let mut larger = Client::over(daemon.dial(), Version::Mqtt5);
    larger.send_bytes(b"\x10\xFD\xFF\x1F\x00\x04MQTT\x05\x02\x00");
    let reason = larger.receive().connack().reason;
    assert_eq!(reason, ReasonCode::PacketTooLarge);
    larger.expect_close();
    let mut stranger = Client::over(daemon.dial(), Version::Mqtt5);
    stranger.send_bytes(b"\x30\xFF\xFF\xFF\x7F\x00\x01t");
    stranger.expect_close();
    assert_eq!(daemon.metric("packets_too_large_total"), 2);
    assert_eq!(daemon.metric("connects_refused_total"), 2);
}

#[test]
fn packet_size_of_a_listener() {
    let listener = "[[listeners]]\naddress = \"127.0.0.1:0\"\n";
    let daemon = Daemon::start(&format!("{listener}max_packet_size = 1024\n"));
    let mut client = daemon.client("large");
    client.send(&publish(&[0; 1100], 2));
    client.expect_end(ReasonCode::PacketTooLarge);
}

#[test]
fn payload_size() {
    let daemon = Daemon::with("limits.payload_size = 1024\n");
    let mut client = daemon.client("large");
    client.subscribe("t", Qos::AtMostOnce);
    client.send(&publish(&[0; 1025], 1));
    assert_eq!(client.receive().puback(), (1, ReasonCode::QuotaExceeded));
    assert_eq!(daemon.metric("publishes_too_large_total"), 1);
    // The client stays, and what fits goes through.
    client.publish("t", &[1; 1024], Qos::AtMostOnce);
    client.expect_message("t", &[1; 1024]);
}

#[test]
fn a_length_that_is_announced_and_never_sent() {
    let daemon = Daemon::with("limits.packet_size = 268435460\n");
    let mut clients: Vec<_> = (0..50).map(|n| daemon.client(&format!("{n}"))).collect();
    let before = daemon.metric("resident_memory_bytes");
    for client in &mut clients {
        // A PUBLISH of 256 MiB, of which the topic comes.
        client.send_bytes(b"\x30\xFF\xFF\xFF\x7F\x00\x01t");
    }
    daemon.expect_metric("bytes_received_total", 50 * 8);
    // The same before CONNECT.
    let mut strangers: Vec<_> = (0..50).map(|_| daemon.dial()).collect();
    for stranger in &mut strangers {
        stranger
            .write_all(b"\x10\xFF\xFF\xFF\x7F\x00\x04MQTT")
            .expect("it reads");
    }
    daemon.expect_metric("bytes_received_total", 50 * 8 + 50 * 11);
    let grown = daemon
        .metric("resident_memory_bytes")
        .saturating_sub(before);
    assert!(grown < 8 * 1024 * 1024, "{grown} bytes");
    assert_eq!(daemon.metric("clients_connected"), 50);
}

#[test]
fn inflight_to_a_client() {
    let daemon = Daemon::with("limits.inflight_messages = 2\n");
    let mut subscriber = daemon.client("subscriber");
    subscriber.subscribe("t", Qos::AtLeastOnce);
    let mut publisher = daemon.client("publisher");
    for n in 0..4u8 {
        publisher.publish("t", &[n], Qos::AtLeastOnce);
    }
    let (first, second) = (subscriber.receive(), subscriber.receive());
    // A PINGRESP comes before the third: the window is full.
    subscriber.ping();
    for (frame, n) in [(first, 0), (second, 1)] {
        assert_eq!(frame.publish().payload, [n]);
        subscriber.puback(frame.publish().packet_id.expect("QoS 1"));
    }
    subscriber.expect_message("t", &[2]);
    subscriber.expect_message("t", &[3]);
}

#[test]
fn inflight_from_a_client() {
    let daemon = Daemon::with("limits.receive_maximum = 2\n");
    let mut client = daemon.client("greedy");
    for n in 1..=3 {
        client.send(&Packet::Publish(Publish {
            topic: "t",
            qos: Qos::ExactlyOnce,
            packet_id: Some(id(n)),
            ..Publish::default()
        }));
    }
    assert_eq!(client.receive().pubrec().0, 1);
    assert_eq!(client.receive().pubrec().0, 2);
    client.expect_end(ReasonCode::ReceiveMaximumExceeded);
    assert_eq!(daemon.metric("receive_maximum_exceeded_total"), 1);
}
