//! What the imports do.

mod common;

use std::time::{SystemTime, UNIX_EPOCH};

use common::{Bench, Guest, answers, as_acl, bob, publish};
use dunlin_auth::{Authorizer, Decision};
use dunlin_codec::Qos;
use dunlin_plugins::{Number, Plugin};

/// An ACL plugin with one import and the grants for all.
fn load(bench: &Bench, import: &str, data: &str, authorize: &str) -> Plugin {
    let guest = Guest::acl(authorize)
        .with_imports(import)
        .with_manifest(r#","grants":["random","crypto","broker"]"#);
    let guest = Guest {
        body: guest.body.clone() + data,
        ..guest
    };
    let mut settings = bench.settings(&guest.component());
    settings.grants.random = true;
    settings.grants.crypto = true;
    settings.grants.broker = true;
    bench.host.load("fixture", &settings).expect("it loads")
}

fn ask(plugin: &Plugin) -> Decision {
    as_acl(plugin).authorize(&bob(), &publish("a")).decision
}

#[test]
fn publish_and_disconnect_happen_after_the_call() {
    let bench = Bench::new();
    let plugin = load(
        &bench,
        r#"(import "dunlin:plugin/broker@0.1.0" "publish"
             (func $publish (param i32 i32 i32 i32 i32 i32 i32)))
           (import "dunlin:plugin/broker@0.1.0" "disconnect" (func $end (param i32 i32)))"#,
        r#"(data (i32.const 600) "t/opspump")"#,
        &format!(
            "(call $publish (i32.const 600) (i32.const 3) (i32.const 603) (i32.const 2)
               (i32.const 1) (i32.const 1) (i32.const 800))
             (call $end (i32.const 605) (i32.const 4))
             {}
             (i32.store8 (i32.const 96) (i32.load8_u (i32.const 800)))",
            answers(0, 0, None)
        ),
    );
    assert_eq!(ask(&plugin), Decision::Allow);
    let expected = ("t/o".to_owned(), b"ps".to_vec(), Qos::AtLeastOnce, true);
    assert_eq!(*bench.broker.published.lock(), [expected]);
    assert_eq!(*bench.broker.disconnected.lock(), ["pump"]);
}

