//! Modules that are refused, and what is said of them.

mod common;

use common::{Bench, Guest, answers, componentize};
use dunlin_plugins::inspect;
use proptest::prelude::*;
use serde_json::json;
use sha2::{Digest, Sha256};

fn honest() -> Guest {
    Guest::acl(&answers(0, 0, None))
}

fn refused(component: &[u8], expected: &str) {
    let bench = Bench::new();
    let error = bench.refusal(&bench.settings(component)).to_string();
    assert!(error.contains(expected), "{error}");
    assert!(error.starts_with("plugin fixture: "), "{error}");
}

#[test]
fn what_is_no_component() {
    refused(b"", "no WebAssembly component");
    refused(b"#!/bin/sh\n", "no WebAssembly component");
    let core = wat::parse_str(honest().core()).expect("valid text");
    refused(&core, "core module");
    let engine = wasmtime::Engine::default();
    let compiled = engine.precompile_component(&honest().component());
    refused(&compiled.expect("it compiles"), "compiled already");
}

#[test]
fn what_is_no_plugin() {
    let component = |text: &str| wat::parse_str(text).expect("valid text");
    refused(&component("(component)"), "none of the interfaces");
    refused(
        &component(
            r#"(component (import "wasi:cli/environment@0.2.0" (instance))
                 (instance $i) (export "dunlin:plugin/acl@0.1.0" (instance $i))
                 (export "dunlin:plugin/plugin@0.1.0" (instance $i)))"#,
        ),
        "no WASI",
    );
    refused(
        &component(r#"(component (instance $i) (export "dunlin:plugin/acl@0.1.0" (instance $i)))"#),
        "plugin/plugin@0.1.0",
    );
    // The interfaces are there, the functions are not.
    refused(
        &component(
            r#"(component (instance $i) (export "dunlin:plugin/acl@0.1.0" (instance $i))
                 (export "dunlin:plugin/plugin@0.1.0" (instance $i)))"#,
        ),
        "describe",
    );
    refused(
        &component(
            r#"(component (import "dunlin:plugin/http@0.1.0" (instance))
                 (instance $i) (export "dunlin:plugin/acl@0.1.0" (instance $i))
                 (export "dunlin:plugin/plugin@0.1.0" (instance $i)))"#,
        ),
        "imports http",
    );
    refused(
        &component(
            r#"(component (import "dunlin:plugin/log@0.1.0" (instance
                   (export "write" (func (param "line" string)))))
                 (instance $i) (export "dunlin:plugin/acl@0.1.0" (instance $i))
                 (export "dunlin:plugin/plugin@0.1.0" (instance $i)))"#,
        ),
        "an import is not as the world acl-plugin has it",
    );
}

#[test]
fn functions_of_the_wrong_type() {
    let text = r#"(component
        (core module $m
          (memory (export "m") 1)
          (func (export "describe") (result i32) i32.const 0)
          (func (export "configure") (param i32 i32) (result i32) i32.const 0)
          (func (export "authorize") (result i32) i32.const 0)
          (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0))
        (core instance $i (instantiate $m))
        (alias core export $i "m" (core memory $memory))
        (func $describe (result string) (canon lift (core func $i "describe")
          (memory $memory)))
        (func $configure (param "config" string) (result (result (error string)))
          (canon lift (core func $i "configure") (memory $memory)
            (realloc (core func $i "realloc"))))
        (func $authorize (result u32) (canon lift (core func $i "authorize")))
        (instance $plugin (export "describe" (func $describe))
          (export "configure" (func $configure)))
        (instance $acl (export "authorize" (func $authorize)))
        (export "dunlin:plugin/plugin@0.1.0" (instance $plugin))
        (export "dunlin:plugin/acl@0.1.0" (instance $acl)))"#;
    let component = wat::parse_str(text).expect("valid text");
    refused(
        &component,
        "a function of the interface acl has the wrong type",
    );
}

#[test]
fn a_pinned_hash_must_fit() {
    let bench = Bench::new();
    let component = honest().component();
    let mut settings = bench.settings(&component);
    settings.sha256 = Some(Sha256::digest(&component).into());
    bench.host.load("fixture", &settings).expect("it fits");
    settings.sha256 = Some([0; 32]);
    let error = bench.refusal(&settings).to_string();
    assert!(error.contains("pins 0000"), "{error}");
}

