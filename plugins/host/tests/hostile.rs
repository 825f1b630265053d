//! What no honest plugin does. Each leaves the host serving others, and is counted.

mod common;

use std::time::{Duration, Instant};

use common::{Bench, Guest, answers, as_acl, bob, faults, publish};
use dunlin_auth::{Authorizer, Decision, PublishFilter, Publishing};
use dunlin_codec::{Properties, Qos};
use dunlin_plugins::{BreakerState, FaultKind, LimitSettings, Plugin};
use dunlin_topic::TopicName;

/// Asks once, and an honest plugin after it: the first fails with this kind of fault, and nothing
/// of it is left in the second's way.
fn fails(bench: &Bench, plugin: &Plugin, kind: FaultKind) {
    let started = Instant::now();
    let before = faults(plugin, kind);
    let answer = as_acl(plugin).authorize(&bob(), &publish("a/b"));
    assert_eq!(answer.decision, Decision::Unavailable);
    assert_eq!(faults(plugin, kind), before + 1);
    // A second on a machine that does something else besides; most need 3 ms.
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(plugin.status().instances, 0, "it is dropped");
    assert_eq!(plugin.status().memory_bytes, 0);

    let honest = bench.acl(&Guest::acl(&answers(0, 0, None)));
    let answer = honest.authorize(&bob(), &publish("a/b"));
    assert_eq!(answer.decision, Decision::Allow);
}

fn misbehaves(guest: &Guest, kind: FaultKind) {
    let bench = Bench::new();
    let plugin = bench.load(guest);
    for _ in 0..3 {
        fails(&bench, &plugin, kind);
    }
}

#[test]
fn endless_loop() {
    misbehaves(
        &Guest::acl("(loop $on (br $on)) unreachable"),
        FaultKind::Deadline,
    );
}

#[test]
fn endless_recursion() {
    let guest = Guest::acl("(call $deeper (i32.const 0))");
    let body = "(func $deeper (param i32) (result i32)
                  (i32.add (call $deeper (local.get 0)) (i32.const 1)))";
    let guest = Guest {
        body: guest.body.clone() + body,
        ..guest
    };
    misbehaves(&guest, FaultKind::Trap);
}

#[test]
fn trap() {
    misbehaves(&Guest::acl("unreachable"), FaultKind::Trap);
    misbehaves(
        &Guest::acl("(i32.div_u (i32.const 1) (i32.const 0))"),
        FaultKind::Trap,
    );
    misbehaves(&Guest::acl("(i32.load (i32.const -4))"), FaultKind::Trap);
}

#[test]
fn memory_growth() {
    // Takes what it gets and ends itself when it gets no more.
    let grow = "(loop $on (br_if $on (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
                unreachable";
    misbehaves(&Guest::acl(grow), FaultKind::Memory);
}

#[test]
fn memory_that_grew_is_given_back() {
    let bench = Bench::new();
    let grow = format!(
        "(drop (memory.grow (i32.const 150))) {}",
        answers(0, 0, None)
    );
    let plugin = bench.load(&Guest::acl(&grow));
    for _ in 0..10 {
        let answer = as_acl(&plugin).authorize(&bob(), &publish("a"));
        assert_eq!(answer.decision, Decision::Allow);
        assert_eq!(
            plugin.status().memory_bytes,
            0,
            "9.8 of 16 MiB are too much to keep"
        );
    }
    assert_eq!(faults(&plugin, FaultKind::Memory), 0);
}

