//! Whose certificates a bridge believes.

use std::process::Command;

use dunlin_codec::Qos;
use tempfile::TempDir;

use super::daemon::{BINARY, Daemon, LISTENER};
use super::{BOTH, CONNECTED, bridge};

#[test]
fn without_authorities_it_trusts_whom_the_system_trusts() {
    let home = TempDir::new().expect("a directory");
    let key = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).expect("a key");
    let write = |name: &str, text: String| {
        std::fs::write(home.path().join(name), text).expect("a file");
    };
    write("certificate.pem", key.cert.pem());
    write("key.pem", key.signing_key.serialize_pem());
    let tls = "tls = { certificate = \"{dir}/certificate.pem\", key = \"{dir}/key.pem\" }\n";
    let far = Daemon::prepared(home, &format!("{LISTENER}{LISTENER}{tls}"));

    let port = far.listener(1).port();
    let settings = format!("{LISTENER}{}", bridge(port, "tls = {}", BOTH));
    let mut stranger = Daemon::start(&settings);
    let line = stranger.expect_log("bridge is not connected");
    assert!(line.contains("UnknownIssuer"), "{line}");

    let mut program = Command::new(BINARY);
    program.env("SSL_CERT_FILE", far.file("certificate.pem"));
    let home = TempDir::new().expect("a directory");
    let near = Daemon::within(program, home, &settings);
    near.expect_metric(CONNECTED, 1);
    let mut there = far.client("there");
    there.subscribe("both/#", Qos::AtLeastOnce);
    near.client("here")
        .publish("both/x", b"hello", Qos::AtLeastOnce);
    there.expect_message("both/x", b"hello");
}
