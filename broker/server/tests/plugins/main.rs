//! The plugins that ship, in a broker as an operator runs it.

#[path = "../support/daemon.rs"]
#[allow(dead_code, reason = "every test binary uses its part of it")]
mod daemon;
#[path = "../support/mod.rs"]
mod support;

mod hostile;
#[path = "../support/scale.rs"]
mod scale;
mod sdk_readme;
mod tool;

use std::path::PathBuf;
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use daemon::{BINARY, Daemon, LISTENER};
use dunlin_codec::{
    Connect, Packet, Properties, Publish, Qos, ReasonCode, SubscriptionOptions, Version,
};
use rustix::process::Signal;
use support::{Client, id};

/// A component that ships.
fn dist(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("../../plugins/dist").join(format!("{name}.wasm"))
}

fn plugin(name: &str, more: &str) -> String {
    format!(
        "[[plugins]]\nname = \"{name}\"\npath = {:?}\n{more}\n",
        dist(name)
    )
}

/// Clients publish and read below their own name; and read the news.
const RULES: &str = r##"config = { rules = [
    { topic = "devices/%c/#" },
    { topic = "news/#", access = "read" },
    { topic = "open/#", access = "read" },
] }"##;

fn acl(rules: &str) -> String {
    format!("{LISTENER}{}", plugin("acl-pattern", rules))
}

/// What a version 5 client is told about a message of QoS 1.
fn outcome(client: &mut Client, topic: &str) -> ReasonCode {
    client.send(&Packet::Publish(Publish {
        topic,
        payload: b"x",
        qos: Qos::AtLeastOnce,
        packet_id: Some(id(7)),
        ..Publish::default()
    }));
    client.receive().puback().1
}

/// What a SUBSCRIBE of QoS 1 comes to.
fn subscribed(client: &mut Client, filter: &str) -> ReasonCode {
    let options = SubscriptionOptions {
        qos: Qos::AtLeastOnce,
        ..SubscriptionOptions::default()
    };
    client.subscribe_all(&[(filter, options)], Properties::EMPTY)[0]
}

#[test]
fn an_acl_plugin_decides_on_every_path() {
    let daemon = Daemon::start(&acl(RULES));
    let mut pump = daemon.client("pump");
    assert_eq!(
        outcome(&mut pump, "devices/pump/on"),
        ReasonCode::NoMatchingSubscribers
    );
    assert_eq!(
        outcome(&mut pump, "devices/lamp/on"),
        ReasonCode::NotAuthorized
    );
    assert_eq!(outcome(&mut pump, "news/today"), ReasonCode::NotAuthorized);
    let mut lamp = daemon.client("lamp");
    let own = subscribed(&mut lamp, "devices/lamp/#");
    assert_eq!(own, ReasonCode::GrantedQos1);
    let others = subscribed(&mut lamp, "devices/pump/#");
    assert_eq!(others, ReasonCode::NotAuthorized);
    // A will is a message like others.
    let mut willing = daemon.client_with(&Connect {
        version: Version::Mqtt5,
        client_id: "willing",
        clean_start: true,
        will: Some(dunlin_codec::Will {
            topic: "devices/lamp/broken",
            payload: b"x",
            ..dunlin_codec::Will::default()
        }),
        ..Connect::default()
    });
    willing.ping();
    willing.lose();
    // What may be received is asked message by message.
    let mut reader = daemon.client("reader");
    reader.subscribe("open/#", Qos::AtMostOnce);
    let publish = r#"{"topic": "open/door", "payload": "yes"}"#;
    assert_eq!(daemon.http("POST", "/api/v1/publish", publish).0, 200);
    reader.expect_message("open/door", b"yes");
    let figures = daemon.http("GET", "/api/v1/plugins", "").1;
    assert!(figures.contains("\"breaker\":\"closed\""), "{figures}");
    assert_eq!(daemon.metric("publishes_denied_total"), 3);
    assert!(daemon.metric("plugin_calls_total{plugin=\"acl-pattern\"}") > 4);
}

#[test]
fn a_plugin_that_allows_nothing_allows_nothing() {
    let daemon = Daemon::start(&acl("config = { rules = [], otherwise = \"deny\" }"));
    let mut client = daemon.client("c");
    assert_eq!(outcome(&mut client, "t"), ReasonCode::NotAuthorized);
    for filter in ["t", "#", "$share/g/t"] {
        let reason = subscribed(&mut client, filter);
        assert_eq!(reason, ReasonCode::NotAuthorized, "{filter}");
    }
}