#[test]
fn answers_out_of_bounds() {
    for answer in [
        // A list beyond the memory.
        "(i32.store (i32.const 64) (i32.const 96)) (i32.store (i32.const 68) (i32.const -1))
         (i32.const 64)",
        // The list's own place beyond it, or not aligned.
        "(i32.const -4)",
        "(i32.const 66)",
        // An effect that is none: 3.
        &answers(3, 0, None),
        // A scope that is not text.
        "(i32.store8 (i32.const 512) (i32.const 255))
         (i32.store8 (i32.const 104) (i32.const 1))
         (i32.store (i32.const 108) (i32.const 512))
         (i32.store (i32.const 112) (i32.const 1))
         (i32.store (i32.const 64) (i32.const 96))
         (i32.store (i32.const 68) (i32.const 1))
         (i32.const 64)",
        // No answer, and two of them.
        "(i32.store (i32.const 68) (i32.const 0)) (i32.const 64)",
        "(i32.store (i32.const 64) (i32.const 96)) (i32.store (i32.const 68) (i32.const 2))
         (i32.const 64)",
    ] {
        misbehaves(&Guest::acl(answer), FaultKind::Answer);
    }
}

#[test]
fn answers_larger_than_the_limit() {
    // 60,000 answers of 20 bytes, all within its memory.
    let many = "(drop (memory.grow (i32.const 40)))
                (i32.store (i32.const 64) (i32.const 96))
                (i32.store (i32.const 68) (i32.const 60000))
                (i32.const 64)";
    misbehaves(&Guest::acl(many), FaultKind::Answer);
}

#[test]
fn answers_that_name_the_same_bytes_again_and_again() {
    // 20,000 answers, each with the same 100,000 bytes as its scope: 2 GB for the host.
    let same = "(drop (memory.grow (i32.const 20)))
        (local.set $i (i32.const 200000))
        (loop $next
          (i32.store8 (i32.add (local.get $i) (i32.const 8)) (i32.const 1))
          (i32.store (i32.add (local.get $i) (i32.const 12)) (i32.const 65536))
          (i32.store (i32.add (local.get $i) (i32.const 16)) (i32.const 100000))
          (local.set $i (i32.add (local.get $i) (i32.const 20)))
          (br_if $next (i32.lt_u (local.get $i) (i32.const 600000))))
        (i32.store (i32.const 64) (i32.const 200000))
        (i32.store (i32.const 68) (i32.const 20000))
        (i32.const 64)";
    misbehaves(&Guest::acl(same), FaultKind::Answer);
}

#[test]
fn log_line_of_10_mb() {
    let write = r#"(import "dunlin:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#;
    let guest = Guest::acl(&format!(
        "(drop (memory.grow (i32.const 200)))
         (call $log (i32.const 0) (i32.const 65536) (i32.const 10000000))
         {}",
        answers(0, 0, None)
    ))
    .with_imports(write);
    misbehaves(&guest, FaultKind::Answer);
}

#[test]
fn log_lines_without_end() {
    let bench = Bench::new();
    let write = r#"(import "dunlin:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#;
    let guest = Guest::acl(
        "(loop $on (call $log (i32.const 3) (i32.const 0) (i32.const 8)) (br $on)) unreachable",
    )
    .with_imports(write);
    let plugin = bench.load(&guest);
    fails(&bench, &plugin, FaultKind::Deadline);
    assert!(plugin.status().log_lines_dropped > 0);
}

