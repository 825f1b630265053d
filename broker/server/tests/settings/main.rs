//! Keys that change what a listener or a session does, over real sockets.

#[path = "../support/daemon.rs"]
#[allow(dead_code, reason = "every test binary uses its part of it")]
mod daemon;
mod files;
#[path = "../support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use daemon::{Daemon, LISTENER, dial};
use dunlin_codec::{Connect, Publish, Qos, ReasonCode, Version};

#[test]
fn a_client_is_called_what_its_user_is_called() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut passwd = Command::new(env!("CARGO_BIN_EXE_dunlin"))
        .args(["passwd", "--password-stdin"])
        .arg(directory.path().join("users"))
        .arg("ann")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("a process");
    let mut input = passwd.stdin.take().expect("it is piped");
    input.write_all(b"secret\n").expect("it reads");
    drop(input);
    assert!(passwd.wait().expect("a child").success());
    let daemon = Daemon::prepared(
        directory,
        &format!(
            "access.password_file = \"{{dir}}/users\"\naccess.allow_anonymous = true\n{LISTENER}\
             access = {{ use_username_as_clientid = true }}\n"
        ),
    );
    let connect = Connect {
        version: Version::Mqtt5,
        client_id: "bob",
        clean_start: true,
        username: Some("ann"),
        password: Some(b"secret"),
        ..Connect::default()
    };
    let mut first = daemon.client_with(&connect);
    assert_eq!(daemon.http("GET", "/api/v1/clients/ann", "").0, 200);
    assert_eq!(daemon.http("GET", "/api/v1/clients/bob", "").0, 404);
    // Whatever it calls itself, it takes its own session over.
    let mut second = daemon.client_with(&Connect {
        client_id: "eve",
        ..connect
    });
    first.expect_end(ReasonCode::SessionTakenOver);
    second.ping();
    let (_, reason) = daemon.ask(&Connect {
        username: None,
        password: None,
        ..connect
    });
    assert_eq!(reason, ReasonCode::NotAuthorized);
}

#[test]
fn messages_are_delivered_with_the_subscriptions_qos() {
    for (setting, expected) in [("false", Qos::AtMostOnce), ("true", Qos::ExactlyOnce)] {
        let daemon = Daemon::with(&format!("sessions.upgrade_outgoing_qos = {setting}\n"));
        let mut client = daemon.client("one");
        client.publish_retained("kept", b"x", Qos::AtMostOnce);
        client.subscribe("kept", Qos::ExactlyOnce);
        assert_eq!(client.expect_message("kept", b"x").publish().qos, expected);
        client.subscribe("live", Qos::ExactlyOnce);
        client.send(&dunlin_codec::Packet::Publish(Publish {
            topic: "live",
            payload: b"y",
            ..Publish::default()
        }));
        assert_eq!(client.expect_message("live", b"y").publish().qos, expected);
    }
}

/// The status that an upgrade at this path is answered with.
fn upgrade(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = dial(address);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut status = [0; 12];
    stream.read_exact(&mut status).expect("it answers");
    String::from_utf8_lossy(&status[9..]).into_owned()
}

#[test]
fn a_star_answers_every_websocket_path() {
    let websocket = |paths: &str| {
        Daemon::start(&format!(
            "{LISTENER}protocol = \"websockets\"\nwebsocket = {{ paths = [{paths}] }}\n"
        ))
    };
    let every = websocket("\"*\"");
    for path in ["/", "/mqtt", "/any/where?x=1"] {
        assert_eq!(upgrade(every.listener(0), path), "101", "{path}");
    }
    let one = websocket("\"/only\"");
    assert_eq!(upgrade(one.listener(0), "/only"), "101");
    assert_eq!(upgrade(one.listener(0), "/mqtt"), "404");
}

#[test]
fn ipv6_only_leaves_ipv4_out() {
    let daemon = Daemon::start("[[listeners]]\naddress = \"[::]:0\"\nipv6_only = true\n");
    let port = daemon.listener(0).port();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(TcpStream::connect(("::1", port)).is_ok());
}

#[test]
fn a_listener_overrides_what_holds_for_all() {
    let daemon = Daemon::start(&format!(
        "access.allow_anonymous = false\nlimits.topic_aliases = 7\nlimits.keepalive = \"60s\"\n\
         {LISTENER}{LISTENER}max_topic_alias = 3\nmax_keepalive = \"20s\"\nmax_qos = 1\n\
         retain_available = false\nmount_point = \"tenant/\"\n\
         access = {{ allow_anonymous = true, auto_id_prefix = \"own-\" }}\n"
    ));
    let connect = Connect {
        version: Version::Mqtt5,
        client_id: "",
        clean_start: true,
        ..Connect::default()
    };
    let (_, reason) = daemon.ask(&connect);
    assert_eq!(reason, ReasonCode::NotAuthorized);
    let stream = dial(daemon.listener(1));
    let (mut client, connack) = support::Client::request_over(stream, &connect);
    let properties = connack.connack().properties;
    assert_eq!(properties.topic_alias_maximum(), Some(3));
    assert_eq!(properties.server_keep_alive(), Some(20));
    let id = properties.assigned_client_identifier().expect("an id");
    assert!(id.starts_with("own-"), "{id}");
    client.subscribe("a", Qos::AtLeastOnce);
    let (_, one) = daemon.http("GET", &format!("/api/v1/clients/{id}"), "");
    assert!(one.contains("\"tenant/a\""), "{one}");
}

#[test]
fn fewer_files_than_connections_are_a_warning() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("dunlin.toml");
    std::fs::write(&file, format!("admin.address = \"off\"\n{LISTENER}")).expect("a file");
    let mut process = Command::new("sh")
        .args(["-c", "ulimit -n 300 && exec \"$0\" --config \"$1\""])
        .arg(env!("CARGO_BIN_EXE_dunlin"))
        .arg(&file)
        .current_dir(&directory)
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    let log = BufReader::new(process.stderr.take().expect("it is piped"));
    let before_listening = log
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.contains("listening"));
    let said: Vec<_> = before_listening.collect();
    process.kill().expect("it runs");
    process.wait().expect("a child");
    let expected = "limits.connections is 20000, but the process may open 300 files";
    assert!(said.iter().any(|line| line.contains(expected)), "{said:#?}");
}
