//! Bridges of a broker as an operator runs it: to another Dunlin, and to Debian's Mosquitto.

#[path = "../support/daemon.rs"]
#[allow(dead_code, reason = "every test binary uses its part of it")]
mod daemon;
#[path = "../support/mod.rs"]
mod support;

mod access;
mod mosquitto;
mod reloading;
mod restarts;
mod starting;
mod trust;
mod webhook;

use daemon::{Daemon, LISTENER};
use dunlin_codec::Qos;

/// A bridge to a port of the loopback, in a hurry, with more keys and its topics.
fn bridge(port: u16, more: &str, topics: &str) -> String {
    format!(
        "[[bridges]]\nname = \"cloud\"\naddresses = [\"127.0.0.1:{port}\"]\n\
         restart_pause = \"50ms\"\nrestart_pause_max = \"200ms\"\nremote_clientid = \"site\"\n\
         {more}\ntopics = [{topics}]\n"
    )
}

/// A broker with such a bridge.
fn bridged(port: u16, more: &str, topics: &str) -> Daemon {
    Daemon::start(&format!("{LISTENER}{}", bridge(port, more, topics)))
}

const CONNECTED: &str = "bridge_connected{bridge=\"cloud\"}";
const BOTH: &str = "{ filter = \"both/#\", direction = \"both\", qos = 2 }";

#[test]
fn messages_cross_both_ways_with_prefixes_qos_and_retain() {
    let far = Daemon::with("");
    let near = bridged(
        far.listener(0).port(),
        "",
        "{ filter = \"up/#\", qos = 2, local_prefix = \"l/\", remote_prefix = \"r/\" }, \
         { filter = \"down/#\", direction = \"in\", qos = 1, remote_prefix = \"r/\" }",
    );
    near.expect_metric(CONNECTED, 1);
    let (mut here, mut there) = (near.client("here"), far.client("there"));
    here.subscribe("down/#", Qos::ExactlyOnce);
    there.subscribe("r/up/#", Qos::ExactlyOnce);
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let payload = [b'0' + qos as u8];
        here.publish("l/up/x", &payload, qos);
        let message = there.expect_message("r/up/x", &payload);
        assert_eq!(message.publish().qos, qos);
        there.publish("r/down/x", &payload, qos);
        let message = here.expect_message("down/x", &payload);
        assert_eq!(message.publish().qos, qos.min(Qos::AtLeastOnce));
    }
    here.publish_retained("l/up/kept", b"k", Qos::AtLeastOnce);
    there.expect_message("r/up/kept", b"k");
    let mut later = far.client("later");
    later.subscribe("r/up/kept", Qos::AtLeastOnce);
    assert!(later.expect_message("r/up/kept", b"k").publish().retain);
}

#[test]
fn what_is_shared_both_ways_comes_back_to_nobody() {
    let far = Daemon::with("");
    let near = bridged(far.listener(0).port(), "", BOTH);
    near.expect_metric(CONNECTED, 1);
    let (mut here, mut there) = (near.client("here"), far.client("there"));
    here.subscribe("both/#", Qos::AtLeastOnce);
    there.subscribe("both/#", Qos::AtLeastOnce);
    for n in 0..10 {
        let payload = format!("{n}");
        here.publish("both/a", payload.as_bytes(), Qos::AtLeastOnce);
        here.expect_message("both/a", payload.as_bytes());
        there.expect_message("both/a", payload.as_bytes());
    }
    // A second copy would have come before these.
    there.publish("both/b", b"last", Qos::AtLeastOnce);
    there.expect_message("both/b", b"last");
    here.expect_message("both/b", b"last");
}

#[test]
fn its_state_is_told_by_topic_metrics_and_api() {
    let mut far = Daemon::with("");
    let state = "$SYS/broker/connection/site/state";
    let near = bridged(far.listener(0).port(), "", BOTH);
    near.expect_metric(CONNECTED, 1);
    let mut there = far.client("there");
    there.subscribe(state, Qos::AtLeastOnce);
    there.expect_message(state, b"1");
    let mut here = near.client("here");
    here.subscribe(state, Qos::AtLeastOnce);
    here.expect_message(state, b"1");
    here.publish("both/x", b"x", Qos::AtLeastOnce);
    near.expect_metric(
        "bridge_messages_total{bridge=\"cloud\",direction=\"out\"}",
        1,
    );
    let (status, body) = near.http("GET", "/api/v1/bridges", "");
    assert_eq!(status, 200);
    for part in ["\"name\":\"cloud\"", "\"connected\":true", "\"out\":{"] {
        assert!(body.contains(part), "{part} in {body}");
    }
    far.crash();
    here.expect_message(state, b"0");
    assert_eq!(near.metric(CONNECTED), 0);
    let (_, body) = near.http("GET", "/api/v1/bridges", "");
    assert!(!body.contains("\"last_error\":null"), "{body}");
}

#[test]
fn a_subscription_that_is_refused_is_named() {
    let far = Daemon::with("limits.topic_levels = 2\n");
    let port = far.listener(0).port();
    for (version, reason) in [
        ("5", "Topic Filter invalid"),
        ("3.1.1", "Unspecified error"),
    ] {
        let more = format!("notifications = false\nprotocol_version = \"{version}\"");
        let topics =
            "{ filter = \"a/b/c\", direction = \"in\" }, { filter = \"fine\", direction = \"in\" }";
        let mut near = bridged(port, &more, topics);
        let line = near.expect_log("a subscription was refused");
        for part in ["bridge=\"cloud\"", "a/b/c", reason] {
            assert!(line.contains(part), "{part} in {line}");
        }
        let (_, body) = near.http("GET", "/api/v1/bridges", "");
        let why = format!(
            "\"last_error\":\"127.0.0.1:{port}: refused the subscription to \\\"a/b/c\\\": {reason}\""
        );
        assert!(body.contains(&why), "{body}");
        assert_eq!(near.metric(CONNECTED), 1);
    }
}

#[test]
fn a_connection_that_is_refused_is_called_so() {
    // Too few for the topic of its will.
    let far = Daemon::with("limits.topic_levels = 2\n");
    let mut near = bridged(far.listener(0).port(), "", BOTH);
    let line = near.expect_log("bridge is not connected");
    assert!(line.contains("why=\"the broker refused us: "), "{line}");
}
