//! paho-mqtt for Python: 1.x, and 2.x with both of its callback APIs.

use std::process::Command;

use crate::broker::{ADA, Broker};
use crate::program::{Program, installed, script};
use crate::scaled;

/// Runs python.py; see there for what it does.
pub fn run(environment: &str, callback_api: &str, ports: [&str; 2]) {
    let mut command = Command::new(installed(environment).join("bin/python"));
    // 2.x warns of the callbacks of 1.x.
    command
        .args(["-W", "ignore::DeprecationWarning"])
        .arg(script("python.py"))
        .args(ports)
        .args([ADA.0, ADA.1]);
    command.args([callback_api, &scaled(20).to_string()]);
    let said = Program::start(&mut command).succeed();
    assert_eq!(said, ["all is well"]);
}

fn with_users(environment: &str, callback_api: &str) {
    let broker = Broker::with_users(&[ADA]);
    run(
        environment,
        callback_api,
        [&broker.port(0), &broker.port(1)],
    );
}

#[test]
fn paho_1() {
    with_users("paho-1", "1");
}

#[test]
fn paho_2_with_the_callbacks_of_1() {
    with_users("paho-2", "1");
}

#[test]
fn paho_2() {
    with_users("paho-2", "2");
}
