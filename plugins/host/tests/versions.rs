//! Components built against each version of the contract that stands in `sdk/wit`, as they were then.
//!
//! `fixtures/acl-c-0.1.0.wasm` is `sdk/examples/c` of when the contract had three worlds.

mod common;

use std::{collections::BTreeSet, fs};

use common::{Bench, as_acl, bob, contract, publish};
use dunlin_auth::{Authorizer, Decision};
use serde_json::json;

fn component(version: &str) -> Vec<u8> {
    let file = format!(
        "{}/tests/fixtures/acl-c-{version}.wasm",
        env!("CARGO_MANIFEST_DIR")
    );
    fs::read(&file).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn versions() -> BTreeSet<String> {
    let folder = contract();
    let folders = folder.parent().expect("versions stand beside each other");
    let entries = fs::read_dir(folders).expect("it is there");
    let entries = entries.map(|entry| entry.expect("readable"));
    let folders = entries.filter(|entry| entry.path().is_dir());
    let names = folders.map(|entry| entry.file_name());
    names.filter_map(|name| name.into_string().ok()).collect()
}

#[test]
fn a_component_of_each_version_is_loaded_and_answers() {
    let bench = Bench::new();
    for version in versions() {
        let mut settings = bench.settings(&component(&version));
        settings.config = json!({"prefix": "private/"});
        let plugin = bench.host.load("c", &settings).expect("it loads");
        assert_eq!(plugin.manifest().name, "acl-c");
        let ask = |topic| as_acl(&plugin).authorize(&bob(), &publish(topic)).decision;
        assert_eq!(ask("private/key"), Decision::Deny, "{version}");
        assert_eq!(ask("public"), Decision::Next, "{version}");
    }
}

#[test]
fn a_component_of_an_unknown_version_is_refused_with_those_that_are_known() {
    let bench = Bench::new();
    for (version, later) in [("0.1.0", "0.2.0"), ("0.1.0", "1.1.0")] {
        // Names are as long as before, so it is a component as good as the other.
        let built = component(version);
        let at = |bytes: &[u8]| bytes == format!("@{version}").as_bytes();
        let starts = built.windows(version.len() + 1).enumerate();
        let starts: Vec<usize> = starts
            .filter(|(_, bytes)| at(bytes))
            .map(|(at, _)| at)
            .collect();
        assert!(!starts.is_empty());
        let mut renamed = built.clone();
        for start in starts {
            renamed[start + 1..][..later.len()].copy_from_slice(later.as_bytes());
        }
        let error = bench.refusal(&bench.settings(&renamed)).to_string();
        assert!(error.contains(&format!("@{later}")), "{error}");
        for known in versions() {
            assert!(error.contains(&format!("knows {known}")), "{error}");
        }
    }
    // Its imports alone are of another version.
    let imports = r#"(component (import "dunlin:plugin/log@0.2.0" (instance))
        (instance $i) (export "dunlin:plugin/acl@0.1.0" (instance $i))
        (export "dunlin:plugin/plugin@0.1.0" (instance $i)))"#;
    let imports = wat::parse_str(imports).expect("valid text");
    let error = bench.refusal(&bench.settings(&imports)).to_string();
    let expected = "dunlin:plugin/log@0.2.0, but this broker knows 0.1.0";
    assert!(error.contains(expected), "{error}");
}