#[test]
fn a_configuration_that_later_instances_refuse() {
    let bench = Bench::new();
    // The random bytes decide: of 0 to 255 only those below 128 will do.
    let guest = Guest::acl("unreachable")
        .with_imports(
            r#"(import "dunlin:plugin/random@0.1.0" "bytes" (func $random (param i32 i32)))"#,
        )
        .with_manifest(r#","grants":["random"]"#)
        .with_configure(
            "(call $random (i32.const 1) (i32.const 80))
             (i32.store8 (i32.const 32)
               (i32.ge_u (i32.load8_u (i32.load (i32.const 80))) (i32.const 128)))
             (i32.const 32)",
        );
    let mut settings = bench.settings(&guest.component());
    settings.grants.random = true;
    let plugin = (0..200)
        .find_map(|_| bench.host.load("fixture", &settings).ok())
        .expect("half of them load");
    let acl = as_acl(&plugin);
    let mut asked = 0;
    while plugin.status().state == BreakerState::Closed {
        assert_eq!(
            acl.authorize(&bob(), &publish("a")).decision,
            Decision::Unavailable
        );
        asked += 1;
        assert!(asked < 100, "five faults in a row are enough");
    }
    let status = plugin.status();
    let count = |kind| {
        status
            .faults
            .iter()
            .find(|(k, _)| *k == kind)
            .map(|(_, n)| *n)
    };
    let (traps, refused) = (count(FaultKind::Trap), count(FaultKind::Configure));
    assert_eq!(traps.zip(refused).map(|(a, b)| a + b), Some(asked));
}

#[test]
fn the_breaker_opens_and_is_seen() {
    let bench = Bench::new();
    let plugin = bench.load(&Guest::acl("unreachable"));
    let acl = as_acl(&plugin);
    for _ in 0..20 {
        let answer = acl.authorize(&bob(), &publish("a"));
        assert_eq!(answer.decision, Decision::Unavailable);
    }
    assert_eq!(plugin.status().state, BreakerState::Open);
    assert_eq!(
        faults(&plugin, FaultKind::Trap),
        5,
        "later calls do not reach it"
    );
}

#[test]
fn the_breaker_closes_after_a_probe() {
    let bench = Bench::new();
    // The fifth byte of the topic decides whether it traps. Topic: at 4 of the question.
    let guest = Guest::acl(&format!(
        "(if (i32.eq (i32.load8_u (i32.load (i32.add (local.get 12) (i32.const 4))))
                     (i32.const 120)) (then unreachable))
         {}",
        answers(0, 0, None)
    ));
    let plugin = bench.load(&guest);
    let acl = as_acl(&plugin);
    let ask = |topic| acl.authorize(&bob(), &publish(topic)).decision;
    for _ in 0..5 {
        assert_eq!(ask("x"), Decision::Unavailable);
    }
    assert_eq!(ask("good"), Decision::Unavailable, "open");
    let opened = Instant::now();
    while ask("good") != Decision::Allow {
        assert!(opened.elapsed() < Duration::from_secs(30), "a probe comes");
        std::thread::yield_now();
    }
    assert!(opened.elapsed() > Duration::from_millis(900));
    assert_eq!(plugin.status().state, BreakerState::Closed);
}

#[test]
fn a_client_cannot_make_it_fail_by_the_size_of_a_message() {
    let bench = Bench::new();
    let plugin = bench.load(&Guest::filter(
        "(i32.store8 (i32.const 64) (i32.const 0)) (i32.const 64)",
    ));
    let Plugin::Filter(filter) = &plugin else {
        panic!("a filter");
    };
    let payload = vec![0; 5 << 20];
    let message = Publishing {
        topic: TopicName::new("a").expect("valid"),
        payload: &payload,
        qos: Qos::AtMostOnce,
        retain: false,
        properties: Properties::EMPTY,
    };
    for _ in 0..10 {
        filter.on_publish(&bob(), &message);
    }
    assert_eq!(faults(&plugin, FaultKind::Oversized), 10);
    assert_eq!(plugin.status().state, BreakerState::Closed);
}

#[test]
fn more_memory_than_allowed_from_the_start() {
    let bench = Bench::new();
    let mut settings = bench.settings(&Guest::acl(&answers(0, 0, None)).component());
    settings.limits = LimitSettings {
        memory_bytes: Some(64 << 10),
        ..Default::default()
    };
    let error = bench.refusal(&settings).to_string();
    assert!(error.contains("limits.memory_bytes"), "{error}");
}

#[test]
fn an_endless_start_is_no_plugin() {
    let bench = Bench::new();
    let endless =
        Guest::acl(&answers(0, 0, None)).with_configure("(loop $on (br $on)) unreachable");
    let error = bench.refusal(&bench.settings(&endless.component()));
    assert!(error.to_string().contains("took more than"), "{error}");
}