#[test]
fn a_reload_replaces_a_plugin_under_connections_that_stay() {
    let mut daemon = Daemon::start(&acl(RULES));
    let mut pump = daemon.client("pump");
    assert_eq!(outcome(&mut pump, "alarms/pump"), ReasonCode::NotAuthorized);
    let alarms = r#"config = { rules = [{ topic = "alarms/%c" }] }"#;
    for (rules, alarm, device) in [
        (
            alarms,
            ReasonCode::NoMatchingSubscribers,
            ReasonCode::NotAuthorized,
        ),
        (
            RULES,
            ReasonCode::NotAuthorized,
            ReasonCode::NoMatchingSubscribers,
        ),
    ] {
        daemon.configure(&acl(rules));
        daemon.signal(Signal::HUP);
        daemon.expect_log("configuration reloaded");
        assert_eq!(outcome(&mut pump, "alarms/pump"), alarm);
        assert_eq!(outcome(&mut pump, "devices/pump/on"), device);
    }
    // What is no good changes nothing.
    daemon.write("bad.wasm", "this is no component");
    let bad =
        format!("{LISTENER}[[plugins]]\nname = \"acl-pattern\"\npath = \"{{dir}}/bad.wasm\"\n");
    for wrong in [bad, acl("config = { rules = 7 }"), acl("config = {}")] {
        daemon.configure(&wrong);
        daemon.signal(Signal::HUP);
        let line = daemon.expect_log("reload refused");
        assert!(line.contains("acl-pattern"), "{line}");
        assert_eq!(
            outcome(&mut pump, "devices/pump/on"),
            ReasonCode::NoMatchingSubscribers
        );
    }
}

#[test]
fn reloads_under_load_lose_nothing() {
    let mut daemon = Daemon::start(&acl(RULES));
    let mut subscriber = daemon.client("sub");
    subscriber.subscribe("open/#", Qos::AtMostOnce);
    let mut pump = daemon.client("pump");
    let more = |n: u32| RULES.replace("] }", &format!("], ttl = {} }}", n % 60));
    let reloads = scale::scaled(10) as u32;
    for n in 0..reloads {
        daemon.configure(&acl(&more(n)));
        daemon.signal(Signal::HUP);
        for _ in 0..20 {
            let allowed = outcome(&mut pump, "devices/pump/on");
            assert_eq!(allowed, ReasonCode::NoMatchingSubscribers);
            assert_eq!(
                outcome(&mut pump, "devices/lamp/on"),
                ReasonCode::NotAuthorized
            );
        }
        daemon.expect_log("configuration reloaded");
    }
    subscriber.ping();
    assert_eq!(daemon.metric("connections_closed_total"), 0);
    println!("{reloads} reloads under load: connections dropped 0");
}

/// A token of HS256, signed with the key of the tests.
fn token(claims: &str) -> String {
    let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!(
        "{}.{}",
        part(br#"{"alg":"HS256"}"#),
        part(claims.as_bytes())
    );
    let mac = hmac_sha256(KEY.as_bytes(), signed.as_bytes());
    format!("{signed}.{}", part(&mac))
}

const KEY: &str = "a secret of the tests, 32 bytes at least";

/// RFC 2104.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(message)
        .finalize();
    let outer = Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize();
    outer.into()
}

