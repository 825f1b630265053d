//! `dunlin plugin new`: a crate with a plugin that works, and beside it the SDK that fits this
//! broker, so that nothing has to be fetched but what crates.io has.

use std::fs;
use std::io;
use std::path::Path;

use include_dir::{Dir, DirEntry, include_dir};

use super::name_of;
use crate::cli::Kind;

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../sdk/templates");
static SDK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../sdk/src");

/// What the SDK depends on, as in the workspace that this comes from.
const SDK_MANIFEST: &str = r#"[package]
name = "dunlin-sdk"
description = "What a plugin of the Dunlin MQTT broker is written with"
version = "0.1.0"
edition = "2024"
license = "Apache-2.0"

[dependencies]
serde = { version = "1", features = ["derive"] }
serde_json = { version = "1", default-features = false, features = ["std"] }

[target.'cfg(not(target_arch = "wasm32"))'.dependencies]
base64 = { version = "0.23", default-features = false, features = ["alloc"] }
hmac = { version = "0.13", default-features = false }
sha2 = { version = "0.11", default-features = false }
"#;

/// Makes the crate.
///
/// # Errors
/// The directory is there and not empty, or cannot be written.
pub fn make(kind: Kind, directory: &Path) -> Result<(), String> {
    let name = name_of(directory)?;
    let in_use = fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some());
    if in_use {
        return Err(format!(
            "{}: there is something already; choose a directory that is not there",
            directory.display()
        ));
    }
    let template = match kind {
        Kind::Acl => "acl",
        Kind::Auth => "auth",
        Kind::Bridge => "bridge",
        Kind::Filter => "filter",
    };
    let cannot = |error: io::Error| format!("cannot write {}: {error}", directory.display());
    let files = TEMPLATES.get_dir(template);
    let files = files.ok_or_else(|| format!("there is no template {template}"))?;
    write(files, template, directory, name).map_err(cannot)?;
    let sdk = directory.join("sdk");
    write(&SDK, "", &sdk.join("src"), name).map_err(cannot)?;
    fs::write(sdk.join("Cargo.toml"), SDK_MANIFEST).map_err(cannot)
}

/// Writes the files of `from`, whose paths begin with `prefix`, below `to`.
fn write(from: &Dir<'_>, prefix: &str, to: &Path, name: &str) -> io::Result<()> {
    for entry in from.entries() {
        let path = entry.path();
        let place = to.join(path.strip_prefix(prefix).unwrap_or(path));
        match entry {
            DirEntry::Dir(directory) => write(directory, prefix, to, name)?,
            DirEntry::File(file) => {
                if let Some(parent) = place.parent() {
                    fs::create_dir_all(parent)?;
                }
                match file.contents_utf8() {
                    Some(text) => {
                        let text = text.replace("{{name}}", name);
                        fs::write(place, text.replace("{{sdk}}", "{ path = \"sdk\" }"))?;
                    }
                    None => fs::write(place, file.contents())?,
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_plugin_is_a_crate_with_its_sdk() {
        for kind in [Kind::Acl, Kind::Auth, Kind::Bridge, Kind::Filter] {
            let directory = tempfile::tempdir().expect("a directory");
            let plugin = directory.path().join("my-plugin");
            make(kind, &plugin).expect("a crate");
            let manifest = fs::read_to_string(plugin.join("Cargo.toml")).expect("a manifest");
            assert!(manifest.contains("name = \"my-plugin\""), "{manifest}");
            assert!(
                manifest.contains("dunlin-sdk = { path = \"sdk\" }"),
                "{manifest}"
            );
            for file in ["src/lib.rs", "cases.jsonl", "config.json", "sdk/src/lib.rs"] {
                assert!(plugin.join(file).is_file(), "{file}");
            }
            let again = make(kind, &plugin).expect_err("it is there");
            assert!(again.contains("there is something already"), "{again}");
        }
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["My-Plugin", "1st", "a_b"] {
            let refused = make(Kind::Acl, &directory.path().join(name));
            assert!(refused.is_err(), "{name}");
        }
    }

    #[test]
    fn the_sdk_depends_on_what_it_does_in_the_workspace() {
        let workspace = include_str!("../../../../Cargo.toml");
        let sdk = include_str!("../../../../sdk/Cargo.toml");
        let lines = SDK_MANIFEST
            .lines()
            .filter(|line| line.contains("version = \""));
        for line in lines.filter(|line| line.contains(" = {")) {
            assert!(workspace.contains(line), "{line}");
            let name = line.split(' ').next().unwrap_or_default();
            assert!(sdk.contains(&format!("{name}.workspace")), "{name}");
        }
    }
}
