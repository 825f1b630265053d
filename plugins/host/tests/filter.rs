//! Filter plugins.

mod common;

use common::{Bench, Guest, bob};
use dunlin_auth::{Filtered, PublishFilter, Publishing, Replacement};
use dunlin_codec::{Properties, Qos};
use dunlin_plugins::{OnFailure, Plugin};
use dunlin_topic::TopicName;

fn message(payload: &[u8]) -> Publishing<'_> {
    Publishing {
        topic: TopicName::new("a/b").expect("valid"),
        payload,
        qos: Qos::AtLeastOnce,
        retain: true,
        properties: Properties::EMPTY,
    }
}

/// Passes without a payload, drops what begins with `!`, sends the rest to `clean` without its
/// first byte.
fn three_ways() -> Guest {
    let guest = Guest::filter(
        r#"(local.set $i (i32.load (i32.add (local.get $asked) (i32.const 56))))
           (i32.store8 (i32.const 64) (i32.const 0))
           (if (i32.load (i32.add (local.get $asked) (i32.const 60))) (then
             (if (i32.eq (i32.load8_u (local.get $i)) (i32.const 33))
               (then
                 (i32.store8 (i32.const 64) (i32.const 1))
                 (i32.store (i32.const 68) (i32.const 600))
                 (i32.store (i32.const 72) (i32.const 5)))
               (else
                 (i32.store8 (i32.const 64) (i32.const 2))
                 (i32.store8 (i32.const 68) (i32.const 1))
                 (i32.store (i32.const 72) (i32.const 605))
                 (i32.store (i32.const 76) (i32.const 5))
                 (i32.store8 (i32.const 80) (i32.const 1))
                 (i32.store (i32.const 84) (i32.add (local.get $i) (i32.const 1)))
                 (i32.store (i32.const 88)
                   (i32.sub (i32.load (i32.add (local.get $asked) (i32.const 60)))
                     (i32.const 1)))
                 (i32.store8 (i32.const 92) (i32.const 0))
                 (i32.store8 (i32.const 104) (i32.const 0))))))
           (i32.const 64)"#,
    );
    Guest {
        body: guest.body.clone() + r#"(data (i32.const 600) "no! !clean")"#,
        ..guest
    }
}

#[test]
fn verdicts_are_taken_over() {
    let bench = Bench::new();
    let filter = bench.filter(&three_ways());
    assert_eq!(filter.on_publish(&bob(), &message(b"")), Filtered::Pass);
    assert_eq!(
        filter.on_publish(&bob(), &message(b"!x")),
        Filtered::Drop("no! !".into())
    );
    assert_eq!(
        filter.on_publish(&bob(), &message(b"xyz")),
        Filtered::Replace(Replacement {
            topic: Some("clean".into()),
            payload: Some(b"yz".into()),
            ..Default::default()
        })
    );
}

#[test]
fn only_messages_of_its_topics_are_its_concern() {
    let bench = Bench::new();
    let filter = bench.filter(&three_ways().with_manifest(r#","topics":["a/+","b/#"]"#));
    let concerns = |topic| filter.concerns(TopicName::new(topic).expect("valid"));
    assert!(concerns("a/x") && concerns("b/x/y"));
    assert!(!concerns("a/x/y") && !concerns("c"));
}

#[test]
fn the_configuration_says_what_a_fault_is() {
    let bench = Bench::new();
    let faulty = Guest::filter("unreachable").component();
    for (on_failure, expected) in [
        (OnFailure::Refuse, Filtered::Unavailable),
        (OnFailure::Pass, Filtered::Pass),
    ] {
        let mut settings = bench.settings(&faulty);
        settings.on_failure = on_failure;
        let Ok(Plugin::Filter(filter)) = bench.host.load("fixture", &settings) else {
            panic!("a filter");
        };
        // The last ones find the breaker open.
        for _ in 0..7 {
            assert_eq!(filter.on_publish(&bob(), &message(b"x")), expected);
        }
    }
}