#[test]
fn tokens_let_clients_in_with_the_rules_that_they_carry() {
    let jwt = plugin(
        "auth-jwt",
        &format!(
            "grants = {{ crypto = true }}\nkey_sets = [{{ name = \"main\", secret = \"{KEY}\" }}]\n\
             config = {{ key_set = \"main\", rules = {{ templates = [{{ filter = \
             \"devices/%{{sub}}/#\", permission = \"read-write\" }}] }} }}"
        ),
    );
    let daemon = Daemon::start(&format!("access.allow_anonymous = false\n{LISTENER}{jwt}"));
    let connect = |password: &str| {
        let connect = Connect {
            version: Version::Mqtt5,
            client_id: "c",
            clean_start: true,
            username: Some("whoever"),
            password: Some(password.as_bytes()),
            ..Connect::default()
        };
        daemon.ask(&connect)
    };
    let (mut client, reason) = connect(&token(r#"{"sub":"pump","exp":4102444800}"#));
    assert_eq!(reason, ReasonCode::Success);
    assert_eq!(
        outcome(&mut client, "devices/pump/on"),
        ReasonCode::NoMatchingSubscribers
    );
    assert_eq!(
        outcome(&mut client, "devices/lamp/on"),
        ReasonCode::NotAuthorized
    );
    let expired = token(r#"{"sub":"pump","exp":1}"#);
    let forged =
        token(r#"{"sub":"pump","exp":4102444800}"#).replace("eyJzdWIiOiJwdW1w", "eyJzdWIiOiJib3Nz");
    for refused in [expired.as_str(), forged.as_str(), "no token"] {
        assert_ne!(connect(refused).1, ReasonCode::Success, "{refused}");
    }
}

#[test]
fn what_a_plugin_may_not_have_is_said_by_check() {
    let check = |toml: &str| {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("dunlin.toml");
        std::fs::write(&file, format!("store = \"memory\"\n{toml}")).expect("a file");
        let output = Command::new(BINARY)
            .args(["check", "--config"])
            .arg(&file)
            .output();
        let output = output.expect("a process");
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    };
    let (good, text) = check(&acl(RULES));
    assert!(
        good && text.contains("acl-pattern says what clients may do"),
        "{text}"
    );
    let wrong_hash = format!("{RULES}\nsha256 = \"{}\"", "00".repeat(32));
    for (toml, words) in [
        (acl(&wrong_hash), vec!["acl-pattern", "SHA-256"]),
        (acl("config = { rule = [] }"), vec!["acl-pattern", "rule"]),
        (
            format!(
                "{LISTENER}{}",
                plugin("auth-jwt", "config = { key_set = \"main\" }")
            ),
            vec!["auth-jwt", "crypto", "grant"],
        ),
    ] {
        let (good, text) = check(&toml);
        assert!(!good, "{text}");
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}

#[test]
fn a_bridge_carries_nothing_that_a_plugin_denies() {
    let far = Daemon::with("");
    let bridge = format!(
        "[[bridges]]\nname = \"cloud\"\naddresses = [\"{}\"]\nremote_clientid = \"site\"\n\
         restart_pause = \"50ms\"\n\
         topics = [{{ filter = \"#\", direction = \"both\", qos = 1 }}]\n",
        far.listener(0)
    );
    let rules = r##"config = { rules = [{ topic = "%c/#" }, { topic = "open/#" }] }"##;
    let near = Daemon::start(&format!("{bridge}{}", acl(rules)));
    near.expect_metric("bridge_connected{bridge=\"cloud\"}", 1);
    let (mut here, mut there) = (near.client("here"), far.client("there"));
    here.subscribe("#", Qos::AtLeastOnce);
    there.subscribe("#", Qos::AtLeastOnce);
    for (topic, crosses) in [("here/out", false), ("open/out", true)] {
        here.publish(topic, b"x", Qos::AtLeastOnce);
        here.expect_message(topic, b"x");
        if crosses {
            there.expect_message(topic, b"x");
        }
    }
    for (topic, crosses) in [("here/in", false), ("open/in", true)] {
        there.publish(topic, b"x", Qos::AtLeastOnce);
        there.expect_message(topic, b"x");
        if crosses {
            here.expect_message(topic, b"x");
        }
    }
}

/// Rules for what leaves: another topic, or none.
fn map(topic: &str) -> String {
    let rules = format!(
        r##"config = {{ egress = [
            {{ filter = "private/#", drop = true }},
            {{ filter = "sensors/+/#", topic = "{topic}/{{1}}/{{#}}" }},
        ], ingress = [] }}"##
    );
    plugin("bridge-map", &rules)
}

#[test]
fn a_plugin_maps_what_a_bridge_carries_and_is_replaced_while_it_does() {
    let far = Daemon::with("");
    let bridge = format!(
        "[[bridges]]\nname = \"cloud\"\naddresses = [\"{}\"]\nmap = \"bridge-map\"\n\
         topics = [{{ filter = \"#\", qos = 1 }}]\n",
        far.listener(0)
    );
    let with = |plugin: &str| format!("{bridge}{LISTENER}{plugin}");
    let mut near = Daemon::start(&with(&map("plant")));
    near.expect_metric("bridge_connected{bridge=\"cloud\"}", 1);
    let (mut here, mut there) = (near.client("here"), far.client("there"));
    there.subscribe("#", Qos::AtLeastOnce);
    for topic in ["private/x", "sensors/7/a/b", "other"] {
        here.publish(topic, b"x", Qos::AtLeastOnce);
    }
    there.expect_message("plant/7/a/b", b"x");
    there.expect_message("other", b"x");
    near.expect_metric(
        "bridge_filtered_total{bridge=\"cloud\",direction=\"out\"}",
        1,
    );

    near.configure(&with(&map("site")));
    near.signal(Signal::HUP);
    near.expect_log("configuration reloaded");
    here.publish("sensors/7/c", b"x", Qos::AtLeastOnce);
    there.expect_message("site/7/c", b"x");
    assert_eq!(near.metric("bridge_reconnects_total{bridge=\"cloud\"}"), 0);

    // One of another kind is none for bridges, and what was there stays.
    let acl = plugin("acl-pattern", RULES).replace("\"acl-pattern\"\n", "\"bridge-map\"\n");
    near.configure(&with(&acl));
    near.signal(Signal::HUP);
    let line = near.expect_log("reload refused");
    assert!(
        line.contains("plugin bridge-map is none for bridges"),
        "{line}"
    );
    here.publish("sensors/7/d", b"x", Qos::AtLeastOnce);
    there.expect_message("site/7/d", b"x");
}
