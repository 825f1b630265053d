//! MQTT.js and Paho's JavaScript client in a page, and the dashboard, in headless Chromium.

use std::process::Command;

use crate::broker::{ADA, Broker};
use crate::program::{Program, installed, script};
use crate::scaled;

#[test]
fn mqtt_js_and_paho_in_a_page() {
    let broker = Broker::with_users(&[ADA]);
    let mut command = Command::new("python3");
    command
        .arg(script("browser.py"))
        .arg(installed("node/node_modules"));
    command.args([&broker.port(1), ADA.0, ADA.1, &scaled(20).to_string()]);
    let said = Program::start(&mut command).succeed();
    assert_eq!(said, ["MQTT.js: all is well", "Paho: all is well"]);
}

#[test]
fn the_dashboard_in_a_browser() {
    let token = "known to the test";
    let (_broker, url) = Broker::with_dashboard(&format!("admin.token = \"{token}\""));
    let mut command = Command::new("node");
    command.env("NODE_PATH", installed("node/node_modules"));
    command.arg(script("dashboard.cjs")).args([&url, token]);
    let said = Program::start(&mut command).succeed();
    assert_eq!(said, ["all is well"]);
}
