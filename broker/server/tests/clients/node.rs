//! MQTT.js in node, over TCP and WebSocket.

use std::process::Command;

use crate::broker::{ADA, Broker};
use crate::program::{Program, installed, script};
use crate::scaled;

#[test]
fn mqtt_js() {
    let broker = Broker::with_users(&[ADA]);
    let mut command = Command::new("node");
    command.env("NODE_PATH", installed("node/node_modules"));
    command
        .arg(script("mqtt.cjs"))
        .args([ADA.0, ADA.1, &scaled(20).to_string()]);
    command.arg(format!("mqtt://127.0.0.1:{}", broker.port(0)));
    command.arg(format!("ws://127.0.0.1:{}", broker.port(1)));
    let said = Program::start(&mut command).succeed();
    assert_eq!(said, ["all is well"]);
}
