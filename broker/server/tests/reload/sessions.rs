//! A session that lasts gives whoever has it what that client may read now, whoever subscribed in
//! it, and under which rules.

use dunlin_codec::{Connect, Qos, Version};
use rustix::process::Signal;

use crate::daemon::{Daemon, LISTENER};
use crate::set_password;
use crate::support::Client;

const WRITER: &str = "user writer\ntopic readwrite #\n";

fn daemon(rules: &str) -> Daemon {
    let directory = tempfile::tempdir().expect("a directory");
    for user in ["ann", "bob", "writer"] {
        set_password(&directory.path().join("users"), user, user);
    }
    std::fs::write(directory.path().join("acl"), format!("{WRITER}{rules}")).expect("a file");
    let files = "access.password_file = \"{dir}/users\"\naccess.acl_file = \"{dir}/acl\"\n";
    Daemon::prepared(directory, &format!("{files}{LISTENER}"))
}

fn connect<'a>(client_id: &'a str, user: &'a str) -> Connect<'a> {
    Connect {
        version: Version::Mqtt311,
        client_id,
        username: Some(user),
        password: Some(user.as_bytes()),
        ..Connect::default()
    }
}

/// The session "lasts" with one message that was sent and one that waits, both below "a/".
fn leave(daemon: &Daemon, writer: &mut Client) {
    let mut ann = daemon.client_with(&connect("lasts", "ann"));
    ann.subscribe("a/#", Qos::AtLeastOnce);
    ann.subscribe("b", Qos::AtLeastOnce);
    writer.publish("a/sent", b"", Qos::AtLeastOnce);
    assert_eq!(ann.receive().publish().topic, "a/sent");
    ann.lose();
    writer.publish("a/waits", b"", Qos::AtLeastOnce);
}

/// Takes the session over; the first that comes is what is published last.
fn gets_only_b(daemon: &Daemon, user: &str, writer: &mut Client) {
    let (mut client, connack) = Client::request_over(daemon.dial(), &connect("lasts", user));
    assert!(connack.connack().session_present);
    writer.publish("a/late", b"", Qos::AtLeastOnce);
    writer.publish("b", b"", Qos::AtLeastOnce);
    let frame = client.receive();
    assert_eq!(frame.publish().topic, "b");
    client.puback(frame.publish().packet_id.expect("QoS 1"));
    client.disconnect();
}

#[test]
fn rights_that_were_taken_away_meanwhile() {
    let mut daemon = daemon("user ann\ntopic read a/#\ntopic read b\n");
    let mut writer = daemon.client_with(&connect("writer", "writer"));
    leave(&daemon, &mut writer);
    daemon.write("acl", &format!("{WRITER}user ann\ntopic read b\n"));
    daemon.signal(Signal::HUP);
    daemon.expect_log("configuration reloaded");
    gets_only_b(&daemon, "ann", &mut writer);
    // And what was denied does not wait for the next.
    gets_only_b(&daemon, "ann", &mut writer);
    assert_eq!(daemon.metric("deliveries_denied_total"), 4);
}

#[test]
fn rights_that_another_user_has_not() {
    let daemon = daemon("user ann\ntopic read a/#\ntopic read b\nuser bob\ntopic read b\n");
    let mut writer = daemon.client_with(&connect("writer", "writer"));
    leave(&daemon, &mut writer);
    gets_only_b(&daemon, "bob", &mut writer);
    // Nor if the session is taken from a client that is there.
    let mut ann = daemon.client_with(&connect("lasts", "ann"));
    writer.publish("a/to ann", b"", Qos::AtLeastOnce);
    assert_eq!(ann.receive().publish().topic, "a/to ann");
    gets_only_b(&daemon, "bob", &mut writer);
}
