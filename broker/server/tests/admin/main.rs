//! The admin address: metrics, health, the API and the dashboard, over real sockets.

#[path = "../support/daemon.rs"]
#[allow(dead_code, reason = "every test binary uses its part of it")]
mod daemon;
#[path = "../support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

use daemon::{Daemon, dial};
use dunlin_codec::{Connect, Qos, ReasonCode, Version};
use rustix::process::Signal;

#[test]
fn a_scrape_has_every_count_and_gauge() {
    let daemon = Daemon::with("");
    let mut client = daemon.client("one");
    client.subscribe("a/+", Qos::AtMostOnce);
    client.publish_retained("a/b", b"x", Qos::AtLeastOnce);
    let (status, head, text) = daemon.http_with("GET", "/metrics", "", "");
    assert_eq!(status, 200);
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        assert!(name.starts_with("dunlin_"), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    for (name, expected) in [
        ("connections_opened_total", 1),
        ("clients_connected", 1),
        ("sessions", 1),
        ("subscriptions", 1),
        ("publishes_received_total", 1),
        ("publishes_sent_total", 1),
        ("build_info{version=\"0.1.0\"}", 1),
    ] {
        assert_eq!(daemon.metric(name), expected, "{name}");
    }
    assert!(daemon.metric("resident_memory_bytes") > 1_000_000);
    assert!(daemon.metric("retained_messages") >= 1);
}

#[test]
fn a_scrape_tells_of_the_store() {
    let mut daemon = Daemon::with("sys.interval = \"0s\"\n");
    let before = daemon.metric("store_syncs_total");
    let mut client = daemon.client("one");
    for n in 0..5 {
        client.publish_retained(&format!("kept/{n}"), &[b'x'; 1000], Qos::AtLeastOnce);
    }
    // Each was acknowledged, and nobody else was there to be committed with.
    assert_eq!(daemon.metric("store_commits_total"), 5);
    assert_eq!(daemon.metric("store_records_total"), 5);
    assert!(daemon.metric("store_syncs_total") >= before + 5);
    let written = daemon.metric("store_written_bytes_total");
    assert!((5000..20_000).contains(&written), "{written}");
    let live = daemon.metric("store_live_bytes");
    assert!((5000..10_000).contains(&live), "{live}");
    assert!(daemon.metric("store_bytes") >= live);
    assert_eq!(daemon.metric("store_segments"), 1);
    assert_eq!(daemon.metric("store_messages"), 5);
    assert_eq!(daemon.metric("store_waiting_bytes"), 0);
    assert_eq!(daemon.metric("short_of_storage"), 0);
    client.publish_retained("kept/0", b"", Qos::AtLeastOnce);
    assert_eq!(daemon.metric("store_messages"), 4);
    daemon.crash();
    daemon.start_again();
    assert_eq!(daemon.metric("store_commits_total"), 0, "since the start");
    assert_eq!(daemon.metric("store_messages"), 4);
    let (_, text) = daemon.http("GET", "/metrics", "");
    let seconds = text
        .lines()
        .find_map(|line| line.strip_prefix("dunlin_store_recovery_seconds "))
        .and_then(|seconds| seconds.parse::<f64>().ok());
    assert!(
        seconds.is_some_and(|seconds| 0.0 < seconds && seconds < 10.0),
        "{text}"
    );
    // The same numbers, whole ones without a point.
    let (_, stats) = daemon.http("GET", "/api/v1/stats", "");
    let stats: serde_json::Value = serde_json::from_str(&stats).expect("JSON");
    assert_eq!(stats["gauges"]["store_messages"], 4);
    assert_eq!(stats["counters"]["store_commits_total"], 0);
}

#[test]
fn a_store_in_memory_has_no_figures() {
    let daemon = Daemon::with("store = \"memory\"\n");
    let (_, text) = daemon.http("GET", "/metrics", "");
    assert!(!text.contains("dunlin_store_"), "{text}");
    assert!(!daemon.file("dunlin-data").exists());
}

#[test]
fn a_broker_is_ready_until_it_stops() {
    let mut daemon = Daemon::with("drain_timeout = \"20s\"\n");
    for path in ["/livez", "/readyz", "/startupz"] {
        assert_eq!(daemon.http("GET", path, ""), (200, "ok\n".into()), "{path}");
    }
    let mut client = daemon.client("slow");
    daemon.signal(Signal::TERM);
    client.expect_end(ReasonCode::ServerShuttingDown);
    // It is told that the client's socket is still open.
    assert_eq!(
        daemon.http("GET", "/readyz", ""),
        (503, "stopping\n".into())
    );
    assert_eq!(daemon.http("GET", "/livez", "").0, 200);
    drop(client);
    assert!(daemon.wait().success());
}

#[test]
fn sessions_are_listed_in_pages_and_one_by_one() {
    let daemon = Daemon::with("");
    let clients: Vec<_> = (0..5)
        .map(|n| {
            let mut client = daemon.client(&format!("page/{n}"));
            client.subscribe(&format!("filter/{n}"), Qos::AtLeastOnce);
            client
        })
        .collect();
    let list = |query: &str| {
        let (status, text) = daemon.http("GET", &format!("/api/v1/clients{query}"), "");
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON")
    };
    let mut found = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = list(&query);
        let entries = page["clients"].as_array().expect("a list");
        assert!(entries.len() <= 2);
        found.extend(entries.iter().map(|client| client["client_id"].clone()));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        query = format!("?limit=2&after={}", next.replace('/', "%2F"));
    }
    assert_eq!(found, ["page/0", "page/1", "page/2", "page/3", "page/4"]);
    assert_eq!(
        list("?connected=false")["clients"].as_array().map(Vec::len),
        Some(0)
    );

    let (status, text) = daemon.http("GET", "/api/v1/clients/page%2F3", "");
    let one: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(status, 200, "{text}");
    assert_eq!(one["connected"], true);
    assert_eq!(one["subscriptions"], serde_json::json!(["filter/3"]));
    assert_eq!(daemon.http("GET", "/api/v1/clients/nobody", "").0, 404);
    for bad in ["?limit=0", "?limit=1001", "?limit=x", "?connected=maybe"] {
        assert_eq!(
            daemon.http("GET", &format!("/api/v1/clients{bad}"), "").0,
            400,
            "{bad}"
        );
    }
    drop(clients);
}

