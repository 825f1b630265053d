//! A plugin that does what no honest one does, asked by an attacker: the broker goes on for others,
//! counts it, and leaves the plugin alone when it fails again and again.

use std::path::PathBuf;
use std::process::Command;

use dunlin_codec::{Packet, Publish, Qos, ReasonCode};

use super::daemon::{Daemon, LISTENER};
use super::support::{Client, id};

/// What `hostile.c` can do, in its order; and how that is counted.
const DEEDS: [(&str, &str); 7] = [
    ("an endless loop", "deadline"),
    ("an endless recursion", "trap"),
    ("memory without end", "memory"),
    ("a trap", "trap"),
    ("an answer of no type", "answer"),
    ("an answer of 12 MiB", "answer"),
    ("a log line of 10 MB", "answer"),
];

/// The component that does deed `number`. The compiler is the one that `.ci/setup` installs for
/// the example in C.
fn component(number: usize, directory: &std::path::Path) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let wasm = directory.join("hostile.wasm");
    let script = r#"
        tools=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin
        target/clients/c/python/bin/python -m ziglang cc --target=wasm32-freestanding -std=c23 -Os \
            -Wno-infinite-recursion -DDEED="$1" -c broker/server/tests/plugins/hostile.c -o "$2.o"
        PATH=$tools/gcc-ld:$PATH "$tools/wasm-component-ld" "$2.o" --no-entry -z stack-size=16384 -o "$2"
    "#;
    let mut shell = Command::new("bash");
    shell.args(["-euc", script, "build", &number.to_string()]);
    let built = shell.arg(&wasm).current_dir(root).output().expect("bash");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    wasm
}

/// What a client is told about a message of QoS 1; `None` if it is disconnected.
fn told(client: &mut Client, topic: &str) -> Option<ReasonCode> {
    client.send_if_there(&Packet::Publish(Publish {
        topic,
        qos: Qos::AtLeastOnce,
        packet_id: Some(id(7)),
        ..Publish::default()
    }));
    let frame = client.read_until_gone()?;
    match frame.packet() {
        Packet::Puback(ack) => Some(ack.reason),
        _ => None,
    }
}

#[test]
fn a_hostile_plugin_harms_nobody_else() {
    for (number, (deed, kind)) in DEEDS.into_iter().enumerate() {
        let directory = tempfile::tempdir().expect("a directory");
        let wasm = component(number, directory.path());
        let mut daemon = Daemon::start(&format!(
            "{LISTENER}[[plugins]]\nname = \"hostile\"\npath = {wasm:?}\n"
        ));
        let mut other = daemon.client("other");
        other.subscribe("good/#", Qos::AtLeastOnce);
        let mut attacker = daemon.client("attacker");
        let reason = told(&mut attacker, "evil/x");
        assert_eq!(
            reason,
            Some(ReasonCode::ImplementationSpecificError),
            "{deed}"
        );
        other.publish("good/1", b"x", Qos::AtLeastOnce);
        other.expect_message("good/1", b"x");
        let faults = format!("plugin_faults_total{{plugin=\"hostile\",kind=\"{kind}\"}}");
        daemon.expect_metric(&faults, 1);

        // Until it is left alone. What it has allowed before holds while it is.
        let open = "plugin_breaker_open{plugin=\"hostile\"}";
        let mut attempts = 0;
        while daemon.metric(open) == 0 {
            attempts += 1;
            assert!(attempts < 100, "{deed}: it is asked for ever");
            if told(&mut attacker, "evil/x").is_none() {
                attacker = daemon.client("attacker");
            }
        }
        let line = daemon.expect_log("is not asked for a while");
        assert!(line.contains("hostile"), "{line}");
        other.publish("good/1", b"y", Qos::AtLeastOnce);
        other.expect_message("good/1", b"y");
        let fresh = told(&mut daemon.client("fresh"), "good/1");
        assert_eq!(fresh, Some(ReasonCode::ImplementationSpecificError));
        let (_, ready) = daemon.http("GET", "/readyz", "");
        assert!(ready.contains("plugin hostile fails"), "{ready}");
        println!(
            "{deed}: refused with 0x83 and counted as {kind}; left alone after {} calls",
            attempts + 1
        );
    }
}
