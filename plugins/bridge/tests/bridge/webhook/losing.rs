//! A broker and a webhook that end while messages are on their way: none above QoS 0 is lost.

use std::collections::HashSet;

use dunlin_bridge::Qos;

use super::server::{Answer, Server};
use super::{hook, numbers, publish, start, subscribe};
use crate::world::{Near, until};

const MESSAGES: u32 = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    NearCrashes,
    WebhookStops,
    WebhookCrashes,
}

/// `MESSAGES` go out while a blow falls: how many came twice.
fn crossing(blow: Blow, qos: Qos) -> usize {
    let mut near = Near::start();
    // Now and then it is busy.
    let server = Server::start(|number, _| match number % 50 {
        7 => Answer::Status(503),
        _ => Answer::Status(200),
    });
    let settings = hook(server.url(), qos);
    subscribe(&settings, &near);
    let all = numbers(MESSAGES);
    let (first, second) = all.split_at(all.len() / 2);
    publish(&near, qos, first);
    let mut running = start(&settings, &near);
    until("its part", || server.taken().len() >= first.len() / 4);
    assert!(server.taken().len() < first.len(), "too late");
    match blow {
        Blow::NearCrashes => near.crash_and_restart(),
        Blow::WebhookStops => {
            running.stop().expect("no error");
            running = start(&settings, &near);
        }
        Blow::WebhookCrashes => {
            running.crash();
            running = start(&settings, &near);
        }
    }
    publish(&near, qos, second);
    publish(&near, qos, ["end"]);
    until("the end", || {
        server.taken().last().is_some_and(|last| last == "end")
    });
    running.stop().expect("no error");
    let taken = server.taken();
    let different: HashSet<_> = taken.iter().map(String::as_str).collect();
    let lost = all.iter().filter(|one| !different.contains(one.as_str()));
    assert_eq!(lost.count(), 0);
    taken.len() - different.len()
}

/// At QoS 1 our broker sends again what it had not noted yet as acknowledged, which may be more than
/// a window.
#[test]
fn our_broker_crashed() {
    let twice = crossing(Blow::NearCrashes, Qos::AtLeastOnce);
    println!("our broker crashed, QoS 1: {twice} twice");
    let twice = crossing(Blow::NearCrashes, Qos::ExactlyOnce);
    println!("our broker crashed, QoS 2: {twice} twice");
    assert_eq!(twice, 0);
}

#[test]
fn the_webhook_stopped() {
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        assert_eq!(crossing(Blow::WebhookStops, qos), 0, "{qos:?}");
    }
}

#[test]
fn the_webhook_crashed() {
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let twice = crossing(Blow::WebhookCrashes, qos);
        println!("webhook crashed, {qos:?}: {twice} twice");
        // One batch was on its way, and of another the acknowledgements.
        assert!(twice <= 200, "{twice}");
    }
}