#[test]
fn the_operator_disconnects_a_client() {
    let daemon = Daemon::with("");
    let properties = support::properties(&[dunlin_codec::Property::SessionExpiryInterval(300)]);
    let connect = Connect {
        version: Version::Mqtt5,
        client_id: "victim",
        properties: properties.as_properties(),
        ..Connect::default()
    };
    let mut client = daemon.client_with(&connect);
    assert_eq!(daemon.http("DELETE", "/api/v1/clients/victim", "").0, 204);
    client.expect_end(ReasonCode::AdministrativeAction);
    daemon.expect_metric("connections_closed_total", 1);
    // Away, it cannot be disconnected, and its next connection is not either.
    assert_eq!(daemon.http("DELETE", "/api/v1/clients/victim", "").0, 409);
    let mut again = daemon.client_with(&connect);
    again.ping();
    assert_eq!(daemon.http("DELETE", "/api/v1/clients/nobody", "").0, 404);
}

#[test]
fn the_operator_publishes() {
    let daemon = Daemon::with("");
    let mut client = daemon.client("one");
    client.subscribe("api/#", Qos::ExactlyOnce);
    let publish = |body: &str| daemon.http("POST", "/api/v1/publish", body);
    let (status, text) = publish(r#"{"topic": "api/a", "payload": "hé", "qos": 2}"#);
    assert_eq!(
        (status, text.as_str()),
        (200, r#"{"dropped":0,"matched":1,"reason_code":0}"#)
    );
    client.expect_message("api/a", "hé".as_bytes());
    assert_eq!(
        publish(r#"{"topic": "api/b", "payload_base64": "AAE="}"#).0,
        200
    );
    client.expect_message("api/b", &[0, 1]);
    for bad in [
        "",
        "{}",
        r#"{"topic": "a/#"}"#,
        r#"{"topic": ""}"#,
        r#"{"topic": "$SYS/x"}"#,
        r#"{"topic": "a", "qos": 3}"#,
        r#"{"topic": "a", "colour": "red"}"#,
        r#"{"topic": "a", "payload": "x", "payload_base64": "AAE="}"#,
        r#"{"topic": "a", "payload_base64": "*"}"#,
    ] {
        let (status, text) = publish(bad);
        assert_eq!(status, 400, "{bad}: {text}");
        assert!(text.starts_with("{\"error\":"), "{text}");
    }
    let huge = format!(
        r#"{{"topic": "a", "payload": "{}"}}"#,
        "x".repeat(3 * 1024 * 1024)
    );
    assert_eq!(publish(&huge).0, 413);
    client.ping();
}

#[test]
fn the_operator_reloads_and_is_told_what_changed() {
    let daemon = Daemon::with("limits.connections = 10\n");
    let reload = || daemon.http("POST", "/api/v1/reload", "");
    daemon.configure(&format!(
        "limits.connections = 20\nlimits.sessions = 5\n{}",
        daemon::LISTENER
    ));
    let changed = r#"{"changed":["limits.connections: 10 -> 20"],"changes_at_restart":["limits.sessions: 100000 -> 5"]}"#;
    assert_eq!(reload(), (200, changed.into()));
    daemon.configure("limits.connexions = 20\n");
    let (status, text) = reload();
    assert_eq!(status, 422);
    assert!(text.contains("did you mean"), "{text}");
}

#[test]
fn pages_of_other_origins_and_other_names_are_refused() {
    let daemon = Daemon::with("");
    let status = |method, path, headers| daemon.http_with(method, path, headers, "{}").0;
    let json = "Content-Type: application/json\r\n";
    let foreign = format!("{json}Origin: https://example.org\r\n");
    let own = format!("{json}Origin: http://{}\r\n", daemon.admin());
    assert_eq!(status("POST", "/api/v1/reload", &foreign), 403);
    assert_eq!(status("DELETE", "/api/v1/clients/x", &foreign), 403);
    assert_eq!(status("POST", "/api/v1/reload", ""), 415);
    assert_eq!(status("POST", "/api/v1/reload", &own), 200);
    // A name that an attacker may point at this machine.
    for path in ["/metrics", "/api/v1/stats", "/api/v1/clients"] {
        assert_eq!(
            status("GET", path, "Host: example.org:9883\r\n"),
            403,
            "{path}"
        );
        assert_eq!(
            status("GET", path, "Host: localhost:9883\r\n"),
            200,
            "{path}"
        );
    }
}

#[test]
fn a_token_is_asked_for_everything_but_health() {
    let daemon =
        Daemon::with("admin.address = \"127.0.0.1:0\"\nadmin.token = \"0123456789abcdef\"\n");
    let status = |path, headers| daemon.http_with("GET", path, headers, "").0;
    let good = "Authorization: Bearer 0123456789abcdef\r\nHost: broker.example.org\r\n";
    let bad = "Authorization: Bearer 0123456789abcdeX\r\n";
    for path in ["/metrics", "/api/v1/stats", "/api/v1/nothing"] {
        assert_eq!(status(path, ""), 401, "{path}");
        assert_eq!(status(path, bad), 401, "{path}");
    }
    assert_eq!(
        (status("/metrics", good), status("/api/v1/stats", good)),
        (200, 200)
    );
    for path in ["/livez", "/readyz", "/startupz", "/"] {
        assert_eq!(status(path, "Host: broker.example.org\r\n"), 200, "{path}");
    }
}

#[test]
fn the_dashboard_needs_nothing_from_elsewhere() {
    let daemon = Daemon::start(&format!(
        "{}[[listeners]]\naddress = \"127.0.0.1:0\"\nprotocol = \"websockets\"\n",
        daemon::LISTENER
    ));
    let (status, head, page) = daemon.http_with("GET", "/", "", "");
    assert_eq!(status, 200);
    assert!(head.contains("default-src 'none'"), "{head}");
    assert!(!page.contains("://") || page.matches("://").count() == page.matches("ws://").count());
    for file in ["/dashboard.css", "/dashboard.js"] {
        assert!(page.contains(&file[1..]), "{file}");
        assert_eq!(daemon.http("GET", file, "").0, 200, "{file}");
    }
    assert_eq!(daemon.http("POST", "/", "").0, 405);
    assert_eq!(daemon.http("GET", "/nothing", "").0, 404);
    // What the page's test client looks for.
    let (_, text) = daemon.http("GET", "/api/v1/listeners", "");
    let listeners: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let socket = &listeners["listeners"][1];
    assert_eq!(
        (&socket["protocol"], &socket["path"]),
        (&"websockets".into(), &"/mqtt".into())
    );
    assert_eq!(socket["address"], daemon.listener(1).to_string());
}

#[test]
fn what_is_no_request_is_answered_or_closed() {
    let daemon = Daemon::with("");
    for bytes in [
        &b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00"[..],
        b"GET\r\n\r\n",
        b"\x16\x03\x01",
    ] {
        let mut stream = dial(daemon.admin());
        stream.write_all(bytes).expect("it reads");
        stream
            .shutdown(std::net::Shutdown::Write)
            .expect("a socket");
        let mut answer = Vec::new();
        // Reset or answered with 400: either way it is over.
        let _ = stream.read_to_end(&mut answer);
    }
    let long = format!("X: {}\r\n", "x".repeat(1_000_000));
    let mut stream = dial(daemon.admin());
    let _ = stream.write_all(format!("GET / HTTP/1.1\r\n{long}").as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(daemon.http("GET", "/livez", "").0, 200);
}

#[test]
fn a_taken_port_is_an_error_only_where_it_was_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let directory = tempfile::tempdir().expect("a directory");
    let listener = "[[listeners]]\naddress = \"127.0.0.1:0\"\n";
    let file = directory.path().join("dunlin.toml");
    std::fs::write(&file, format!("admin.address = \"{address}\"\n{listener}")).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_dunlin"))
        .arg("--config")
        .arg(&file)
        .current_dir(&directory)
        .output()
        .expect("a process");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    let expected = format!("admin.address: cannot listen on {address}");
    assert!(error.contains(&expected), "{error}");
}

#[test]
fn a_taken_port_that_nobody_asked_for_is_a_warning() {
    // If somebody else has it, it is taken too.
    let _taken = TcpListener::bind("127.0.0.1:9883");
    let daemon = Daemon::without_admin(daemon::LISTENER);
    let warning = "no dashboard, metrics and API: cannot listen on 127.0.0.1:9883";
    assert!(daemon.has_logged(warning));
    daemon.client("one").ping();
}
