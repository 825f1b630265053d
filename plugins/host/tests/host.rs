//! The host itself: its cache, its recorded cases, reloading.

mod common;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use common::{Asked, Bench, Guest, answers, as_acl, bob, componentize, componentize_with, publish};
use dunlin_auth::{Authorizer, Decision};
use dunlin_plugins::{
    Class, Host, HostSettings, Limits, Plugin, PluginSettings, parse_cases, replay,
};
use parking_lot::RwLock;
use wit_component::dummy_module;
use wit_parser::{ManglingAndAbi, Resolve};

#[test]
fn the_second_load_does_not_compile() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("compiled");
    let path = folder.path().join("plugin.wasm");
    let component = Guest::acl(&answers(0, 0, None)).component();
    fs::write(&path, component).expect("writable");
    let load = || {
        let host = Host::new(HostSettings {
            code_cache: Some(cache.clone()),
            broker: Arc::new(Asked::default()),
        });
        let plugin = host
            .expect("a host")
            .load("fixture", &PluginSettings::new(&path))
            .expect("it loads");
        let answer = as_acl(&plugin).authorize(&bob(), &publish("a"));
        assert_eq!(answer.decision, Decision::Allow);
        plugin.status().compiled
    };
    assert_eq!([load(), load(), load()], [true, false, false]);

    let file = fs::read_dir(&cache).expect("a folder").next();
    let file = file.expect("a file").expect("readable").path();
    fs::write(&file, "damaged").expect("writable");
    assert_eq!([load(), load()], [true, false]);
}

#[test]
fn every_world_of_the_contract_is_served() {
    let bench = Bench::new();
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(common::contract()).expect("valid");
    for class in Class::ALL {
        let world = resolve
            .select_world(&[package], Some(class.world()))
            .expect("a world");
        // Has every import and export, and traps in each: so it links, and fails to describe.
        let module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
        let component = componentize(class.world(), module);
        let error = bench.refusal(&bench.settings(&component)).to_string();
        assert!(error.contains("`describe` failed: trap"), "{error}");
    }
}

#[test]
fn exports_that_no_world_names_are_ignored() {
    let bench = Bench::new();
    let core = Guest::acl(&answers(1, 0, None)).core();
    let core = core.replacen("(memory ", r#"(func (export "init")) (memory "#, 1);
    let module = wat::parse_str(core).expect("valid text");
    let world = "include dunlin:plugin/acl-plugin@0.1.0; export init: func();";
    let component = componentize_with(world, module);
    let exported = component.windows(4).any(|name| name == b"init");
    assert!(exported, "it is in the component");
    let plugin = bench.host.load("fixture", &bench.settings(&component));
    let plugin = plugin.expect("it loads");
    let answer = as_acl(&plugin).authorize(&bob(), &publish("a"));
    assert_eq!(answer.decision, Decision::Deny);
}

#[test]
fn plugins_are_replaced_while_others_ask() {
    const RELOADS: u64 = 60;
    let bench = Bench::new();
    let allow = bench.settings(&Guest::acl(&answers(0, 0, None)).component());
    let deny = Guest::acl(&answers(1, 0, None)).component();
    let deny_path = bench.folder.path().join("deny.wasm");
    fs::write(&deny_path, deny).expect("writable");
    let deny = PluginSettings::new(deny_path);
    let load = |settings| bench.host.load("fixture", settings).expect("it loads");

    let current = RwLock::new(load(&allow));
    let (done, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let plugin = current.read().clone();
                    let decision = as_acl(&plugin).authorize(&bob(), &publish("a")).decision;
                    assert!(
                        matches!(decision, Decision::Allow | Decision::Deny),
                        "{:?}",
                        plugin.status().faults
                    );
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for n in 0..RELOADS {
            let settings = if n % 2 == 0 { &deny } else { &allow };
            let next = load(settings);
            *current.write() = next;
        }
        // However fast the reloads were, they were asked beside them.
        while asked.load(Ordering::Relaxed) < 100 {
            thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
    });
    let plugin = current.into_inner();
    assert_eq!(
        as_acl(&plugin).authorize(&bob(), &publish("a")).decision,
        Decision::Allow
    );
}

#[test]
fn instances_are_made_up_to_the_limit_and_shared() {
    let bench = Bench::new();
    let plugin = bench.load(&Guest::acl(&answers(0, 0, None)));
    let acl = as_acl(&plugin);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    acl.authorize(&bob(), &publish("a"));
                }
            });
        }
    });
    let status = plugin.status();
    let unanswered: u64 = status.faults.iter().map(|(_, count)| count).sum();
    assert_eq!(status.calls + unanswered, 8 * 200);
    assert!((1..=Limits::of(Class::Acl).instances).contains(&status.instances));
    assert_eq!(status.memory_bytes, status.instances * (2 << 16));
}

