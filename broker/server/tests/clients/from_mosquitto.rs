//! Somebody comes from Mosquitto with their files.

use std::process::Command;

use tempfile::TempDir;

use crate::broker::{ADA, Broker, directory, free_ports, passwd};
use crate::mosquitto::client;
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