#[test]
fn grants_and_configuration_are_checked() {
    let bench = Bench::new();
    let random = r#"(import "dunlin:plugin/random@0.1.0" "bytes" (func $random (param i32 i32)))"#;
    let use_it = format!(
        "(call $random (i32.const 1) (i32.const 80)) {}",
        answers(0, 0, None)
    );
    let silent = Guest::acl(&use_it).with_imports(random);
    let mut settings = bench.settings(&silent.component());
    settings.grants.random = true;
    let error = bench.refusal(&settings).to_string();
    assert!(error.contains("its author must add it"), "{error}");

    let asking = silent.with_manifest(r#","grants":["random"]"#);
    let mut settings = bench.settings(&asking.component());
    let error = bench.refusal(&settings).to_string();
    assert!(error.contains("set grants.random = true"), "{error}");
    settings.grants.random = true;
    bench.host.load("fixture", &settings).expect("granted");

    settings.config = json!({"a": 1});
    let error = bench.refusal(&settings).to_string();
    assert!(error.contains("nothing to configure"), "{error}");
    let schema = r#","schema":{"type":"object","properties":{"a":{"type":"integer"}}}"#;
    let with_schema = honest().with_manifest(schema);
    let mut settings = bench.settings(&with_schema.component());
    settings.config = json!({"a": "x"});
    let error = bench.refusal(&settings).to_string();
    assert!(error.contains("/a"), "{error}");
    settings.config = json!({"a": 1});
    bench.host.load("fixture", &settings).expect("it fits");
}

#[test]
fn a_plugin_may_refuse_its_configuration() {
    let refuse = "(i32.store8 (i32.const 32) (i32.const 1))
                  (i32.store (i32.const 36) (i32.const 1024))
                  (i32.store (i32.const 40) (i32.const 7))
                  (i32.const 32)";
    let guest = honest().with_configure(refuse);
    refused(&guest.component(), r#"refuses its configuration: {"name""#);
}

#[test]
fn a_manifest_must_keep_the_contract() {
    refused(&honest().with_manifest(r#","more":1"#).component(), "more");
    refused(
        &honest().with_manifest(r#","topics":["a"]"#).component(),
        "topics",
    );
}

#[test]
fn describing_may_use_no_import_but_the_log() {
    let import = r#"(import "dunlin:plugin/clock@0.1.0" "wall-ms" (func $now (result i64)))"#;
    let guest = honest().with_imports(import);
    let core = guest.core().replace(
        r#"describe") (result i32)"#,
        r#"describe") (result i32) (drop (call $now))"#,
    );
    let module = wat::parse_str(core).expect("valid text");
    refused(&componentize("acl-plugin", module), "may use no import");
}

#[test]
fn inspection_tells_what_it_is() {
    let bench = Bench::new();
    let random = r#"(import "dunlin:plugin/random@0.1.0" "bytes" (func $random (param i32 i32)))"#;
    let component = honest().with_imports(random).component();
    let found = inspect(&bench.host, &component).expect("a plugin");
    assert_eq!(found.class.world(), "acl-plugin");
    assert!(found.imports.contains(&"random".to_owned()));
    assert_eq!(found.needs.len(), 1);
    assert_eq!(found.manifest.name, "fixture");
    assert_eq!(found.bytes, component.len());
    let error = inspect(&bench.host, b"\0asm").expect_err("no plugin");
    assert!(
        error.to_string().contains("no WebAssembly component"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_bytes_are_no_plugin(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let bench = SHARED.with(|bench| bench.clone());
        prop_assert!(inspect(&bench, &bytes).is_err());
        let component = [&b"\0asm\x0d\0\x01\0"[..], &bytes].concat();
        prop_assert!(inspect(&bench, &component).is_err());
    }

    #[test]
    fn damaged_components_are_refused_or_harmless(
        at in 0.0..1.0_f64,
        flip in 1_u8..,
        truncate: bool,
    ) {
        let bench = SHARED.with(|bench| bench.clone());
        let mut component = honest().component();
        let at = (component.len() as f64 * at) as usize;
        if truncate {
            component.truncate(at);
            prop_assert!(inspect(&bench, &component).is_err());
        } else {
            component[at] ^= flip;
            // A flipped bit may be in a name or a number that does not matter. It must not hurt.
            let _ = inspect(&bench, &component);
        }
    }
}

thread_local! {
    static SHARED: dunlin_plugins::Host = Bench::new().host;
}