/// Allows topics that begin with `a`.
fn allows_a() -> Guest {
    Guest::acl(&format!(
        "(local.set $i (i32.load8_u (i32.load (i32.add (local.get 12) (i32.const 4)))))
         {}
         (i32.store8 (i32.const 96) (i32.ne (local.get $i) (i32.const 97)))",
        answers(0, 500, None)
    ))
}

const CASES: &str = r#"
{"name": "a", "authorize": {"client": {"client_id": "c"}, "questions": [{"action": "publish", "topic": "a/b"}]}, "expect": [{"effect": "allow", "ttl_ms": 500}]}
{"name": "b", "authorize": {"client": {"client_id": "c"}, "questions": [{"action": "subscribe", "topic": "b/#", "qos": 1}]}, "expect": [{"effect": "deny"}]}
"#;

#[test]
fn recorded_cases_are_replayed() {
    let bench = Bench::new();
    let plugin = bench.load(&allows_a());
    for case in parse_cases(CASES).expect("valid") {
        let replayed = replay(&plugin, &case).expect("of its class");
        assert!(replayed.matches, "{}: {}", case.name, replayed.actual);
        assert_eq!(replayed.actual[0]["scope"], serde_json::Value::Null);
        assert_eq!(replayed.peak_memory_bytes, 2 << 16);
        assert!(!replayed.took.is_zero());
    }
    assert_eq!(plugin.status().calls, 0, "nothing is counted");

    let wrong = CASES.replace("deny", "allow");
    let cases = parse_cases(&wrong).expect("valid");
    assert!(!replay(&plugin, &cases[1]).expect("of its class").matches);
    let other = r#"{"publish": {"client": {"client_id": "c"}, "message": {"topic": "a"}}, "expect": "pass"}"#;
    let cases = parse_cases(other).expect("valid");
    let error = replay(&plugin, &cases[0]).expect_err("another class");
    assert!(error.contains("acl-plugin"), "{error}");
}

#[test]
fn a_plugin_that_fails_its_cases_is_not_loaded() {
    let bench = Bench::new();
    let mut settings = bench.settings(&allows_a().component());
    let path = bench.folder.path().join("cases.jsonl");
    fs::write(&path, CASES).expect("writable");
    settings.cases = Some(path.clone());
    bench.host.load("fixture", &settings).expect("it passes");
    fs::write(&path, CASES.replace("deny", "allow")).expect("writable");
    let error = bench.refusal(&settings).to_string();
    assert!(error.contains("case b: expected"), "{error}");
    let trapping = Guest::acl("unreachable").component();
    fs::write(&settings.path, trapping).expect("writable");
    let error = bench.refusal(&settings).to_string();
    assert!(error.contains(r#""fault":"trap""#), "{error}");
}

/// Asks `http` and grants if the status is 200; denies otherwise.
fn asks_http() -> Guest {
    let ok = "(i32.eq (i32.load16_u (i32.const 804)) (i32.const 200))";
    let guest = Guest::auth(
        &format!(
            "(call $send (i32.const 600) (i32.const 3) (i32.const 603) (i32.const 9)
               (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 100)
               (i32.const 800))
             (i32.store8 (i32.const 64) (i32.const 1))
             (i32.store8 (i32.const 68) (i32.const 0))
             (if (i32.and (i32.eqz (i32.load8_u (i32.const 800))) {ok}) (then
               (i32.store8 (i32.const 64) (i32.const 2))))
             (i32.const 64)"
        ),
        "unreachable",
    );
    Guest {
        body: guest.body.clone() + r#"(data (i32.const 600) "GEThttp://a/")"#,
        ..guest
    }
    .with_imports(
        r#"(import "dunlin:plugin/http@0.1.0" "send"
             (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#,
    )
    .with_manifest(r#","grants":["http"]"#)
}

#[test]
fn recorded_cases_answer_instead_of_the_network() {
    let bench = Bench::new();
    let mut settings = bench.settings(&asks_http().component());
    let error = bench.refusal(&settings).to_string();
    assert!(error.contains("grants.http"), "{error}");
    settings.grants.http.push("https://auth.example.com".into());
    let plugin = bench.host.load("fixture", &settings).expect("it loads");
    assert!(matches!(plugin, Plugin::Auth(_)));
    let cases = r#"
        {"authenticate": {"client_id": "c"}, "http": [{"status": 200, "body": "{}"}], "expect": "next"}
        {"authenticate": {"client_id": "c"}, "http": [{"status": 403}], "expect": {"denied": "bad-credentials"}}
        {"authenticate": {"client_id": "c"}, "expect": {"denied": "bad-credentials"}}"#;
    for case in parse_cases(cases).expect("valid") {
        let replayed = replay(&plugin, &case).expect("of its class");
        assert!(replayed.matches, "{}: {}", case.name, replayed.actual);
    }
}
