//! What crosses, under which name, and what does not come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dunlin_bridge::{BridgeSettings, Direction, Fault, Map, Mapped, Qos, Version};
use dunlin_session::client::Options;

use crate::peer::{Peer, Received};
use crate::world::{Far, Near, Running, bridge, rule, until};

const VERSIONS: [Version; 3] = [Version::Mqtt31, Version::Mqtt311, Version::Mqtt5];
const LEVELS: [Qos; 3] = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce];

#[test]
fn messages_cross_both_ways_with_prefixes_and_every_qos() {
    let (near, far) = (Near::start(), Far::start());
    for version in VERSIONS {
        let name = format!("cross{version:?}");
        let rules = vec![
            rule("#", Direction::Out, Qos::ExactlyOnce, "up/", "site/"),
            rule("#", Direction::In, Qos::ExactlyOnce, "down/", "orders/"),
        ];
        let settings = BridgeSettings {
            version,
            ..bridge(&name, far.port, rules)
        };
        let running = Running::connected(settings, near.socket());
        let mut here = Peer::near(&near.socket(), Options::default());
        let mut there = Peer::far(far.port, Options::default());
        there.subscribe("site/#", Qos::ExactlyOnce);
        here.subscribe("down/#", Qos::ExactlyOnce);
        for qos in LEVELS {
            here.publish("up/a/b", b"out", qos, false);
            here.confirmed();
            let received = there.next();
            let topic = received.topic.as_str();
            assert_eq!((topic, received.qos), ("site/a/b", qos), "{version:?}");
            let kept = version == Version::Mqtt5;
            assert_eq!(received.content_type.is_some(), kept, "{version:?}");
            there.publish("orders/x", b"in", qos, false);
            there.confirmed();
            let received = here.next();
            let topic = received.topic.as_str();
            assert_eq!((topic, received.qos), ("down/x", qos), "{version:?}");
        }
        until("the counters", || {
            running.status.in_flight.load(Ordering::Relaxed) == 0
        });
        assert_eq!(running.status.egress.messages.load(Ordering::Relaxed), 3);
        assert_eq!(running.status.ingress.messages.load(Ordering::Relaxed), 3);
        running.stop().expect("no error");
    }
}

#[test]
fn the_qos_of_the_rule_is_the_most() {
    let (near, far) = (Near::start(), Far::start());
    let rules = vec![rule("t", Direction::Out, Qos::AtLeastOnce, "", "")];
    let _running = Running::connected(bridge("most", far.port, rules), near.socket());
    let mut there = Peer::far(far.port, Options::default());
    there.subscribe("t", Qos::ExactlyOnce);
    let mut here = Peer::near(&near.socket(), Options::default());
    here.publish("t", b"1", Qos::ExactlyOnce, false);
    assert_eq!(there.next().qos, Qos::AtLeastOnce);
}

#[test]
fn retained_messages_cross_when_the_bridge_connects_and_stay_retained() {
    let (near, far) = (Near::start(), Far::start());
    let mut here = Peer::near(&near.socket(), Options::default());
    let mut there = Peer::far(far.port, Options::default());
    here.publish("up/before", b"1", Qos::AtLeastOnce, true);
    here.confirmed();
    there.publish("down/before", b"1", Qos::AtLeastOnce, true);
    there.confirmed();
    let rules = vec![
        rule("up/#", Direction::Out, Qos::AtMostOnce, "", ""),
        rule("down/#", Direction::In, Qos::AtLeastOnce, "", ""),
    ];
    let running = Running::connected(bridge("retained", far.port, rules.clone()), near.socket());
    here.publish("up/later", b"2", Qos::AtLeastOnce, true);
    there.publish("down/later", b"2", Qos::AtLeastOnce, true);
    let carried = |running: &Running, out, back| {
        until("both ways", || {
            running.status.egress.messages.load(Ordering::Relaxed) == out
                && running.status.ingress.messages.load(Ordering::Relaxed) == back
        });
    };
    carried(&running, 2, 2);
    for (peer, filter) in [(&mut there, "up/#"), (&mut here, "down/#")] {
        peer.subscribe(filter, Qos::AtLeastOnce);
        let mut both = [peer.next(), peer.next()];
        both.sort_by_key(|received| received.payload.clone());
        assert!(both.iter().all(|received| received.retain), "{both:?}");
        assert_eq!(both.map(|received| received.payload), [b"1", b"2"]);
    }
    running.stop().expect("no error");

    let settings = BridgeSettings {
        outgoing_retain: false,
        remote_client_id: Some("plain".into()),
        ..bridge(
            "plain",
            far.port,
            vec![rule("plain", Direction::Out, Qos::AtLeastOnce, "", "")],
        )
    };
    let running = Running::connected(settings, near.socket());
    here.publish("plain", b"3", Qos::AtLeastOnce, true);
    carried(&running, 1, 0);
    there.subscribe("plain", Qos::AtLeastOnce);
    here.publish("plain", b"4", Qos::AtLeastOnce, false);
    assert_eq!(there.next().payload, b"4");
}

