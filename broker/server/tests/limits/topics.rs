//! Topics and filters that are made to hurt.

use std::time::{Duration, Instant};

use dunlin_codec::{Packet, Properties, Publish, Qos, ReasonCode, SubscriptionOptions};

use crate::daemon::Daemon;

fn subscribe(client: &mut crate::support::Client, filter: &str) -> ReasonCode {
    let list = [(filter, SubscriptionOptions::default())];
    client.subscribe_all(&list, Properties::EMPTY)[0]
}

/// A topic that may not be, as a name and as a filter.
fn refused(settings: &str, good: &str, bad: &str) {
    let daemon = Daemon::with(settings);
    let mut client = daemon.client("one");
    client.subscribe(good, Qos::AtMostOnce);
    client.send(&Packet::Publish(Publish {
        topic: good,
        payload: b"x",
        ..Publish::default()
    }));
    client.expect_message(good, b"x");
    assert_eq!(subscribe(&mut client, bad), ReasonCode::TopicFilterInvalid);
    assert_eq!(daemon.metric("filters_refused_total"), 1);
    let mut client = daemon.client("two");
    client.send(&Packet::Publish(Publish {
        topic: bad,
        ..Publish::default()
    }));
    client.expect_end(ReasonCode::TopicNameInvalid);
    assert_eq!(daemon.metric("topics_refused_total"), 1);
}

#[test]
fn levels() {
    refused("limits.topic_levels = 4\n", "a/b/c/d", "a/b/c/d/e");
    refused("", &["a"; 128].join("/"), &"/".repeat(65_000));
}

#[test]
fn length() {
    let (good, bad) = ("a".repeat(64), "a".repeat(65));
    refused("limits.topic_length = 64\n", &good, &bad);
}

#[test]
fn subscriptions_of_a_client() {
    let daemon = Daemon::with("limits.subscriptions = 3\n");
    let mut client = daemon.client("one");
    for n in 0..3 {
        client.subscribe(&format!("t/{n}"), Qos::AtMostOnce);
    }
    assert_eq!(subscribe(&mut client, "t/3"), ReasonCode::QuotaExceeded);
    assert_eq!(daemon.metric("subscriptions_over_limit_total"), 1);
    // One that is there may be made again, and one that goes makes room.
    client.subscribe("t/1", Qos::AtMostOnce);
    client.unsubscribe(&["t/0"]);
    client.subscribe("t/3", Qos::AtMostOnce);
}

/// Every mix of `a` and `+`: the index has two ways to go at each of twelve levels.
#[test]
fn wildcards_at_every_level() {
    const LEVELS: u32 = 12;
    let daemon = Daemon::with("");
    let mut client = daemon.client("bomb");
    for bits in 0..1u32 << LEVELS {
        let level = |n: u32| if bits >> n & 1 == 1 { "+" } else { "a" };
        let filter = (0..LEVELS).map(level).collect::<Vec<_>>().join("/");
        client.subscribe(&filter, Qos::AtMostOnce);
    }
    let topic = vec!["a"; LEVELS as usize].join("/");
    let mut other = daemon.client("other");
    other.subscribe("b", Qos::AtMostOnce);
    let start = Instant::now();
    for n in 0..20u8 {
        client.send(&Packet::Publish(Publish {
            topic: &topic,
            payload: &[n],
            ..Publish::default()
        }));
        other.publish("b", &[n], Qos::AtMostOnce);
        other.expect_message("b", &[n]);
        // Once, however many of its filters match.
        client.expect_message(&topic, &[n]);
    }
    client.ping();
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}
