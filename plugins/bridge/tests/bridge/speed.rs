//! How fast messages cross, and what that costs: run by hand, in release.
//!
//! Both ends are Mosquitto, so that the bridge is what is measured.

use std::sync::atomic::Ordering;
use std::time::Instant;

use dunlin_bridge::{BridgeSettings, Direction, Qos};

use crate::peer::{Peer, lasting};
use crate::world::{Far, Running, bridge, rule, until};

const MESSAGES: u64 = 100_000;

#[test]
#[ignore = "a measurement"]
fn speed() {
    for (qos, receive_maximum) in [
        (Qos::AtMostOnce, 100),
        (Qos::AtLeastOnce, 100),
        (Qos::AtLeastOnce, 1000),
        (Qos::ExactlyOnce, 100),
    ] {
        let near = Far::with(
            "allow_anonymous true\nqueue_qos0_messages true\n\
                              listener 0 {dir}/mqtt\n",
            |_| (),
        );
        let far = Far::with("allow_anonymous true\n", |_| ());
        let settings = BridgeSettings {
            receive_maximum,
            notifications: false,
            pending_bytes: 1 << 30,
            ..bridge(
                "speed",
                far.port,
                vec![rule("t", Direction::Out, qos, "", "")],
            )
        };
        let running = Running::connected(settings, near.directory().join("mqtt"));
        let mut here = Peer::far(near.port, lasting("publisher"));
        let carried = || running.status.egress.messages.load(Ordering::Relaxed);
        let start = Instant::now();
        for _ in 0..MESSAGES {
            here.publish("t", &[b'x'; 100], qos, false);
        }
        here.confirmed();
        // Mosquitto may drop some at QoS 0.
        let enough = match qos {
            Qos::AtMostOnce => MESSAGES / 2,
            _ => MESSAGES,
        };
        until("enough of them", || carried() >= enough);
        let took = start.elapsed().as_secs_f64();
        let rate = carried() as f64 / took;
        let cpu = running.cpu_seconds() / carried() as f64 * 1e6;
        println!(
            "{qos:?}, window {receive_maximum}: {rate:.0} messages/s, {cpu:.2} µs of CPU each"
        );
    }
}
