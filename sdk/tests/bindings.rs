//! The committed bindings are what the contract generates.
//!
//! `sdk/regenerate` writes them. They are committed so that nobody who builds a plugin compiles the
//! generator: 4 CPU seconds instead of 119.

use std::{env, fs, path::Path};

use wit_bindgen_core::{Files, WorldGenerator, wit_parser::Resolve};
use wit_component::StringEncoding;

/// One world of all, so that the worlds share their types; a plugin exports what its own asks for.
const EVERYTHING: &str = "
package dunlin:sdk;

world everything {
    include dunlin:plugin/auth-plugin@0.1.0;
    include dunlin:plugin/acl-plugin@0.1.0;
    include dunlin:plugin/filter-plugin@0.1.0;
    include dunlin:plugin/bridge-plugin@0.1.0;
}
";

const WORLDS: [&str; 4] = [
    "auth-plugin",
    "acl-plugin",
    "filter-plugin",
    "bridge-plugin",
];

#[test]
fn committed_bindings_are_up_to_date() {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let contract = crate_root.join("wit/0.1.0");
    let guest = crate_root.join("src/guest");

    check(&guest.join("bindings.rs"), bindings(&contract).as_bytes());
    for world in WORLDS {
        let file = guest.join(format!("{world}.component-type"));
        check(&file, &component_type(&contract, world));
    }
}

/// Rust for the imports and exports of all worlds.
fn bindings(contract: &Path) -> String {
    let mut resolve = Resolve::default();
    resolve.push_path(contract).expect("the contract is WIT");
    let package = resolve
        .push_str("everything.wit", EVERYTHING)
        .expect("this is WIT");
    let world = resolve
        .select_world(&[package], None)
        .expect("there is one world");

    let options = wit_bindgen_rust::Opts {
        format: true,
        generate_all: true,
        pub_export_macro: true,
        disable_run_ctors_once_workaround: true,
        runtime_path: Some("crate::guest::memory".into()),
        ..Default::default()
    };
    let mut files = Files::default();
    let mut generator = options.build();
    generator
        .generate(&mut resolve, world, &mut files)
        .expect("the worlds can be generated");
    let (_, source) = files.iter().next().expect("one file is generated");
    let source = str::from_utf8(source).expect("Rust is UTF-8");
    without_world(source)
}

/// Takes away what would make a component of that one world of all: the worlds that the contract
/// knows have component types of their own.
fn without_world(source: &str) -> String {
    let start = source
        .find("/// Generates `#[unsafe(no_mangle)]` functions")
        .expect("it has a world");
    let mut kept: Vec<&str> = Vec::new();
    for line in source[..start].lines() {
        match line.contains("__FORCE_SECTION_REF") {
            // With its two attributes.
            true => kept.truncate(kept.len() - 2),
            false => kept.push(line),
        }
    }
    kept.join("\n") + "\n"
}

/// The section that tells the linker which world a module implements.
fn component_type(contract: &Path, world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(contract).expect("the contract is WIT");
    let world = resolve
        .select_world(&[package], Some(world))
        .expect("the contract has this world");
    wit_component::metadata::encode(&resolve, world, StringEncoding::UTF8, None)
        .expect("a world can be encoded")
}

fn check(file: &Path, expected: &[u8]) {
    if env::var_os("REGENERATE").is_some() {
        fs::write(file, expected).expect("the bindings can be written");
    }
    let found = fs::read(file).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not what the contract generates: run sdk/regenerate",
        file.display()
    );
}