#[test]
fn publishing_is_bounded_and_takes_names_only() {
    let bench = Bench::new();
    for topic in ["a/#", "$SYS/x"] {
        let length = topic.len();
        let plugin = load(
            &bench,
            r#"(import "dunlin:plugin/broker@0.1.0" "publish"
                 (func $publish (param i32 i32 i32 i32 i32 i32 i32)))"#,
            &format!(r#"(data (i32.const 600) "{topic}")"#),
            &format!(
                "(call $publish (i32.const 600) (i32.const {length}) (i32.const 600)
                   (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 800))
                 {}
                 (i32.store8 (i32.const 96) (i32.load8_u (i32.const 800)))",
                answers(0, 0, None)
            ),
        );
        assert_eq!(ask(&plugin), Decision::Deny, "the guest hears of the error");
    }
    let plugin = load(
        &bench,
        r#"(import "dunlin:plugin/broker@0.1.0" "disconnect" (func $end (param i32 i32)))"#,
        r#"(data (i32.const 600) "pump")"#,
        &format!(
            "(local.set $i (i32.const 150))
             (loop $on (call $end (i32.const 600) (i32.const 4))
               (br_if $on (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
             {}",
            answers(0, 0, None)
        ),
    );
    ask(&plugin);
    assert!(bench.broker.published.lock().is_empty());
    assert_eq!(bench.broker.disconnected.lock().len(), 100);
}

#[test]
fn what_a_call_that_fails_asked_for_is_not_done() {
    let bench = Bench::new();
    let plugin = load(
        &bench,
        r#"(import "dunlin:plugin/broker@0.1.0" "disconnect" (func $end (param i32 i32)))"#,
        r#"(data (i32.const 600) "pump")"#,
        "(call $end (i32.const 600) (i32.const 4)) unreachable",
    );
    assert_eq!(ask(&plugin), Decision::Unavailable);
    assert!(bench.broker.disconnected.lock().is_empty());
}

#[test]
fn numbers_are_seen() {
    let bench = Bench::new();
    let plugin = load(
        &bench,
        r#"(import "dunlin:plugin/metrics@0.1.0" "add" (func $add (param i32 i32 i64)))
           (import "dunlin:plugin/metrics@0.1.0" "set" (func $set (param i32 i32 f64)))"#,
        r#"(data (i32.const 600) "ab")"#,
        &format!(
            "(call $add (i32.const 600) (i32.const 1) (i64.const 3))
             (call $set (i32.const 601) (i32.const 1) (f64.const 0.5))
             {}",
            answers(0, 0, None)
        ),
    );
    ask(&plugin);
    ask(&plugin);
    let expected = [
        ("a".to_owned(), Number::Counter(6)),
        ("b".to_owned(), Number::Gauge(0.5)),
    ];
    assert_eq!(plugin.status().numbers, expected);
}

#[test]
fn clocks_tell_the_time() {
    let bench = Bench::new();
    let plugin = load(
        &bench,
        r#"(import "dunlin:plugin/metrics@0.1.0" "add" (func $add (param i32 i32 i64)))
           (import "dunlin:plugin/clock@0.1.0" "wall-ms" (func $wall (result i64)))
           (import "dunlin:plugin/clock@0.1.0" "monotonic-ns" (func $monotonic (result i64)))"#,
        r#"(data (i32.const 600) "ab") (global $begun (mut i64) (i64.const 0))"#,
        &format!(
            "(global.set $begun (call $monotonic))
             (call $add (i32.const 600) (i32.const 1) (call $wall))
             (call $add (i32.const 601) (i32.const 1)
               (i64.extend_i32_u (i64.ge_u (call $monotonic) (global.get $begun))))
             {}",
            answers(0, 0, None)
        ),
    );
    ask(&plugin);
    let numbers = plugin.status().numbers;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let Number::Counter(wall_ms) = numbers[0].1 else {
        panic!("a counter");
    };
    assert!(now.as_millis().abs_diff(wall_ms.into()) < 60_000);
    assert_eq!(numbers[1].1, Number::Counter(1));
}

#[test]
fn hmac_is_that_of_rfc_4231() {
    let bench = Bench::new();
    // Test case 2: key "Jefe", data "what do ya want for nothing?"; it begins with 5b dc c1 46.
    let plugin = load(
        &bench,
        r#"(import "dunlin:plugin/crypto@0.1.0" "hmac-sha256"
             (func $hmac (param i32 i32 i32 i32 i32)))"#,
        r#"(data (i32.const 600) "Jefewhat do ya want for nothing?")"#,
        &format!(
            "(call $hmac (i32.const 600) (i32.const 4) (i32.const 604) (i32.const 28)
               (i32.const 800))
             {}
             (i32.store8 (i32.const 96)
               (i32.or
                 (i32.ne (i32.load (i32.const 804)) (i32.const 32))
                 (i32.ne (i32.load (i32.load (i32.const 800))) (i32.const 0x46c1dc5b))))",
            answers(0, 0, None)
        ),
    );
    assert_eq!(ask(&plugin), Decision::Allow);
}

#[test]
fn random_bytes_are_no_more_than_allowed() {
    let bench = Bench::new();
    let import = r#"(import "dunlin:plugin/random@0.1.0" "bytes" (func $random (param i32 i32)))"#;
    for (count, expected) in [(4_096, Decision::Allow), (4_097, Decision::Unavailable)] {
        let authorize = format!(
            "(call $random (i32.const {count}) (i32.const 800))
             {}
             (i32.store8 (i32.const 96) (i32.ne (i32.load (i32.const 804)) (i32.const {count})))",
            answers(0, 0, None)
        );
        assert_eq!(ask(&load(&bench, import, "", &authorize)), expected);
    }
}

#[test]
fn a_plugin_that_must_answer_at_once_verifies_quick_hashes_only() {
    let bench = Bench::new();
    let import = r#"(import "dunlin:plugin/crypto@0.1.0" "verify-password"
                      (func $verify (param i32 i32 i32 i32 i32)))"#;
    // `$6$`, salt and SHA-512, of no password that anybody knows.
    let quick = format!("$6$c2FsdHNhbHRzYWx0${}==", "A".repeat(86));
    let slow = format!(
        "$argon2id$v=19$m=65536,t=8,p=1$c2FsdHNhbHRzYWx0${}",
        "A".repeat(43)
    );
    for (hash, expected) in [(quick, Decision::Allow), (slow, Decision::Deny)] {
        let length = hash.len();
        let authorize = format!(
            "(call $verify (i32.const 600) (i32.const {length}) (i32.const 600) (i32.const 1)
               (i32.const 900))
             {}
             (i32.store8 (i32.const 96) (i32.load8_u (i32.const 900)))",
            answers(0, 0, None)
        );
        let data = format!(r#"(data (i32.const 600) "{hash}")"#);
        assert_eq!(ask(&load(&bench, import, &data, &authorize)), expected);
    }
}
