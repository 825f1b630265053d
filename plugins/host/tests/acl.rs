//! Honest ACL plugins.

mod common;

use std::time::Duration;

use common::{Bench, Guest, answers, as_acl, bob, publish};
use dunlin_auth::{Authorizer, Coverage, Decision, Holds, Subscribing};
use dunlin_codec::{Properties, Qos};
use dunlin_plugins::{BreakerState, Class};
use dunlin_topic::TopicFilter;

#[test]
fn effects_and_times_are_taken_over() {
    let bench = Bench::new();
    for (effect, decision) in [
        (0, Decision::Allow),
        (1, Decision::Deny),
        (2, Decision::Next),
    ] {
        let acl = bench.acl(&Guest::acl(&answers(effect, 0, None)));
        let answer = acl.authorize(&bob(), &publish("a/b"));
        assert_eq!((answer.decision, answer.holds), (decision, Holds::Once));
    }
    let acl = bench.acl(&Guest::acl(&answers(0, 1_500, Some("a/#"))));
    let held = |topic| acl.authorize(&bob(), &publish(topic)).holds;
    let time = Duration::from_millis(1_500);
    assert_eq!(
        held("a/b"),
        Holds::For {
            time,
            scope: Some("a/#".into())
        }
    );
    assert_eq!(held("b"), Holds::For { time, scope: None });
}

#[test]
fn it_is_asked_about_subscriptions_and_covers_nothing_wholly() {
    let bench = Bench::new();
    // Denies to subscribe (action 2, at 0 of the question whose address is the 13th argument).
    let acl = bench.acl(&Guest::acl(&format!(
        "(i32.store8 (i32.const 200) (i32.load8_u (local.get 12)))
         {}
         (i32.store8 (i32.const 96) (i32.eq (i32.load8_u (i32.const 200)) (i32.const 2)))",
        answers(0, 0, None)
    )));
    let filter = TopicFilter::new("a/#").expect("valid");
    let subscribing = Subscribing {
        filter,
        qos: Qos::AtLeastOnce,
        properties: Properties::EMPTY,
    };
    assert_eq!(acl.subscribe(&bob(), &subscribing), Decision::Deny);
    assert_eq!(
        acl.authorize(&bob(), &publish("a")).decision,
        Decision::Allow
    );
    assert_eq!(acl.coverage(&bob(), filter), Coverage::Mixed);
}

#[test]
fn the_client_is_charged_and_the_status_tells() {
    let bench = Bench::new();
    let plugin = bench.load(&Guest::acl(&answers(0, 0, None)));
    let (acl, bob) = (as_acl(&plugin), bob());
    for _ in 0..10 {
        acl.authorize(&bob, &publish("a/b"));
    }
    let charged = bob.take_charge();
    assert!(charged > Duration::ZERO);
    let status = plugin.status();
    assert_eq!(status.calls, 10);
    assert!(status.busy > Duration::ZERO && status.busy <= charged);
    assert_eq!((status.instances, status.class), (1, Class::Acl));
    assert_eq!(status.memory_bytes, 2 << 16);
    assert_eq!(status.state, BreakerState::Closed);
    assert_eq!(status.version, "0.1.0");
    assert!(status.compiled);
    assert!(status.faults.iter().all(|(_, count)| *count == 0));
    assert_eq!(
        (plugin.name(), plugin.manifest().name.as_str()),
        ("fixture", "fixture")
    );
}

#[test]
fn invalidation_raises_the_epoch() {
    let bench = Bench::new();
    let guest = Guest::acl(&format!("(call $invalidate) {}", answers(0, 1_000, None)))
        .with_imports(r#"(import "dunlin:plugin/broker@0.1.0" "invalidate" (func $invalidate))"#)
        .with_manifest(r#","grants":["broker"]"#);
    let mut settings = bench.settings(&guest.component());
    settings.grants.broker = true;
    let plugin = bench.host.load("fixture", &settings).expect("it loads");
    let acl = as_acl(&plugin);
    let before = acl.epoch();
    acl.authorize(&bob(), &publish("a"));
    assert_eq!(acl.epoch(), before + 1);
}
