//! Reload and signals: what changes while the broker runs, and how it ends.

#[path = "../support/daemon.rs"]
#[allow(dead_code, reason = "every test binary uses its part of it")]
mod daemon;
#[path = "../support/mod.rs"]
mod support;

mod certificates;
mod sessions;

use std::io::Read;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use daemon::{Daemon, LISTENER, dial};
use dunlin_codec::{Connect, Publish, Qos, ReasonCode, Version};
use rustix::process::Signal;
use support::Client;

fn connect<'a>(client_id: &'a str, user: &'a str, password: &'a str) -> Connect<'a> {
    Connect {
        version: Version::Mqtt5,
        client_id,
        clean_start: true,
        username: Some(user),
        password: Some(password.as_bytes()),
        ..Connect::default()
    }
}

/// A password file in the broker's directory.
fn passwords(daemon: &Daemon, user: &str, password: &str) {
    set_password(&daemon.file("users"), user, password);
}

fn set_password(file: &std::path::Path, user: &str, password: &str) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_dunlin"))
        .args(["passwd", "--password-stdin"])
        .arg(file)
        .arg(user)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("a process");
    let mut input = process.stdin.take().expect("it is piped");
    std::io::Write::write_all(&mut input, format!("{password}\n").as_bytes()).expect("it reads");
    drop(input);
    assert!(process.wait().expect("a child").success());
}

#[test]
fn sighup_applies_new_rules_to_connections_that_stay() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("acl"), "topic readwrite a/#\n").expect("a file");
    let mut daemon = Daemon::prepared(
        directory,
        &format!("access.acl_file = \"{{dir}}/acl\"\n{LISTENER}"),
    );
    let mut client = daemon.client("stays");
    client.subscribe("#", Qos::AtLeastOnce);
    client.publish("a/1", b"before", Qos::AtMostOnce);
    client.expect_message("a/1", b"before");

    daemon.write("acl", "topic readwrite b/#\n");
    daemon.signal(Signal::HUP);
    daemon.expect_log("configuration reloaded");
    // The same connection, the same subscription, other rules.
    let publish = |client: &mut Client, topic: &str| {
        client.send(&dunlin_codec::Packet::Publish(Publish {
            topic,
            qos: Qos::AtLeastOnce,
            packet_id: Some(support::id(900)),
            payload: b"after",
            ..Publish::default()
        }));
    };
    publish(&mut client, "a/1");
    assert_eq!(client.receive().puback(), (900, ReasonCode::NotAuthorized));
    publish(&mut client, "b/1");
    let (first, second) = (client.receive(), client.receive());
    let kinds = [first.packet(), second.packet()].map(|packet| packet.packet_type() as u8);
    assert!(kinds.contains(&3) && kinds.contains(&4), "{kinds:?}");
    assert_eq!(daemon.metric("connections_closed_total"), 0);
}

#[test]
fn a_changed_password_file_is_noticed() {
    let directory = tempfile::tempdir().expect("a directory");
    set_password(&directory.path().join("users"), "ann", "first");
    let mut daemon = Daemon::prepared(
        directory,
        &format!("access.password_file = \"{{dir}}/users\"\n{LISTENER}"),
    );
    let mut stays = daemon.client_with(&connect("stays", "ann", "first"));
    passwords(&daemon, "ann", "second");
    daemon.expect_log("configuration reloaded");
    let (_, reason) = daemon.ask(&connect("new", "ann", "first"));
    assert_eq!(reason, ReasonCode::BadUserNameOrPassword);
    daemon.client_with(&connect("new", "ann", "second"));
    stays.ping();
}

#[test]
fn listeners_come_and_go_and_connections_stay() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let named = |port: u16| format!("[[listeners]]\naddress = \"127.0.0.1:{port}\"\n");
    let mut daemon = Daemon::start(LISTENER);
    let mut stays = daemon.client("stays");

    daemon.configure(&format!("{LISTENER}{}", named(port)));
    daemon.signal(Signal::HUP);
    daemon.expect_log("configuration reloaded");
    let connect = Connect {
        version: Version::Mqtt5,
        client_id: "added",
        clean_start: true,
        ..Connect::default()
    };
    let address = ([127, 0, 0, 1], port).into();
    let (mut added, _) = Client::request_over(dial(address), &connect);
    added.ping();

    daemon.configure(LISTENER);
    daemon.signal(Signal::HUP);
    daemon.expect_log("listener closed");
    daemon.expect_log("configuration reloaded");
    refuses(address);
    added.ping();
    stays.ping();
    assert_eq!(daemon.metric("connections_closed_total"), 0);
}

/// Waits until nobody listens there: a socket is closed a moment after its task is told to end.
fn refuses(address: std::net::SocketAddr) {
    let start = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "it still listens"
        );
        std::thread::yield_now();
    }
}

#[test]
fn a_listener_takes_the_port_of_one_that_ends() {
    let mut daemon = Daemon::start(LISTENER);
    let port = daemon.listener(0).port();
    let mut stays = daemon.client("stays");
    daemon.configure(&format!("[[listeners]]\naddress = \"0.0.0.0:{port}\"\n"));
    daemon.signal(Signal::HUP);
    daemon.expect_log(&format!("listening address=\"0.0.0.0:{port}\""));
    daemon.expect_log("configuration reloaded");
    let mut new = daemon.client("comes to the new one");
    new.ping();
    stays.ping();
    assert_eq!(daemon.metric("connections_closed_total"), 0);
}

