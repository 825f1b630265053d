//! Brokers and bridges that end while messages are on their way: none above QoS 0 is lost.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use dunlin_bridge::{BridgeSettings, Direction, Qos, Version};
use dunlin_session::client::Options;

use crate::peer::{Peer, Received, lasting};
use crate::world::{Far, Near, Running, bridge, rule, until};

const MESSAGES: u32 = 20_000;

/// What is done in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    FarRestarts,
    NearCrashes,
    BridgeStops,
    BridgeCrashes,
}

/// `MESSAGES` go out while a blow falls: how many came twice.
fn crossing(blow: Blow, qos: Qos, version: Version) -> usize {
    let (mut near, mut far) = (Near::start(), Far::start());
    let settings = BridgeSettings {
        version,
        ..bridge(
            "losing",
            far.port,
            vec![rule("t/#", Direction::Out, qos, "", "")],
        )
    };
    // It keeps what comes until the test reads it, as our broker does for the bridge.
    Peer::far(far.port, lasting("keeper")).subscribe("t/#", Qos::ExactlyOnce);
    let running = Running::connected(settings.clone(), near.socket());
    running.stop().expect("no error");
    publish(&near, qos, 0..MESSAGES / 2);
    let mut running = Running::start(settings.clone(), near.socket());
    let carried = |running: &Running, count: u64| {
        until("half way", || {
            running.status.egress.messages.load(Ordering::Relaxed) >= count
        });
    };
    carried(&running, u64::from(MESSAGES / 8));
    let before = running.status.egress.messages.load(Ordering::Relaxed);
    assert!(before < u64::from(MESSAGES / 2), "too late: {before}");
    match blow {
        Blow::FarRestarts => far.restart(),
        Blow::NearCrashes => near.crash_and_restart(),
        Blow::BridgeStops => {
            running.stop().expect("no error");
            running = Running::start(settings, near.socket());
        }
        Blow::BridgeCrashes => {
            running.crash();
            running = Running::start(settings, near.socket());
        }
    }
    publish(&near, qos, MESSAGES / 2..MESSAGES);
    running.is_connected();
    let mut there = Peer::far(far.port, lasting("keeper"));
    duplicates(there.up_to(b"end"))
}

fn publish(near: &Near, qos: Qos, numbers: std::ops::Range<u32>) {
    let mut here = Peer::near(&near.socket(), Options::default());
    let last = numbers.end == MESSAGES;
    for number in numbers {
        here.publish("t/x", number.to_string().as_bytes(), qos, false);
    }
    if last {
        here.publish("t/x", b"end", qos, false);
    }
    here.confirmed();
}

/// How many came twice; all came.
fn duplicates(received: Vec<Received>) -> usize {
    let mut times: HashMap<u32, usize> = HashMap::new();
    for message in &received {
        let number = std::str::from_utf8(&message.payload).expect("a number");
        *times.entry(number.parse().expect("a number")).or_default() += 1;
    }
    let lost: Vec<_> = (0..MESSAGES)
        .filter(|number| !times.contains_key(number))
        .collect();
    assert!(
        lost.is_empty(),
        "{} lost: {:?}",
        lost.len(),
        &lost[..lost.len().min(20)]
    );
    received.len() - times.len()
}

#[test]
fn far_end_restarted_under_qos_1() {
    let twice = crossing(Blow::FarRestarts, Qos::AtLeastOnce, Version::Mqtt5);
    println!("far restarted, QoS 1, v5: {twice} twice");
}

#[test]
fn far_end_restarted_under_qos_2() {
    for version in [Version::Mqtt311, Version::Mqtt5] {
        let twice = crossing(Blow::FarRestarts, Qos::ExactlyOnce, version);
        println!("far restarted, QoS 2, {version:?}: {twice} twice");
        assert_eq!(twice, 0, "{version:?}");
    }
}

#[test]
fn near_end_crashed_under_qos_1() {
    let twice = crossing(Blow::NearCrashes, Qos::AtLeastOnce, Version::Mqtt311);
    println!("near crashed, QoS 1, 3.1.1: {twice} twice");
}

#[test]
fn near_end_crashed_under_qos_2() {
    let twice = crossing(Blow::NearCrashes, Qos::ExactlyOnce, Version::Mqtt5);
    println!("near crashed, QoS 2, v5: {twice} twice");
    assert_eq!(twice, 0);
}

#[test]
fn bridge_stopped_under_qos_1_and_2() {
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let twice = crossing(Blow::BridgeStops, qos, Version::Mqtt5);
        println!("bridge stopped, {qos:?}, v5: {twice} twice");
        assert_eq!(twice, 0, "{qos:?}");
    }
}

#[test]
fn bridge_crashed_under_qos_1_and_2() {
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let twice = crossing(Blow::BridgeCrashes, qos, Version::Mqtt311);
        println!("bridge crashed, {qos:?}, 3.1.1: {twice} twice");
        // What was in the window, and no more.
        assert!(twice <= 100, "{qos:?}");
    }
}

/// `MESSAGES` come in while a blow falls: how many came twice.
fn coming(blow: Blow) -> usize {
    let (mut near, mut far) = (Near::start(), Far::start());
    let rules = vec![rule("t/#", Direction::In, Qos::ExactlyOnce, "", "")];
    Peer::near(&near.socket(), lasting("keeper")).subscribe("t/#", Qos::ExactlyOnce);
    // It leaves its subscription.
    let settings = bridge("ingress", far.port, rules);
    let running = Running::connected(settings.clone(), near.socket());
    until("a message", || {
        send(&far, "t/first", 0..1);
        running.status.ingress.messages.load(Ordering::Relaxed) > 0
    });
    running.stop().expect("no error");
    send(&far, "t/x", 0..MESSAGES / 2);
    let running = Running::start(settings, near.socket());
    let carried = || running.status.ingress.messages.load(Ordering::Relaxed);
    until("its part", || carried() >= u64::from(MESSAGES / 8));
    assert!(
        carried() < u64::from(MESSAGES / 2),
        "too late: {}",
        carried()
    );
    match blow {
        Blow::FarRestarts => far.restart(),
        _ => near.crash_and_restart(),
    }
    send(&far, "t/x", MESSAGES / 2..MESSAGES);
    send(&far, "t/end", 0..1);
    let mut here = Peer::near(&near.socket(), lasting("keeper"));
    let mut all = Vec::new();
    loop {
        let received = here.next();
        match received.topic.as_str() {
            "t/end" => return duplicates(all),
            "t/x" => all.push(received),
            _ => {}
        }
    }
}

fn send(far: &Far, topic: &str, numbers: std::ops::Range<u32>) {
    let mut there = Peer::far(far.port, Options::default());
    for number in numbers {
        there.publish(
            topic,
            number.to_string().as_bytes(),
            Qos::ExactlyOnce,
            false,
        );
    }
    there.confirmed();
}

#[test]
fn near_end_crashed_while_messages_come_under_qos_2() {
    let twice = coming(Blow::NearCrashes);
    println!("near crashed, ingress, QoS 2, v5: {twice} twice");
    assert_eq!(twice, 0);
}

/// Mosquitto 2.0 sends PUBLISH again after its restart where it has sent PUBREL, against
/// [MQTT-4.3.3-6], and does not count these messages towards Receive Maximum: so some may come
/// twice.
#[test]
fn far_end_restarted_while_messages_come_under_qos_2() {
    let twice = coming(Blow::FarRestarts);
    println!("far restarted, ingress, QoS 2, v5: {twice} twice");
}
