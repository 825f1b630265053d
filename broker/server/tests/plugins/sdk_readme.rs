//! `sdk/README.md`, from nothing to a plugin that protects a running broker: every step as it is
//! written there.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::daemon::BINARY;

const README: &str = include_str!("../../../../sdk/README.md");

/// Rust with the target that `.ci/setup` made, where rustup's has none.
fn wasm_rust() -> Option<PathBuf> {
    let made = root().join("target/clients/wasm-rust");
    let given = std::env::var_os("WASM_RUST").map(PathBuf::from);
    given.or(made.join("ready").is_file().then_some(made))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A script, with this `dunlin` on its path.
fn run(script: &str, directory: &Path) -> Output {
    let tools = directory.join("path");
    fs::create_dir_all(&tools).expect("a directory");
    if !tools.join("dunlin").exists() {
        std::os::unix::fs::symlink(BINARY, tools.join("dunlin")).expect("a link");
    }
    let path = std::env::var("PATH").expect("a path");
    let mut shell = Command::new("bash");
    shell
        .args(["-euc", script])
        .current_dir(directory)
        .env("PATH", format!("{}:{path}", tools.display()))
        .env("DUNLIN__ADMIN__ADDRESS", "off");
    if let Some(rust) = wasm_rust() {
        shell.env("WASM_RUST", rust);
    }
    shell.output().expect("bash")
}

fn succeeds(script: &str, directory: &Path) -> String {
    let output = run(script, directory);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{script}\n{text}");
    text
}

/// The commands below the heading that begins with this.
fn step(heading: &str) -> String {
    let section = README.split(&format!("\n### {heading}")).nth(1);
    let section = section.unwrap_or_else(|| panic!("no step {heading}"));
    let section = section.split("\n#").next().unwrap_or_default();
    let blocks = section.split("```sh\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap_or_default());
    blocks.collect::<Vec<_>>().concat()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// In one shell, as a reader would: only the port is another, and a client is there that must not
/// be disconnected while the plugin changes.
#[test]
fn from_nothing_to_a_plugin_that_protects_a_broker() {
    let directory = tempfile::tempdir().expect("a directory");
    let port = free_port();
    let steps = ["1.", "2.", "3.", "4.", "5."].map(step);
    let [crate_, component, broker, client, change] = steps.map(|step| {
        let step = step.replace("127.0.0.1:1883", &format!("127.0.0.1:{port}"));
        step.replace(
            "mosquitto_pub ",
            &format!("mosquitto_pub -h 127.0.0.1 -p {port} "),
        )
    });
    let script = format!(
        r#"set -m
        within() {{
            for _ in $(seq 300); do if "$@"; then return; fi; sleep 0.1; done
            echo "not in time: $*"; exit 1
        }}
        {crate_}
        {component}
        {broker}
        trap 'kill $(jobs -p)' EXIT
        listens() {{ (: </dev/tcp/127.0.0.1/{port}) 2>/dev/null; }}
        within listens
        {client}
        stdbuf -oL mosquitto_sub -h 127.0.0.1 -p {port} -u pump -P "$TOKEN" -i stays -t news -d >stays.log 2>&1 &
        within grep -q 'received SUBACK' stays.log

        sed -i 's|devices/%u/|alarms/%u/|' src/lib.rs
        {change}
        allowed() {{
            mosquitto_pub -V 5 -h 127.0.0.1 -p {port} -u pump -P "$TOKEN" -t "$1/pump/x" -m x -q 1 -d 2>&1 |
                grep -q 'PUBACK (Mid: 1, RC:16)'
        }}
        within allowed alarms
        if allowed devices; then echo 'the old rule holds still'; exit 1; fi
        if ! kill -0 %2 || [ "$(grep -c CONNACK stays.log)" != 1 ]; then
            echo 'a client was disconnected'; exit 1
        fi
        kill %2
        "#
    );
    let text = succeeds(&script, directory.path());
    for said in ["test result: ok", "all as expected", "published", "refused"] {
        assert!(text.contains(said), "{said} in {text}");
    }
}

/// The same ACL in other languages denies what it should, in the broker's own host.
#[test]
fn plugins_in_c_and_javascript() {
    let directory = tempfile::tempdir().expect("a directory");
    let case = |topic: &str, effect: &str| {
        format!(
            "{{\"authorize\": {{\"client\": {{\"client_id\": \"c\"}}, \"questions\": \
             [{{\"action\": \"publish\", \"topic\": \"{topic}\"}}]}}, \
             \"expect\": [{{\"effect\": \"{effect}\"}}]}}\n"
        )
    };
    let cases = case("secret/a", "deny") + &case("open/a", "next");
    fs::write(directory.path().join("cases.jsonl"), cases).expect("a file");
    fs::write(
        directory.path().join("config.json"),
        r#"{"prefix": "secret/"}"#,
    )
    .expect("a file");
    for language in ["c", "javascript"] {
        let examples = root().join("sdk/examples").join(language).join("build");
        let place = root().join("target/clients").join(language);
        let script = format!(
            "{} {place}\ndunlin plugin check {place}/acl.wasm\n\
             dunlin plugin test {place}/acl.wasm cases.jsonl --config config.json",
            examples.display(),
            place = place.display(),
        );
        let text = succeeds(&script, directory.path());
        assert!(text.contains("all as expected"), "{text}");
    }
}
