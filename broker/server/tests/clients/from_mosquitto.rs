//! Somebody comes from Mosquitto with their files.

use std::process::Command;

use tempfile::TempDir;

use crate::broker::{ADA, Broker, directory, free_ports, passwd};
use crate::mosquitto::{client, listen, publish, received};
use crate::program::Program;
use crate::python;

/// Two listeners, one of them for WebSocket, and users from a password file.
fn broker(directory: TempDir) -> Broker {
    let [tcp, websockets] = free_ports();
    let conf = format!(
        "allow_anonymous false\n\
         password_file {users}\n\
         listener {tcp} 127.0.0.1\n\
         listener {websockets} 127.0.0.1\n\
         protocol websockets\n",
        users = directory.path().join("users").display(),
    );
    std::fs::write(directory.path().join("mosquitto.conf"), conf).expect("a file");
    Broker::serve(directory, &["--mosquitto-conf", "mosquitto.conf"], 2)
}

/// A Python client over both listeners, with the right password and a wrong one.
fn python_over_both(directory: TempDir) {
    let broker = broker(directory);
    python::run("paho-2", "2", [&broker.port(0), &broker.port(1)]);
    let login = ["-t", "t", "-m", "m", "-u", ADA.0, "-P"];
    for (login, refusal) in [
        ([&login[..], &["wrong"]].concat(), "Connection Refused"),
        (vec!["-t", "t", "-m", "m"], "Connection Refused"),
    ] {
        let refused = Program::start(&mut client("mosquitto_pub", &broker.port(0), &login)).fail();
        assert!(refused.contains(refusal), "{refused}");
    }
}

#[test]
fn users_of_mosquitto_passwd() {
    for format in ["sha512", "sha512-pbkdf2"] {
        let directory = directory();
        let users = directory.path().join("users");
        let mut tool = Command::new("mosquitto_passwd");
        tool.args(["-H", format, "-c", "-b"])
            .arg(&users)
            .args([ADA.0, ADA.1]);
        Program::start(&mut tool).succeed();
        python_over_both(directory);
    }
}

#[test]
fn users_of_dunlin_passwd() {
    let directory = directory();
    passwd(&directory.path().join("users"), ADA.0, ADA.1);
    python_over_both(directory);
}

/// A broker with Mosquitto's persistence, all of whose directives are at work.
fn persistent(directory: TempDir) -> Broker {
    let [port] = free_ports();
    let conf = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\n\
         persistence_location {location}\nautosave_interval 300\nqueue_qos0_messages true\n\
         max_queued_messages 3\npersistent_client_expiration 1h\n",
        location = directory.path().join("state").display(),
    );
    std::fs::write(directory.path().join("mosquitto.conf"), conf).expect("a file");
    Broker::serve(directory, &["--mosquitto-conf", "mosquitto.conf"], 1)
}

/// What was queued for a client and what was retained, a message at QoS 0 among it, up to the limit.
#[test]
fn what_is_persistent_is_there_after_a_restart() {
    let broker = persistent(directory());
    let port = &broker.port(0);
    let away = ["-c", "-i", "away", "-q", "1", "-t", "queued/#"];
    Program::start(&mut client(
        "mosquitto_sub",
        port,
        &[&away[..], &["-E"]].concat(),
    ))
    .succeed();
    for (number, qos) in ["0", "1", "0", "1"].into_iter().enumerate() {
        let topic = format!("queued/{number}");
        publish(port, &["-t", &topic, "-q", qos, "-m", "x"]);
    }
    publish(port, &["-t", "kept", "-r", "-q", "1", "-m", "y"]);
    let broker = persistent(broker.stop());
    let port = &broker.port(0);
    let client = listen(port, &[&away[..], &["-C", "3"]].concat());
    let expected = ["queued/0 0 0 x", "queued/1 1 0 x", "queued/2 0 0 x"];
    assert_eq!(received(client), expected);
    let client = listen(port, &["-t", "kept", "-C", "1"]);
    assert_eq!(received(client), ["kept 0 1 y"]);
}
