//! Auth plugins, and what happens beside them.

mod common;

use std::{
    sync::Arc,
    task::{Context, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use common::{Bench, Guest, faults};
use dunlin_auth::{
    Action, Authenticator, ConnectRequest, Denial, Details, EnhancedAuthentication, Outcome,
    Principal, Question,
};
use dunlin_plugins::{AuthPlugin, BreakerState, FaultKind, LimitSettings, Plugin};
use dunlin_topic::TopicName;

const NEXT: &str = "(i32.store8 (i32.const 64) (i32.const 2)) (i32.const 64)";
const LOOP: &str = "(loop $on (br $on)) unreachable";

fn connect() -> ConnectRequest {
    ConnectRequest {
        client_id: "pump".into(),
        username: Some("bob".into()),
        password: Some(Bytes::from_static(b"secret")),
        ..Default::default()
    }
}

fn begins(method: &str) -> ConnectRequest {
    ConnectRequest {
        authentication: Some(EnhancedAuthentication {
            method: method.into(),
            data: Bytes::new(),
        }),
        ..connect()
    }
}

fn as_auth(plugin: &Plugin) -> Arc<AuthPlugin> {
    match plugin {
        Plugin::Auth(plugin) => Arc::clone(plugin),
        _ => panic!("an auth plugin"),
    }
}

fn is_unavailable(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Denied(Denial::Unavailable(_)))
}

/// Grants with the claimed user name, an attribute `role`=`boss`, 60 s and the rule
/// `read-write home/%u/#`.
fn granting() -> Guest {
    let strings = r#"(data (i32.const 600) "rolebosshome/%u/#")"#;
    let guest = Guest::auth(
        "(i32.store8 (i32.const 64) (i32.const 0))
         (i32.store8 (i32.const 68) (i32.load8_u (i32.add (local.get $asked) (i32.const 8))))
         (i32.store (i32.const 72) (i32.load (i32.add (local.get $asked) (i32.const 12))))
         (i32.store (i32.const 76) (i32.load (i32.add (local.get $asked) (i32.const 16))))
         (i32.store (i32.const 80) (i32.const 200))
         (i32.store (i32.const 84) (i32.const 1))
         (i32.store (i32.const 200) (i32.const 600))
         (i32.store (i32.const 204) (i32.const 4))
         (i32.store (i32.const 208) (i32.const 604))
         (i32.store (i32.const 212) (i32.const 4))
         (i32.store8 (i32.const 88) (i32.const 1))
         (i32.store (i32.const 92) (i32.const 60))
         (i32.store8 (i32.const 96) (i32.const 1))
         (i32.store (i32.const 100) (i32.const 220))
         (i32.store (i32.const 104) (i32.const 1))
         (i32.store8 (i32.const 220) (i32.const 3))
         (i32.store (i32.const 224) (i32.const 608))
         (i32.store (i32.const 228) (i32.const 9))
         (i32.store (i32.const 108) (i32.const 0))
         (i32.store (i32.const 112) (i32.const 0))
         (i32.const 64)",
        NEXT,
    );
    Guest {
        body: guest.body.clone() + strings,
        ..guest
    }
}

/// Asks back until its state has three bytes, then grants without a name. Each state is the last
/// one and the first byte of the client's data.
fn asking_back() -> Guest {
    let ask = |state: &str, length: &str| {
        format!(
            "(i32.store8 (i32.const 64) (i32.const 3))
             (i32.store (i32.const 68) (i32.const 600))
             (i32.store (i32.const 72) (i32.const 4))
             (i32.store (i32.const 76) {state})
             (i32.store (i32.const 80) {length})
             (i32.const 64)"
        )
    };
    let zero = "(i32.const 0)";
    let length = "(i32.load (i32.add (local.get $asked) (i32.const 108)))";
    let resume = format!(
        "(if (result i32) (i32.ge_u {length} (i32.const 2))
           (then
             (i32.store8 (i32.const 64) (i32.const 0)) (i32.store8 (i32.const 68) (i32.const 0))
             (i32.store (i32.const 80) (i32.const 0)) (i32.store (i32.const 84) (i32.const 0))
             (i32.store8 (i32.const 88) (i32.const 0))
             (i32.store8 (i32.const 96) (i32.const 0))
             (i32.store (i32.const 108)
               (i32.load (i32.add (local.get $asked) (i32.const 104))))
             (i32.store (i32.const 112) {length})
             (i32.const 64))
           (else
             (i32.store8 (i32.const 700)
               (i32.load8_u (i32.load (i32.add (local.get $asked) (i32.const 112)))))
             (if (i32.eq {length} (i32.const 1)) (then
               (i32.store8 (i32.const 701) (i32.load8_u (i32.const 700)))
               (i32.store8 (i32.const 700)
                 (i32.load8_u (i32.load (i32.add (local.get $asked) (i32.const 104)))))))
             {}))",
        ask(
            "(i32.const 700)",
            &format!("(i32.add {length} (i32.const 1))")
        )
    );
    let guest = Guest::auth(&ask(zero, zero), &resume);
    Guest {
        body: guest.body.clone() + r#"(data (i32.const 600) "more")"#,
        ..guest
    }
}

