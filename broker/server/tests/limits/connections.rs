//! How many connections, and how fast.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use dunlin_codec::{Connect, ReasonCode, Version};

use crate::daemon::{Daemon, LISTENER};

/// The socket is closed without a word.
fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0]), Ok(0) | Err(_))
}

/// Two fit, a third does not, and one that leaves makes room.
fn two_fit(settings: &str, counter: &str) {
    let daemon = Daemon::start(settings);
    let mut first = daemon.client("first");
    let second = daemon.client("second");
    assert!(is_closed(&mut daemon.dial()));
    assert_eq!(daemon.metric(counter), 1);
    first.ping();
    second.disconnect();
    daemon.expect_metric("connections_closed_total", 1);
    // Its place is free once its socket is closed on both ends.
    let start = Instant::now();
    while daemon.metric("connections") > 1 {
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::yield_now();
    }
    daemon.client("third").ping();
    first.ping();
}

#[test]
fn connections_in_all() {
    let settings = format!("limits.connections = 2\n{LISTENER}");
    two_fit(&settings, "connections_over_limit_total");
}

#[test]
fn connections_of_a_listener() {
    let settings = format!("{LISTENER}max_connections = 2\n");
    two_fit(&settings, "connections_over_listener_limit_total");
}

#[test]
fn connections_of_an_address() {
    let settings = format!("limits.connections_per_address = 2\n{LISTENER}");
    two_fit(&settings, "connections_over_address_limit_total");
}

#[test]
fn sessions() {
    let daemon = Daemon::with("limits.sessions = 2\n");
    let mut first = daemon.client("first");
    let _second = daemon.client("second");
    let (_, reason) = daemon.ask(&Connect {
        version: Version::Mqtt5,
        client_id: "third",
        clean_start: true,
        ..Connect::default()
    });
    assert_eq!(reason, ReasonCode::QuotaExceeded);
    assert_eq!(daemon.metric("sessions_over_limit_total"), 1);
    // One that has a session may come back.
    daemon.client("second").ping();
    first.ping();
}

#[test]
fn the_pace_of_new_connections() {
    let daemon = Daemon::with("limits.handshakes_per_second = 10\n");
    let start = Instant::now();
    let mut clients: Vec<_> = (0..25).map(|n| daemon.client(&format!("{n}"))).collect();
    // Ten at once, then ten a second.
    assert!(
        start.elapsed() >= Duration::from_millis(1400),
        "{:?}",
        start.elapsed()
    );
    assert!(daemon.metric("accepts_paced_total") >= 14);
    clients.iter_mut().for_each(|client| client.ping());
}
