//! Bridges that begin, change and end while the broker runs.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use dunlin_codec::{Qos, ReasonCode};
use rustix::process::Signal;

use super::daemon::{Daemon, LISTENER};
use super::support::Client;
use super::{BOTH, CONNECTED, bridge};

pub fn reload(daemon: &mut Daemon, bridges: &str) {
    daemon.configure(&format!("{LISTENER}{bridges}"));
    daemon.signal(Signal::HUP);
    daemon.expect_log("configuration reloaded");
}

#[test]
fn a_bridge_begins_goes_on_changes_and_ends() {
    let far = Daemon::with("");
    let port = far.listener(0).port();
    let mut near = Daemon::with("");
    reload(&mut near, &bridge(port, "", BOTH));
    near.expect_metric(CONNECTED, 1);
    let (mut here, mut there) = (near.client("here"), far.client("there"));
    there.subscribe("#", Qos::AtLeastOnce);
    here.publish("both/1", b"x", Qos::AtLeastOnce);
    there.expect_message("both/1", b"x");

    // Nothing about it is different: its connection stays.
    let opened = far.metric("connections_opened_total");
    reload(
        &mut near,
        &format!("# the same\n{}", bridge(port, "", BOTH)),
    );
    here.publish("both/2", b"x", Qos::AtLeastOnce);
    there.expect_message("both/2", b"x");
    assert_eq!(far.metric("connections_opened_total"), opened);

    let topics = "{ filter = \"other/#\", qos = 1 }";
    reload(&mut near, &bridge(port, "", topics));
    near.expect_metric(CONNECTED, 1);
    here.publish("both/3", b"x", Qos::AtLeastOnce);
    here.publish("other/4", b"x", Qos::AtLeastOnce);
    there.expect_message("other/4", b"x");

    reload(&mut near, "");
    let (_, body) = near.http("GET", "/api/v1/bridges", "");
    assert_eq!(body, "{\"bridges\":[]}");
    let state = "$SYS/broker/connection/site/state";
    there.subscribe(state, Qos::AtLeastOnce);
    while there.receive().publish().payload != b"0" {}
}

#[test]
fn a_bridge_that_cannot_run_is_refused_and_nothing_changes() {
    let far = Daemon::with("");
    let port = far.listener(0).port();
    let mut near = super::bridged(port, "", BOTH);
    near.expect_metric(CONNECTED, 1);
    let tls = "tls = { authorities = [\"{dir}/none.pem\"] }";
    for (more, topics, expected) in [
        (
            "",
            "{ filter = \"a/#/b\" }",
            "bridge cloud: topic \"a/#/b\"",
        ),
        ("", "{ filter = \"\" }", "needs a local and a remote prefix"),
        (tls, BOTH, "bridges[0].tls.authorities[0]"),
    ] {
        near.configure(&format!("{LISTENER}{}", bridge(port, more, topics)));
        near.signal(Signal::HUP);
        let line = near.expect_log("reload refused");
        assert!(line.contains(expected), "{line}");
    }
    assert_eq!(near.metric(CONNECTED), 1);
    assert_eq!(near.metric("bridge_reconnects_total{bridge=\"cloud\"}"), 0);
}

#[test]
fn a_broker_that_stops_says_so_to_the_other() {
    let far = Daemon::with("");
    let mut near = super::bridged(far.listener(0).port(), "", BOTH);
    near.expect_metric(CONNECTED, 1);
    let state = "$SYS/broker/connection/site/state";
    let mut there = far.client("there");
    there.subscribe(state, Qos::AtLeastOnce);
    there.expect_message(state, b"1");
    near.signal(Signal::TERM);
    there.expect_message(state, b"0");
    assert!(near.wait().success());
}

#[test]
fn clients_are_told_that_the_broker_stops_though_a_bridge_hangs() {
    let (mut near, mut here, _far) = hanging();
    near.signal(Signal::TERM);
    here.expect_end(ReasonCode::ServerShuttingDown);
    assert!(near.wait().success());
}

#[test]
fn a_bridge_that_comes_back_waits_for_its_predecessors_end() {
    let (mut near, _here, far) = hanging();
    reload(&mut near, "");
    near.configure(&format!("{LISTENER}{}", waiting(&far.0)));
    near.signal(Signal::HUP);
    // Otherwise it would take the session over from what is in flight.
    near.expect_log("bridge stopped");
    near.expect_log("bridge connected to its own broker");
    near.expect_log("configuration reloaded");
}

/// A broker with something in flight on its bridge, which the far end never answers.
fn hanging() -> (Daemon, Client, (TcpListener, TcpStream)) {
    let far = TcpListener::bind("127.0.0.1:0").expect("a port");
    let bridge = waiting(&far);
    let near = Daemon::start(&format!("drain_timeout = \"2s\"\n{LISTENER}{bridge}"));
    let (mut hung, _) = far.accept().expect("the bridge");
    hung.write_all(&[0x20, 3, 0, 0, 0]).expect("it reads");
    near.expect_metric(CONNECTED, 1);
    let mut here = near.client("here");
    here.publish("a", b"x", Qos::AtLeastOnce);
    near.expect_metric("bridge_in_flight{bridge=\"cloud\"}", 2);
    (near, here, (far, hung))
}

fn waiting(far: &TcpListener) -> String {
    let port = far.local_addr().expect("an address").port();
    bridge(port, "", "{ filter = \"a\", qos = 1 }")
}
