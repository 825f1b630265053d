//! `dunlin plugin check` and `test`: components in the host that the broker has.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use dunlin_plugins::{
    Broker, Grants, Host, HostSettings, Plugin, PluginSettings, inspect, parse_cases, replay,
};

use super::{hexadecimal, settings};
use crate::config;

/// Nobody is there to be told.
struct Nobody;

impl Broker for Nobody {
    fn publish(&self, _: &str, _: &[u8], _: dunlin_codec::Qos, _: bool) -> Result<(), String> {
        Ok(())
    }

    fn disconnect(&self, _: &str) {}
}

fn host() -> Result<Host, String> {
    Host::new(HostSettings {
        code_cache: None,
        broker: Arc::new(Nobody),
    })
}

/// Says what a component is.
///
/// # Errors
/// It is none that this broker loads, and why.
pub fn check(file: &Path) -> Result<(), String> {
    let at = |error: String| format!("{}: {error}", file.display());
    let bytes = fs::read(file).map_err(|error| at(config::file::cannot_read(&error)))?;
    let found = inspect(&host()?, &bytes).map_err(|error| at(error.what().to_owned()))?;
    let manifest = &found.manifest;
    let list = |words: Vec<String>| match words.is_empty() {
        true => "none".to_owned(),
        false => words.join(", "),
    };
    println!("{} {}", manifest.name, manifest.version);
    println!("world    {} of dunlin:plugin@0.1.0", found.class.world());
    println!("imports  {}", list(found.imports.clone()));
    let granted = |need: &dunlin_plugins::GrantName| need.as_str().to_owned();
    println!(
        "grants   {}",
        list(found.needs.iter().map(granted).collect())
    );
    if !manifest.topics.is_empty() {
        println!("topics   {}", manifest.topics.join(", "));
    }
    println!("size     {} KiB", found.bytes.div_ceil(1024));
    println!("sha256   {}", hexadecimal(&found.sha256));
    let undeclared = found
        .needs
        .iter()
        .filter(|need| !manifest.grants.contains(need));
    let undeclared = list(undeclared.map(granted).collect());
    match undeclared.as_str() {
        "none" => Ok(()),
        missing => Err(at(format!(
            "its manifest does not name the grants {missing}; add them"
        ))),
    }
}

/// Replays recorded cases, a line for each.
///
/// # Errors
/// Some came out otherwise, or the plugin cannot be loaded.
pub fn test(
    file: &Path,
    cases: &Path,
    config: Option<&Path>,
    settings: Option<&Path>,
) -> Result<(), String> {
    let plugin = load(file, config, settings)?;
    let at = |error: String| format!("{}: {error}", cases.display());
    let text = fs::read_to_string(cases);
    let text = text.map_err(|error| at(config::file::cannot_read(&error)))?;
    let cases = parse_cases(&text).map_err(at)?;
    let mut failed = 0;
    for case in &cases {
        let replayed = replay(&plugin, case).map_err(|error| format!("{}: {error}", case.name))?;
        let verdict = match replayed.matches {
            true => "ok    ",
            false => "FAILED",
        };
        println!(
            "{verdict} {:>8.1} us {:>6} KiB  {}  {}",
            replayed.took.as_secs_f64() * 1e6,
            replayed.peak_memory_bytes.div_ceil(1024),
            case.name,
            replayed.actual,
        );
        failed += usize::from(!replayed.matches);
    }
    match failed {
        0 => {
            println!("{} cases, all as expected", cases.len());
            Ok(())
        }
        failed => Err(format!(
            "{failed} of {} cases came out otherwise",
            cases.len()
        )),
    }
}

/// With the settings of a file, or with everything granted.
fn load(file: &Path, config: Option<&Path>, table: Option<&Path>) -> Result<Plugin, String> {
    let mut wanted = match table {
        Some(table) => settings(&config::plugin::read_table(table)?)?,
        None => PluginSettings {
            grants: Grants {
                random: true,
                crypto: true,
                broker: true,
                http: vec!["https://example.org".to_owned()],
            },
            ..PluginSettings::new(file)
        },
    };
    wanted.path = file.to_owned();
    if let Some(config) = config {
        let at = |error: String| format!("{}: {error}", config.display());
        let text = fs::read(config).map_err(|error| at(config::file::cannot_read(&error)))?;
        let parsed = serde_json::from_slice(&text);
        wanted.config = parsed.map_err(|error| at(format!("is no JSON: {error}")))?;
    }
    let loaded = host()?.load("test", &wanted);
    loaded.map_err(|error| error.to_string())
}