#[test]
fn a_topic_that_goes_both_ways_does_not_echo() {
    let (near, far) = (Near::start(), Far::start());
    for version in [Version::Mqtt311, Version::Mqtt5] {
        let name = format!("both{version:?}");
        let filter = format!("{name}/#");
        let rules = vec![rule(&filter, Direction::Both, Qos::AtLeastOnce, "", "")];
        let settings = BridgeSettings {
            version,
            ..bridge(&name, far.port, rules)
        };
        let _running = Running::connected(settings, near.socket());
        let mut here = Peer::near(&near.socket(), Options::default());
        let mut there = Peer::far(far.port, Options::default());
        here.subscribe(&filter, Qos::AtLeastOnce);
        there.subscribe(&filter, Qos::AtLeastOnce);
        let topic = format!("{name}/t");
        here.publish(&topic, b"from here", Qos::AtLeastOnce, false);
        assert_eq!(there.next().payload, b"from here");
        there.publish(&topic, b"from there", Qos::AtLeastOnce, false);
        // An echo would have come before the answer.
        let at_home: Vec<_> = [here.next(), here.next()].map(|all| all.payload).into();
        assert_eq!(at_home, [&b"from here"[..], b"from there"], "{version:?}");
        assert_eq!(there.next().payload, b"from there");
        here.publish(&topic, b"end", Qos::AtLeastOnce, false);
        assert_eq!(there.next().payload, b"end", "{version:?}");
        assert_eq!(here.next().payload, b"end", "{version:?}");
    }
}

#[test]
fn two_bridges_that_face_each_other_do_not_loop() {
    let (one, other) = (Near::start(), Far::start());
    // Both run here; what they do to the brokers is the same as if each ran in its own.
    let rules = vec![rule("t/#", Direction::Both, Qos::AtLeastOnce, "", "")];
    let first = Running::connected(bridge("first", other.port, rules.clone()), one.socket());
    let second = Running::connected(bridge("second", other.port, rules), one.socket());
    let mut here = Peer::near(&one.socket(), Options::default());
    here.subscribe("t/#", Qos::AtLeastOnce);
    here.publish("t/x", b"1", Qos::AtLeastOnce, false);
    let filtered = |running: &Running| {
        let status = &running.status;
        status.egress.filtered.load(Ordering::Relaxed)
            + status.ingress.filtered.load(Ordering::Relaxed)
    };
    until("it is recognized", || {
        filtered(&first) + filtered(&second) == 2
    });
    here.publish("t/y", b"end", Qos::AtLeastOnce, false);
    let copies = here.up_to(b"end").len();
    // The original, and what came back once by each.
    assert!((1..=3).contains(&copies), "{copies}");
    until("it is over", || filtered(&first) + filtered(&second) == 4);
}

#[test]
fn the_state_of_the_bridge_is_told() {
    let (near, mut far) = (Near::start(), Far::start());
    let rules = vec![rule("x", Direction::Out, Qos::AtLeastOnce, "", "")];
    // Our broker keeps clients out of `$SYS`.
    let settings = BridgeSettings {
        notification_topic: Some("state/of/bridge".into()),
        ..bridge("told", far.port, rules)
    };
    let mut here = Peer::near(&near.socket(), Options::default());
    here.subscribe("state/#", Qos::AtLeastOnce);
    let running = Running::connected(settings, near.socket());
    let state = |peer: &mut Peer| peer.next().payload;
    assert_eq!(state(&mut here), b"0");
    assert_eq!(state(&mut here), b"1");
    let mut there = Peer::far(far.port, Options::default());
    there.subscribe("state/#", Qos::AtLeastOnce);
    assert_eq!(state(&mut there), b"1");
    far.stop();
    assert_eq!(state(&mut here), b"0");
    far.start_again();
    assert_eq!(state(&mut here), b"1");
    let mut there = Peer::far(far.port, Options::default());
    there.subscribe("state/#", Qos::AtLeastOnce);
    let mut last: Received = there.next();
    while last.payload != b"1" {
        last = there.next();
    }
    running.stop().expect("no error");
    assert_eq!(state(&mut there), b"0");
    assert_eq!(state(&mut here), b"0");
}

/// Fails until it is told not to, takes out `drop`, and shouts.
struct Shout(AtomicBool);

impl Map for Shout {
    fn egress(&self, batch: &mut Vec<Mapped>) -> Result<(), Fault> {
        if !self.0.load(Ordering::Relaxed) {
            return Err(Fault("not yet".into()));
        }
        batch.retain(|mapped| mapped.payload != b"drop");
        for mapped in batch.iter_mut() {
            mapped.payload.make_ascii_uppercase();
        }
        batch.push(Mapped::new("seen".into(), b"some".to_vec()));
        Ok(())
    }

    fn ingress(&self, _: &mut Vec<Mapped>) -> Result<(), Fault> {
        Ok(())
    }
}

#[test]
fn a_map_changes_and_drops_and_holds_messages() {
    let (near, far) = (Near::start(), Far::start());
    let rules = vec![rule("t", Direction::Out, Qos::AtLeastOnce, "", "")];
    let shout = Arc::new(Shout(AtomicBool::new(false)));
    let map: Arc<dyn Map> = shout.clone();
    let running = Running::mapped(bridge("map", far.port, rules), near.socket(), map);
    running.is_connected();
    let mut here = Peer::near(&near.socket(), Options::default());
    let mut there = Peer::far(far.port, Options::default());
    there.subscribe("t", Qos::AtLeastOnce);
    for payload in [&b"one"[..], b"drop", b"two"] {
        here.publish("t", payload, Qos::AtLeastOnce, false);
    }
    here.confirmed();
    shout.0.store(true, Ordering::Relaxed);
    let all = [there.next(), there.next()].map(|received| received.payload);
    assert_eq!(all, [b"ONE", b"TWO"]);
    until("the count", || {
        running.status.egress.filtered.load(Ordering::Relaxed) == 1
    });
}
