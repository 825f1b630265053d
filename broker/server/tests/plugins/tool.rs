//! `dunlin plugin`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::daemon::BINARY;
use crate::dist;

fn dunlin(arguments: &[&str], directory: &Path) -> (bool, String) {
    let output = Command::new(BINARY)
        .args(arguments)
        .current_dir(directory)
        .output();
    let output = output.expect("a process");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

fn guest(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("../../plugins").join(name)
}

#[test]
fn what_ships_answers_its_recorded_cases_in_this_host() {
    for name in [
        "acl-pattern",
        "auth-http",
        "auth-scram",
        "bridge-map",
        "filter-json",
    ] {
        let component = dist(name);
        let arguments = ["plugin", "test", component.to_str().expect("a path")];
        let arguments = [&arguments[..], &["cases.jsonl", "--config", "config.json"]].concat();
        let (good, text) = dunlin(&arguments, &guest(name));
        assert!(good && text.contains("all as expected"), "{name}: {text}");
        let (good, text) = dunlin(&["plugin", "check", arguments[2]], &guest(name));
        assert!(
            good && text.contains("dunlin:plugin@0.1.0"),
            "{name}: {text}"
        );
    }
}

#[test]
fn cases_that_come_out_otherwise_are_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let case = r#"{"authorize": {"client": {"client_id": "c"}, "questions": [{"action": "publish", "topic": "t"}]}, "expect": [{"effect": "allow"}]}"#;
    std::fs::write(directory.path().join("cases"), case).expect("a file");
    std::fs::write(directory.path().join("config"), r#"{"rules": []}"#).expect("a file");
    let component = dist("acl-pattern");
    let arguments = [
        "plugin",
        "test",
        component.to_str().expect("a path"),
        "cases",
    ];
    let arguments = [&arguments[..], &["--config", "config"]].concat();
    let (good, text) = dunlin(&arguments, directory.path());
    assert!(
        !good && text.contains("1 of 1 cases came out otherwise"),
        "{text}"
    );
}

#[test]
fn what_is_no_component_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("x.wasm"), b"\0asm\x01\0\0\0").expect("a file");
    std::fs::write(directory.path().join("y.wasm"), "hello").expect("a file");
    for file in ["x.wasm", "y.wasm", "absent.wasm"] {
        let (good, text) = dunlin(&["plugin", "check", file], directory.path());
        assert!(!good && text.contains(file), "{file}: {text}");
    }
}

#[test]
fn a_new_plugin_is_made_beside_its_sdk() {
    let directory = tempfile::tempdir().expect("a directory");
    let (good, text) = dunlin(&["plugin", "new", "acl", "my-acl"], directory.path());
    assert!(good && text.contains("cargo test"), "{text}");
    assert!(directory.path().join("my-acl/sdk/src/lib.rs").is_file());
    let (good, text) = dunlin(&["plugin", "new", "acl", "My_Acl"], directory.path());
    assert!(!good && text.contains("small letters"), "{text}");
}