#[test]
fn a_listener_whose_place_another_cannot_take_is_opened_again() {
    let mut daemon = Daemon::start(LISTENER);
    let port = daemon.listener(0).port();
    // Two wait for the place of one: the second cannot have it.
    let at = |host: &str| format!("[[listeners]]\naddress = \"{host}:{port}\"\n");
    daemon.configure(&(at("0.0.0.0") + &at("127.0.0.1")));
    daemon.signal(Signal::HUP);
    let refused = daemon.expect_log("reload refused");
    assert!(refused.contains("in use"), "{refused}");
    assert!(!refused.contains("is closed now"), "{refused}");
    daemon.client("still here").ping();
}

#[test]
fn a_file_that_is_wrong_changes_nothing() {
    let mut daemon = Daemon::with("limits.connections = 1\n");
    let mut stays = daemon.client("stays");
    daemon.configure(&format!(
        "limits.connections = 5\nlimits.pocket_size = 5\n{LISTENER}"
    ));
    daemon.signal(Signal::HUP);
    let refused = daemon.expect_log("reload refused, nothing was changed");
    let expected = "dunlin.toml:4: limits.pocket_size: unknown key; did you mean \"packet_size\"?";
    assert!(refused.contains(expected), "{refused}");
    stays.ping();
    // The limit is what it was.
    let mut over = daemon.dial();
    assert_eq!(over.read(&mut [0]).unwrap_or(0), 0);

    daemon.configure(&format!("limits.connections = 5\n{LISTENER}"));
    daemon.signal(Signal::HUP);
    daemon.expect_log("changed limits.connections: 1 -> 5");
    daemon.client("fits").ping();
    stays.ping();
}

#[test]
fn what_needs_a_restart_is_said() {
    let mut daemon = Daemon::with("");
    daemon.configure(&format!("limits.queued_messages = 5\n{LISTENER}"));
    daemon.signal(Signal::HUP);
    daemon.expect_log("changes at the next start only: limits.queued_messages: 10000 -> 5");
}

#[test]
fn the_log_file_is_opened_anew() {
    let daemon = Daemon::with("");
    drop(daemon);
    let directory = tempfile::tempdir().expect("a directory");
    let log = directory.path().join("log");
    let file = directory.path().join("dunlin.toml");
    let text = format!(
        "admin.address = \"off\"\nlogging.destination = \"file:{}\"\n",
        log.display()
    );
    std::fs::write(&file, text + LISTENER).expect("a file");
    let mut process = Command::new(env!("CARGO_BIN_EXE_dunlin"))
        .arg("--config")
        .arg(&file)
        .current_dir(&directory)
        .spawn()
        .expect("a process");
    contains(&log, "listening address");
    let moved = directory.path().join("log.1");
    std::fs::rename(&log, &moved).expect("a file");
    let pid = i32::try_from(process.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let signal = |signal| rustix::process::kill_process(pid.expect("a process"), signal);
    signal(Signal::HUP).expect("it runs");
    contains(&log, "configuration reloaded");
    signal(Signal::TERM).expect("it runs");
    contains(&log, "stopped");
    assert!(process.wait().expect("a child").success());
}

fn contains(file: &std::path::Path, text: &str) {
    let start = Instant::now();
    while !std::fs::read_to_string(file).is_ok_and(|found| found.contains(text)) {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{text:?} is never in {file:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn sigterm_tells_clients_and_says_what_it_did() {
    let mut daemon = Daemon::with("pid_file = \"{dir}/pid\"\n");
    let pid = std::fs::read_to_string(daemon.file("pid")).expect("a file");
    assert!(pid.trim().parse::<u32>().is_ok(), "{pid}");
    let mut new = daemon.client("new");
    let mut old = daemon.client_with(&Connect {
        version: Version::Mqtt311,
        client_id: "old",
        clean_start: true,
        ..Connect::default()
    });
    // One that has sent nothing is not waited for.
    let mut silent = daemon.dial();
    daemon.expect_metric("connections", 3);
    daemon.signal(Signal::TERM);
    new.expect_end(ReasonCode::ServerShuttingDown);
    old.expect_close();
    drop((new, old));
    assert_eq!(silent.read(&mut [0]).unwrap_or(0), 0);
    let said = daemon.expect_log("stopped");
    assert!(said.contains("closed=3 left=0"), "{said}");
    assert!(daemon.wait().success());
    assert!(!daemon.file("pid").exists());
}

#[test]
fn draining_has_an_end_and_a_second_signal_is_one() {
    // A client that neither reads nor closes is cut after a second; here not even that is waited.
    for (settings, signals) in [
        ("drain_timeout = \"0s\"\n", 1),
        ("drain_timeout = \"60s\"\n", 2),
    ] {
        let mut daemon = Daemon::with(settings);
        let client = daemon.client("holds on");
        daemon.signal(Signal::TERM);
        daemon.expect_log("stopping");
        if signals == 2 {
            daemon.signal(Signal::TERM);
            daemon.expect_log("stopping at once");
        }
        let said = daemon.expect_log("stopped");
        assert!(said.contains("left=1"), "{said}");
        assert!(daemon.wait().success());
        drop(client);
    }
}

#[test]
fn a_start_says_where_it_listens_and_who_may_come() {
    let daemon = Daemon::with("");
    assert!(daemon.has_logged(&format!("listening address=\"{}\"", daemon.listener(0))));
    assert!(daemon.has_logged("accepted from this machine only"));
    assert!(daemon.has_logged("kept on disk"));
}