#[tokio::test]
async fn a_grant_brings_name_attributes_time_and_rules() {
    let bench = Bench::new();
    let plugin = bench.auth(&granting());
    let Outcome::Granted(grant) = plugin.authenticate(&connect()).await else {
        panic!("granted");
    };
    assert_eq!(grant.username.as_deref(), Some("bob"));
    assert_eq!(grant.attributes, [("role".into(), "boss".into())]);
    assert_eq!(grant.expires, Some(Duration::from_secs(60)));
    let bob = Principal::new("pump", Some("bob".into())).with_details(Details {
        rules: grant.rules,
        ..Default::default()
    });
    let rules = bob.rules().expect("rules");
    let may = |topic| {
        let topic = TopicName::new(topic).expect("valid");
        rules.authorize(&bob, &Question::new(Action::Publish, topic))
    };
    assert_eq!(may("home/bob/lamp"), dunlin_auth::Decision::Allow);
    assert_eq!(may("home/eve/lamp"), dunlin_auth::Decision::Deny);
}

#[tokio::test]
async fn an_exchange_goes_over_several_steps() {
    let bench = Bench::new();
    let plugin = bench.auth(&asking_back());
    let request = begins("TEST");
    let mut outcome = plugin.authenticate(&request).await;
    for reply in ["x", "y"] {
        let Outcome::Continue { data, state } = outcome else {
            panic!("asked back");
        };
        assert_eq!(data, "more");
        outcome = plugin.resume(&request, state, reply.into()).await;
    }
    let Outcome::Continue { state, .. } = outcome else {
        panic!("asked back");
    };
    let Outcome::Granted(grant) = plugin.resume(&request, state, "z".into()).await else {
        panic!("granted");
    };
    assert_eq!(grant.data.as_deref(), Some(&b"xy"[..]));
}

#[tokio::test]
async fn a_client_without_a_method_is_not_asked_back() {
    let bench = Bench::new();
    let plugin = bench.load(&asking_back());
    let outcome = as_auth(&plugin).authenticate(&connect()).await;
    assert!(is_unavailable(&outcome));
    assert_eq!(faults(&plugin, FaultKind::Answer), 1);
}

#[tokio::test]
async fn an_exchange_ends_after_eight_steps() {
    let bench = Bench::new();
    let again = "(i32.store8 (i32.const 64) (i32.const 3))
                 (i32.store (i32.const 72) (i32.const 0))
                 (i32.store (i32.const 80) (i32.const 0)) (i32.const 64)";
    let plugin = bench.load(&Guest::auth(again, again));
    let (auth, request) = (as_auth(&plugin), begins("TEST"));
    let mut outcome = auth.authenticate(&request).await;
    let mut steps = 0;
    while let Outcome::Continue { state, .. } = outcome {
        steps += 1;
        outcome = auth.resume(&request, state, Bytes::new()).await;
    }
    assert_eq!(steps, 8);
    assert!(is_unavailable(&outcome));
    assert_eq!(faults(&plugin, FaultKind::Answer), 1);
}

#[tokio::test]
async fn denials_are_told_from_faults() {
    let bench = Bench::new();
    for (denial, expected) in [
        (0, Denial::BadCredentials),
        (1, Denial::NotAuthorized),
        (2, Denial::BadMethod),
    ] {
        let deny = format!(
            "(i32.store8 (i32.const 64) (i32.const 1))
             (i32.store8 (i32.const 68) (i32.const {denial})) (i32.const 64)"
        );
        let plugin = bench.load(&Guest::auth(&deny, NEXT));
        let outcome = as_auth(&plugin).authenticate(&connect()).await;
        assert!(matches!(outcome, Outcome::Denied(denial) if denial == expected));
        assert_eq!(faults(&plugin, FaultKind::Trap), 0);
    }
    let plugin = bench.auth(&Guest::auth(NEXT, NEXT));
    assert!(matches!(
        plugin.authenticate(&connect()).await,
        Outcome::Next
    ));

    let plugin = bench.load(&Guest::auth("unreachable", NEXT));
    for _ in 0..7 {
        let outcome = as_auth(&plugin).authenticate(&connect()).await;
        assert!(is_unavailable(&outcome));
    }
    assert_eq!(faults(&plugin, FaultKind::Trap), 5);
    assert_eq!(plugin.status().state, BreakerState::Open);
}

