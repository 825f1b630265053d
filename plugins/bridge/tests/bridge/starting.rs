//! When a bridge is connected, and to which address.

use std::sync::atomic::Ordering;
use std::time::Duration;

use dunlin_bridge::{BridgeSettings, Direction, Qos, Start};
use dunlin_session::client::Options;

use crate::peer::Peer;
use crate::world::{Far, Near, Running, bridge, free_port, rule, until};

fn out() -> Vec<dunlin_bridge::TopicRule> {
    vec![rule("t", Direction::Out, Qos::AtLeastOnce, "", "")]
}

#[test]
fn a_lazy_bridge_connects_for_what_waits_and_leaves_when_idle() {
    let (near, far) = (Near::start(), Far::start());
    let settings = BridgeSettings {
        start: Start::Lazy {
            threshold: 3,
            idle_timeout: Duration::from_millis(200),
        },
        ..bridge("lazy", far.port, out())
    };
    let running = Running::start(settings, near.socket());
    let status = running.status.clone();
    until("its own broker", || {
        status.local_connected.load(Ordering::Relaxed)
    });
    let mut there = Peer::far(far.port, Options::default());
    there.subscribe("t", Qos::AtLeastOnce);
    let mut here = Peer::near(&near.socket(), Options::default());
    for round in 0..2 {
        for payload in [b"1", b"2"] {
            here.publish("t", payload, Qos::AtLeastOnce, false);
        }
        here.confirmed();
        assert!(!status.connected.load(Ordering::Relaxed));
        assert_eq!(status.egress.messages.load(Ordering::Relaxed), round * 3);
        here.publish("t", b"3", Qos::AtLeastOnce, false);
        let all = [there.next(), there.next(), there.next()].map(|received| received.payload);
        assert_eq!(all, [b"1", b"2", b"3"]);
        until("it leaves", || !status.connected.load(Ordering::Relaxed));
    }
    running.stop().expect("no error");
}

#[test]
fn a_bridge_that_starts_once_ends_with_its_connection() {
    let (near, mut far) = (Near::start(), Far::start());
    let settings = BridgeSettings {
        start: Start::Once,
        ..bridge("once", far.port, out())
    };
    let mut running = Running::connected(settings, near.socket());
    far.stop();
    let why = running.ended().expect_err("it does not come back");
    assert!(
        why.contains("closed the connection") || why.contains("disconnected us"),
        "{why}"
    );
}

#[test]
fn the_next_address_is_tried() {
    let (near, far) = (Near::start(), Far::start());
    for round_robin in [false, true] {
        let settings = BridgeSettings {
            addresses: vec![
                format!("127.0.0.1:{}", free_port()),
                format!("127.0.0.1:{}", far.port),
            ],
            round_robin,
            ..bridge("next", far.port, out())
        };
        let running = Running::connected(settings, near.socket());
        assert!(running.error().contains("refused"));
        running.stop().expect("no error");
    }
}
