//! `dunlin plugin build`: cargo, with what turns a crate into a component.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

const TARGET: &str = "wasm32-unknown-unknown";

/// Bytes of a plugin's stack: it needs little, and each instance has one.
const STACK_BYTES: u32 = 65_536;

/// A Rust that compiles to WebAssembly.
struct Toolchain {
    /// The compiler, if it is not the usual one.
    rustc: Option<PathBuf>,
    /// Where that finds its libraries.
    libraries: Option<PathBuf>,
    /// What makes components.
    linker: PathBuf,
    /// Where the linker finds the one below it.
    beside: PathBuf,
}

/// Compiles the crate in `directory`; the component, which lies in it afterwards.
///
/// # Errors
/// What is missing and how to get it, or that the compiler refused the crate.
pub fn build(directory: &Path) -> Result<PathBuf, String> {
    if !directory.join("Cargo.toml").is_file() {
        return Err(format!(
            "{}: there is no Cargo.toml; name a crate, or make one with `dunlin plugin new`",
            directory.display()
        ));
    }
    let toolchain = Toolchain::find(directory)?;
    let built = toolchain.cargo(directory)?;
    let place = directory.join(built.file_name().unwrap_or("plugin.wasm".as_ref()));
    let copied = fs::copy(&built, &place);
    copied.map_err(|error| format!("cannot write {}: {error}", place.display()))?;
    Ok(place)
}

impl Toolchain {
    fn find(directory: &Path) -> Result<Self, String> {
        let ask = |arguments: &[&str]| {
            let output = Command::new("rustc")
                .current_dir(directory)
                .args(arguments)
                .output();
            let output = output.map_err(|error| {
                format!("cannot run rustc: {error}; install Rust from https://rustup.rs")
            })?;
            Ok::<_, String>(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?.trim());
        let version = ask(&["-vV"])?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.ok_or("rustc -vV names no host; is it a Rust compiler?")?;
        let tools = sysroot.join("lib/rustlib").join(host).join("bin");
        let linker = tools.join("wasm-component-ld");
        if !linker.is_file() {
            return Err(format!(
                "{} is missing; it comes with the Rust of https://rustup.rs",
                linker.display()
            ));
        }
        let (rustc, libraries) = match env::var_os("WASM_RUST").map(PathBuf::from) {
            Some(rust) => (
                Some(rust.join("usr/bin/rustc")),
                Some(
                    rust.join("usr/lib")
                        .join(format!("{}-linux-gnu", env::consts::ARCH)),
                ),
            ),
            None if sysroot.join("lib/rustlib").join(TARGET).is_dir() => (None, None),
            None => {
                return Err(format!(
                    "this Rust cannot compile to WebAssembly; run: rustup target add {TARGET}"
                ));
            }
        };
        Ok(Toolchain {
            rustc,
            libraries,
            linker,
            beside: tools.join("gcc-ld"),
        })
    }

    /// Runs cargo; the module that it made.
    fn cargo(&self, directory: &Path) -> Result<PathBuf, String> {
        let mut path = OsString::from(&self.beside);
        if let Some(usual) = env::var_os("PATH") {
            path.push(":");
            path.push(usual);
        }
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(directory)
            .args(["build", "--release", "--target", TARGET])
            .arg("--message-format=json-render-diagnostics")
            .env("PATH", path)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &self.linker)
            .env(
                "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
                format!("-Clink-arg=-zstack-size={STACK_BYTES}"),
            )
            .stderr(Stdio::inherit());
        if let Some(rustc) = &self.rustc {
            cargo.env("RUSTC", rustc);
        }
        if let Some(libraries) = &self.libraries {
            cargo.env("LD_LIBRARY_PATH", libraries);
        }
        let output = cargo.output();
        let output = output.map_err(|error| format!("cannot run cargo: {error}"))?;
        if !output.status.success() {
            return Err("the crate does not compile; what the compiler said is above".into());
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        let mut modules = messages.lines().filter_map(module_of);
        modules.next_back().ok_or_else(|| {
            "the crate has no module; its Cargo.toml needs [lib] crate-type = [\"cdylib\"]".into()
        })
    }
}

/// The module that a message of cargo's tells of.
fn module_of(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let files = message.get("filenames")?.as_array()?;
    let mut files = files.iter().filter_map(Value::as_str).map(PathBuf::from);
    files.rfind(|file| {
        file.extension()
            .is_some_and(|extension| extension == "wasm")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_found_among_cargos_messages() {
        let module = r#"{"reason":"compiler-artifact","filenames":["/t/libx.rlib","/t/x.wasm"]}"#;
        assert_eq!(module_of(module), Some("/t/x.wasm".into()));
        for other in [
            "",
            r#"{"reason":"build-finished","success":true}"#,
            r#"{"reason":"compiler-artifact","filenames":["/t/libx.rlib"]}"#,
        ] {
            assert_eq!(module_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_directory_without_a_crate_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let error = build(directory.path()).expect_err("no crate");
        assert!(error.contains("there is no Cargo.toml"), "{error}");
    }
}