/// One instance and 200 ms.
fn slow(bench: &Bench, guest: &Guest) -> Plugin {
    let mut settings = bench.settings(&guest.component());
    settings.limits = LimitSettings {
        deadline: Some(Duration::from_millis(200)),
        instances: Some(1),
        ..Default::default()
    };
    bench.host.load("slow", &settings).expect("it loads")
}

#[tokio::test]
async fn waiting_is_bounded_too() {
    let bench = Bench::new();
    let plugin = slow(&bench, &Guest::auth(LOOP, NEXT));
    let auth = as_auth(&plugin);
    let request = connect();
    let (one, other) = tokio::join!(auth.authenticate(&request), auth.authenticate(&request));
    assert!(is_unavailable(&one) && is_unavailable(&other));
    let faults = plugin.status().faults;
    let count = |kind| faults.iter().find(|(k, _)| *k == kind).expect("listed").1;
    assert_eq!(count(FaultKind::Deadline) + count(FaultKind::Busy), 2);
    assert!(count(FaultKind::Deadline) >= 1);
}

#[tokio::test]
async fn who_stops_waiting_leaves_no_permit_behind() {
    let bench = Bench::new();
    // Loops for the user name "loop", and has no opinion of others.
    let plugin = slow(
        &bench,
        &Guest::auth(
            "(loop $on (br_if $on (i32.eq
                (i32.load (i32.load (i32.add (local.get $asked) (i32.const 12))))
                (i32.const 0x706f6f6c))))
             (i32.store8 (i32.const 64) (i32.const 2)) (i32.const 64)",
            NEXT,
        ),
    );
    let auth = as_auth(&plugin);
    let looping = ConnectRequest {
        username: Some("loop".into()),
        ..connect()
    };
    for _ in 0..3 {
        let mut left = auth.authenticate(&looping);
        let polled = left.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        drop(left);
    }
    // The one that got the permit keeps it until its deadline, the others never had it.
    let other = ConnectRequest {
        username: Some("other".into()),
        ..connect()
    };
    let started = Instant::now();
    while !matches!(auth.authenticate(&other).await, Outcome::Next) {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "a permit is lost"
        );
    }
    assert_eq!(plugin.status().instances, 1);
}

#[tokio::test]
async fn a_host_call_beyond_the_deadline_ends_the_guest() {
    let bench = Bench::new();
    // argon2id with 64 MiB and 8 passes takes some 100 ms and more; the deadline is 20 ms.
    let digest = "A".repeat(43);
    let hash = format!("$argon2id$v=19$m=65536,t=8,p=1$c2FsdHNhbHRzYWx0${digest}");
    let length = hash.len();
    let guest = Guest::auth(
        &format!(
            "(call $verify (i32.const 600) (i32.const {length}) (i32.const 600) (i32.const 8)
               (i32.const 800))
             {NEXT}"
        ),
        NEXT,
    );
    let guest = Guest {
        body: guest.body.clone() + &format!(r#"(data (i32.const 600) "{hash}")"#),
        ..guest
    }
    .with_imports(
        r#"(import "dunlin:plugin/crypto@0.1.0" "verify-password"
             (func $verify (param i32 i32 i32 i32 i32)))"#,
    )
    .with_manifest(r#","grants":["crypto"]"#);
    let mut settings = bench.settings(&guest.component());
    settings.grants.crypto = true;
    settings.limits.deadline = Some(Duration::from_millis(20));
    let plugin = bench.host.load("blocking", &settings).expect("it loads");
    let outcome = as_auth(&plugin).authenticate(&connect()).await;
    assert!(is_unavailable(&outcome));
    // It is counted when the import returns, for which nobody waits.
    let started = Instant::now();
    while faults(&plugin, FaultKind::Deadline) == 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "it is counted");
        tokio::task::yield_now().await;
    }

    let honest = bench.auth(&Guest::auth(NEXT, NEXT));
    assert!(matches!(
        honest.authenticate(&connect()).await,
        Outcome::Next
    ));
}
