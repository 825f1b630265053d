//! Either broker restarts while messages cross: what was acknowledged arrives.

use std::collections::HashMap;

use dunlin_codec::{Connect, Property, Qos, Version};

use super::daemon::{Daemon, LISTENER};
use super::mosquitto::Mosquitto;
use super::support::{Client, properties};
use super::{CONNECTED, bridge};

/// Messages of each half.
const MESSAGES: usize = 200;

/// A subscriber at the far end whose session waits for it.
fn subscriber(far: &Mosquitto) -> Client {
    let properties = properties(&[Property::SessionExpiryInterval(300)]);
    let (client, _) = Client::request_over(
        far.dial(),
        &Connect {
            version: Version::Mqtt5,
            client_id: "reader",
            properties: properties.as_properties(),
            ..Connect::default()
        },
    );
    client
}

/// What comes until the last message, each acknowledged; how often each came.
fn drain(client: &mut Client, seen: &mut HashMap<Vec<u8>, usize>, last: &[u8]) {
    loop {
        let frame = client.receive();
        if let dunlin_codec::Packet::Pubrel(ack) = frame.packet() {
            client.pubcomp(ack.packet_id);
            continue;
        }
        let publish = frame.publish();
        *seen.entry(publish.payload.to_vec()).or_default() += 1;
        match (publish.qos, publish.packet_id) {
            (Qos::AtLeastOnce, Some(id)) => client.puback(id),
            (Qos::ExactlyOnce, Some(id)) => client.pubrec(id),
            _ => {}
        }
        if publish.payload == last {
            return;
        }
    }
}

fn publish(near: &Daemon, half: &str, qos: Qos) {
    let mut client = near.client("writer");
    for n in 0..MESSAGES {
        let payload = format!("{half} {n}");
        client.publish("both/x", payload.as_bytes(), qos);
    }
}

fn crossing(qos: Qos, disturb: impl FnOnce(&mut Daemon, &mut Mosquitto)) {
    let mut far = Mosquitto::start("allow_anonymous true\n");
    let topics = format!("{{ filter = \"both/#\", qos = {} }}", qos as u8);
    let bridge = bridge(far.port, "", &topics);
    let mut near = Daemon::start(&format!("{LISTENER}{bridge}"));
    near.expect_metric(CONNECTED, 1);
    subscriber(&far).subscribe("both/#", qos);
    publish(&near, "first", qos);
    disturb(&mut near, &mut far);
    publish(&near, "second", qos);
    publish(&near, "last", qos);
    let mut seen = HashMap::new();
    let last = format!("last {}", MESSAGES - 1);
    drain(&mut subscriber(&far), &mut seen, last.as_bytes());
    for half in ["first", "second", "last"] {
        for n in 0..MESSAGES {
            let payload = format!("{half} {n}");
            assert!(seen.contains_key(payload.as_bytes()), "{payload} is lost");
        }
    }
}

#[test]
fn the_other_broker_restarts() {
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        crossing(qos, |near, far| {
            far.stop();
            publish(near, "away", qos);
            far.start_again();
            near.expect_metric(CONNECTED, 1);
        });
    }
}

#[test]
fn this_broker_crashes() {
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        crossing(qos, |near, far| {
            far.stop();
            publish(near, "away", qos);
            near.crash();
            far.start_again();
            near.start_again();
        });
    }
}

#[test]
fn with_a_clean_session_nothing_waits_for_the_other_broker() {
    for (more, expected) in [
        ("clean_session = true", &["before", "away", "after"][..]),
        ("local_clean_session = true", &["before", "after"]),
    ] {
        let mut far = Mosquitto::start("allow_anonymous true\n");
        let bridge = bridge(far.port, more, "{ filter = \"x\", qos = 1 }");
        let near = Daemon::start(&format!("{LISTENER}{bridge}"));
        near.expect_metric(CONNECTED, 1);
        subscriber(&far).subscribe("x", Qos::AtLeastOnce);
        let mut here = near.client("here");
        here.publish("x", b"before", Qos::AtLeastOnce);
        let carried = "bridge_messages_total{bridge=\"cloud\",direction=\"out\"}";
        near.expect_metric(carried, 1);
        far.stop();
        near.expect_metric(CONNECTED, 0);
        // More than the bridge holds itself.
        for _ in 0..300 {
            here.publish("x", b"away", Qos::AtLeastOnce);
        }
        far.start_again();
        near.expect_metric(CONNECTED, 1);
        here.publish("x", b"after", Qos::AtLeastOnce);
        let mut seen = HashMap::new();
        drain(&mut subscriber(&far), &mut seen, b"after");
        let mut seen: Vec<_> = seen.into_keys().collect();
        seen.sort_by_key(|payload| expected.iter().position(|one| one.as_bytes() == payload));
        let expected: Vec<_> = expected.iter().map(|one| one.as_bytes().to_vec()).collect();
        assert_eq!(seen, expected, "{more}");
    }
}
