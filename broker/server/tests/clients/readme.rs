//! README: its files are good, and its commands exist and do what it says.

use std::path::Path;
use std::process::Command;

use rcgen::generate_simple_self_signed;

use crate::broker::{Broker, directory, dunlin};
use crate::mosquitto::{publish, received, subscribe};
use crate::program::{Program, input};

const README: &str = include_str!("../../../../README.md");

/// The contents of the fenced blocks of a kind, in order, below a heading or anywhere.
fn blocks(text: &str, kind: &str) -> Vec<String> {
    let opening = format!("```{kind}\n");
    let starts = text.split(&opening).skip(1);
    starts
        .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

fn section(heading: &str) -> &str {
    let start = README.split(&format!("\n## {heading}\n")).nth(1);
    let body = start.unwrap_or_else(|| panic!("README has no section {heading}"));
    body.split("\n## ").next().unwrap_or_default()
}

fn commands(text: &str) -> Vec<String> {
    let blocks = blocks(text, "sh").concat();
    blocks.lines().map(str::to_owned).collect()
}

#[test]
fn two_commands() {
    assert_eq!(
        commands(section("Two commands")),
        ["cargo run --release", ".ci/test"]
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for script in [".ci/setup", ".ci/test", ".ci/run"] {
        let syntax = Command::new("bash")
            .arg("-n")
            .arg(root.join(script))
            .status();
        assert!(syntax.is_ok_and(|status| status.success()), "{script}");
    }
}

#[test]
fn the_first_minute() {
    let broker = Broker::start();
    let mut said = Vec::new();
    for command in commands(section("The first minute")) {
        let command = format!("{command} -h 127.0.0.1 -p {}", broker.port(0));
        said.extend(Program::start(Command::new("sh").args(["-c", &command])).succeed());
    }
    let version = concat!("dunlin version ", env!("CARGO_PKG_VERSION"));
    assert_eq!(said, ["hello", version]);
}

/// In a directory with README's files, every command of `dunlin` succeeds. What would serve, on
/// fixed ports, is checked instead.
#[test]
fn files_and_commands() {
    let directory = directory();
    write_files(directory.path());
    let mut commands = commands(README);
    commands.retain(|command| command.contains("dunlin ") && !command.contains(" store "));
    assert!(commands.len() > 8, "{commands:#?}");
    // Users come first, wherever README tells of them.
    commands.sort_by_key(|command| !command.starts_with("dunlin passwd"));
    let binary = dunlin().get_program().to_owned();
    for command in commands {
        let command = command
            .replace("dunlin ", "\"$DUNLIN\" ")
            .replace("\" serve ", "\" check ");
        let mut shell = Command::new("sh");
        let asks = command.contains(" passwd ") && !command.contains("--delete");
        let more = if asks { " --password-stdin" } else { "" };
        shell.arg("-c").arg(command + more).env("DUNLIN", &binary);
        Program::start(shell.current_dir(&directory).stdin(input("secret\n"))).succeed();
    }
}

/// What a broker has kept is looked at and copied once it has ended; the copy is as good.
#[test]
fn what_it_keeps() {
    let broker = Broker::start();
    let message = ["-t", "kept", "-m", "hello", "-q", "1", "-r"];
    publish(&broker.port(0), &message);
    let directory = broker.stop();
    let mut commands = commands(section("What it keeps"));
    commands.push("dunlin store check backup".into());
    let binary = dunlin().get_program().to_owned();
    let mut said = Vec::new();
    for command in commands {
        let command = command.replace("dunlin store", "\"$DUNLIN\" store");
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).env("DUNLIN", &binary);
        said.extend(Program::start(shell.current_dir(&directory)).succeed());
    }
    for start in [
        "dunlin-data: every",
        "retained  1,",
        "{\"kind\":\"retained\"",
        "backup: every",
    ] {
        let found = said.iter().any(|line| line.starts_with(start));
        assert!(found, "{start}: {said:#?}");
    }
}

#[test]
fn reload_and_stop() {
    let directory = directory();
    let file = directory.path().join("dunlin.toml");
    let good = "[[listeners]]\naddress = \"127.0.0.1:0\"\n";
    std::fs::write(&file, good).expect("a file");
    let mut broker = Broker::serve(directory, &["--config", "dunlin.toml"], 1);
    let port = &broker.port(0);
    let subscriber = subscribe(port, &["-t", "still/here", "-C", "1"]);

    std::fs::write(&file, format!("worker = 1\n{good}")).expect("a file");
    broker.program().line_with("reload refused");
    std::fs::write(&file, format!("sys.interval = \"60s\"\n{good}")).expect("a file");
    broker.program().line_with("configuration reloaded");
    broker.program().signal("HUP");
    broker.program().line_with("configuration reloaded");
    publish(port, &["-t", "still/here", "-m", "yes"]);
    assert_eq!(received(subscriber), ["still/here 0 0 yes"]);

    broker.program().signal("TERM");
    broker.program().line_with("stopped");
}

/// Writes the blocks whose first line is a comment with a name, and a certificate.
fn write_files(directory: &Path) {
    for kind in ["toml", "conf"] {
        for block in blocks(README, kind) {
            let name = block
                .lines()
                .next()
                .and_then(|line| line.strip_prefix("# "));
            let name = name.expect("a name in the first line");
            std::fs::write(directory.join(name), &block).expect("a file");
        }
    }
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
    std::os::unix::fs::symlink(plugins, directory.join("plugins")).expect("a link");
    let made = generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(directory.join("server.pem"), made.cert.pem()).expect("a file");
    std::fs::write(
        directory.join("server.key"),
        made.signing_key.serialize_pem(),
    )
    .expect("a file");
}
