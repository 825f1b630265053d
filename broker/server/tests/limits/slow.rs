//! Clients that are slow, or gone.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dunlin_codec::{Connect, Packet, Publish, Qos, ReasonCode, Version};

use crate::daemon::{Daemon, dial};

/// Sends a byte whenever nothing has come for a while, until the broker closes; how long that
/// took.
fn drip(address: SocketAddr, bytes: impl Iterator<Item = u8>) -> Duration {
    let mut stream = dial(address);
    let wait = Some(Duration::from_millis(20));
    stream.set_read_timeout(wait).expect("a socket");
    let start = Instant::now();
    for byte in bytes {
        if stream.write_all(&[byte]).is_err() {
            return start.elapsed();
        }
        match stream.read(&mut [0; 64]) {
            Ok(0) => return start.elapsed(),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return start.elapsed(),
        }
    }
    panic!("it was let in")
}

/// The beginning of a ClientHello that would be 4 KiB long.
fn client_hello() -> impl Iterator<Item = u8> {
    let record = [0x16, 3, 1, 0x10, 0, 1, 0, 0x0F, 0xFC, 3, 3];
    record.into_iter().chain(std::iter::repeat_n(0x41, 4080))
}

#[test]
fn a_connect_byte_by_byte_on_every_kind_of_listener() {
    let directory = tempfile::tempdir().expect("a directory");
    let key = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a key");
    let write = |name: &str, text: String| {
        std::fs::write(directory.path().join(name), text).expect("a file");
    };
    write("certificate.pem", key.cert.pem());
    write("key.pem", key.signing_key.serialize_pem());
    let tls = "tls = { certificate = \"{dir}/certificate.pem\", key = \"{dir}/key.pem\" }\n";
    let listener = "[[listeners]]\naddress = \"127.0.0.1:0\"\n";
    let websocket = "protocol = \"websockets\"\n";
    let daemon = Daemon::prepared(
        directory,
        &format!(
            "limits.connect_timeout = \"600ms\"\n{listener}{listener}{websocket}{listener}{tls}\
             {listener}{websocket}{tls}"
        ),
    );
    // A CONNECT whose payload would take its time.
    let connect = b"\x10\xFF\x01\x00\x04MQTT\x04\x02\x00\x3C\x00\xF3";
    let connect = connect
        .iter()
        .copied()
        .chain(std::iter::repeat_n(b'a', 243));
    let upgrade = b"GET /mqtt HTTP/1.1\r\nHost: x\r\nX-Padding: ";
    let upgrade = upgrade
        .iter()
        .copied()
        .chain(std::iter::repeat_n(b'a', 4000));
    let [plain, web, tls, secure_web] = [0, 1, 2, 3].map(|n| daemon.listener(n));
    let dripping = [
        std::thread::spawn(move || drip(plain, connect)),
        std::thread::spawn(move || drip(web, upgrade)),
        std::thread::spawn(move || drip(tls, client_hello())),
        std::thread::spawn(move || drip(secure_web, client_hello())),
    ];
    let took = dripping.map(|client| client.join().expect("it ends"));
    for took in took {
        assert!(took >= Duration::from_millis(550), "{took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
    daemon.expect_metric("connect_timeouts_total", 4);
    daemon.client("quick").ping();
}

#[test]
fn a_client_that_falls_silent() {
    let daemon = Daemon::with("");
    let mut client = daemon.client_with(&Connect {
        version: Version::Mqtt5,
        client_id: "silent",
        clean_start: true,
        keep_alive: 1,
        ..Connect::default()
    });
    let start = Instant::now();
    client.expect_end(ReasonCode::KeepAliveTimeout);
    let took = start.elapsed();
    assert!((1400..5000).contains(&took.as_millis()), "{took:?}");
    assert_eq!(daemon.metric("keep_alive_timeouts_total"), 1);
}

#[test]
fn a_listener_asks_for_a_shorter_keep_alive() {
    let daemon = Daemon::with("limits.keepalive = \"20s\"\n");
    let (_client, connack) = crate::support::Client::request_over(
        daemon.dial(),
        &Connect {
            version: Version::Mqtt5,
            client_id: "for ever",
            clean_start: true,
            keep_alive: 0,
            ..Connect::default()
        },
    );
    assert_eq!(connack.connack().properties.server_keep_alive(), Some(20));
}

#[test]
fn a_subscriber_that_does_not_read() {
    let daemon = Daemon::with("limits.slow_consumer_timeout = \"1s\"\n");
    let mut stuck = daemon.client("stuck");
    stuck.subscribe("flood", Qos::AtMostOnce);
    let mut quick = daemon.client("quick");
    quick.subscribe("trickle", Qos::AtLeastOnce);
    let mut publisher = daemon.client("publisher");
    let payload = vec![0; 64 * 1024];
    let start = Instant::now();
    while daemon.metric("slow_consumers_closed_total") == 0 {
        assert!(start.elapsed() < Duration::from_secs(20));
        publisher.send(&Packet::Publish(Publish {
            topic: "flood",
            payload: &payload,
            ..Publish::default()
        }));
        publisher.publish("trickle", b"x", Qos::AtLeastOnce);
        quick.expect_message("trickle", b"x");
    }
    daemon.expect_metric("connections_closed_total", 1);
    assert_eq!(daemon.metric("clients_connected"), 2);
}
