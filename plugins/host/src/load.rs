//! From a file to a plugin.

use std::{
    fs::File,
    io::Read,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize},
    },
};

use dunlin_plugin_services::{Http, KeySetSettings, KeySets, LogLimit, Numbers};
use sha2::{Digest, Sha256};

use crate::{
    AclPlugin, AuthPlugin, BridgePlugin, Class, FilterPlugin, Grants, Limits, Manifest, Plugin,
    PluginSettings,
    acl::AclWorld,
    auth::AuthWorld,
    bridge::BridgeWorld,
    cache::{Origin, hex},
    cases,
    fault::{Fault, FaultKind},
    filter::FilterWorld,
    host::{Linked, Runtime},
    instance::{Maker, World},
    manifest::GrantName,
    plugin_core::{About, Core},
    schema,
    state::{Phase, Shared},
    world::needed,
};

/// The largest component.
const MAX_FILE_BYTES: u64 = 64 << 20;

pub(crate) fn load(
    runtime: &Arc<Runtime>,
    name: &str,
    settings: &PluginSettings,
) -> Result<Plugin, String> {
    let path = settings.path.display();
    let bytes = read(&settings.path, MAX_FILE_BYTES)?;
    check_hash(&bytes, settings.sha256).map_err(|what| format!("{path}: {what}"))?;
    let linked = runtime
        .link(&bytes)
        .map_err(|what| format!("{path}: {what}"))?;
    drop(bytes);
    let plugin = match linked.class {
        Class::Auth => {
            let core = build::<AuthWorld>(runtime, name, settings, linked)?;
            Plugin::Auth(Arc::new(AuthPlugin::new(core)))
        }
        Class::Acl => {
            let core = build::<AclWorld>(runtime, name, settings, linked)?;
            Plugin::Acl(Arc::new(AclPlugin::new(core)))
        }
        Class::Filter => {
            let core = build::<FilterWorld>(runtime, name, settings, linked)?;
            Plugin::Filter(Arc::new(FilterPlugin::new(core, settings.on_failure)))
        }
        Class::Bridge => {
            let core = build::<BridgeWorld>(runtime, name, settings, linked)?;
            Plugin::Bridge(Arc::new(BridgePlugin::new(core)))
        }
    };
    if let Some(path) = &settings.cases {
        cases::self_test(&plugin, path)?;
    }
    Ok(plugin)
}

fn build<W: World>(
    runtime: &Arc<Runtime>,
    name: &str,
    settings: &PluginSettings,
    linked: Linked,
) -> Result<Core<W>, String> {
    let path = settings.path.display();
    let limits = Limits::from_settings(linked.class, &settings.limits)?;
    let (manifest, maker) =
        describe::<W>(runtime, name, &linked, &limits).map_err(|what| format!("{path}: {what}"))?;
    check_grants(&linked.imports, &manifest, &settings.grants)
        .map_err(|what| format!("{path}: {what}"))?;
    schema::check(manifest.schema.as_ref(), &settings.config)?;
    let shared = shared(
        runtime,
        name,
        linked.class,
        &settings.grants,
        &settings.key_sets,
    )?;
    let about = About {
        manifest,
        sha256: linked.sha256,
        compiled: linked.origin == Origin::Compiled,
    };
    let config = settings.config.to_string();
    Core::new(Arc::clone(runtime), shared, limits, about, maker, config)
        .map_err(|fault| format!("{path}: {}", cannot_start(&fault, &limits)))
}

/// Asks a component what it is, in an instance of its own.
///
/// # Errors
/// If an export is missing or has the wrong type, or the answer is not as the contract says.
pub(crate) fn describe<W: World>(
    runtime: &Arc<Runtime>,
    name: &str,
    linked: &Linked,
    limits: &Limits,
) -> Result<(Manifest, Maker<W>), String> {
    let wrong = |error: wasmtime::Error| {
        format!(
            "an export is not as the world {} has it: {}",
            linked.class.world(),
            crate::fault::chain(&error)
        )
    };
    let maker = Maker::<W>::new(linked.instances.clone()).map_err(wrong)?;
    // It gets nothing to work with yet.
    let shared = shared(runtime, name, linked.class, &Grants::default(), &[])?;
    let mut instance = maker
        .start(&runtime.ticker, &shared, Phase::Describing, limits)
        .map_err(|fault| cannot_start(&fault, limits))?;
    let text = instance
        .describe(&runtime.ticker, limits)
        .map_err(|fault| format!("`describe` failed: {fault}"))?;
    Ok((Manifest::parse(linked.class, &text)?, maker))
}

fn cannot_start(fault: &Fault, limits: &Limits) -> String {
    match fault.kind {
        FaultKind::Memory => format!(
            "it needs more memory than limits.memory_bytes, which is {}: {}",
            limits.memory_bytes, fault.what
        ),
        FaultKind::Deadline => format!(
            "it took more than {:?} to start and to take its configuration",
            limits.setup()
        ),
        _ => format!("it cannot be started: {}", fault.what),
    }
}

fn shared(
    runtime: &Runtime,
    name: &str,
    class: Class,
    grants: &Grants,
    key_sets: &[KeySetSettings],
) -> Result<Arc<Shared>, String> {
    let http = match grants.http.as_slice() {
        [] => None,
        origins => Some(Http::new(origins).map_err(|error| format!("grants.http: {error}"))?),
    };
    Ok(Arc::new(Shared {
        name: name.into(),
        class,
        log_limit: LogLimit::new(),
        broker_limit: LogLimit::new(),
        numbers: Numbers::new(),
        http,
        key_sets: KeySets::new(key_sets)?,
        broker: Arc::clone(&runtime.broker),
        hashing: Arc::clone(&runtime.hashing),
        epoch: AtomicU64::new(0),
        memory_bytes: AtomicUsize::new(0),
    }))
}

/// Every import that needs a grant must be asked for by the plugin and given by the operator.
fn check_grants(imports: &[String], manifest: &Manifest, grants: &Grants) -> Result<(), String> {
    for grant in needed(imports) {
        let name = grant.as_str();
        if !manifest.grants.contains(&grant) {
            return Err(format!(
                "it imports {name}, but its manifest does not name it among `grants`; its author \
                 must add it"
            ));
        }
        let (granted, example) = match grant {
            GrantName::Random => (grants.random, "true"),
            GrantName::Crypto => (grants.crypto, "true"),
            GrantName::Broker => (grants.broker, "true"),
            GrantName::Http => (!grants.http.is_empty(), "[\"https://auth.example.com\"]"),
        };
        if !granted {
            return Err(format!(
                "it needs the grant {name}, which it has not; if you trust it with that, set \
                 grants.{name} = {example}"
            ));
        }
    }
    Ok(())
}

fn check_hash(bytes: &[u8], pinned: Option<[u8; 32]>) -> Result<(), String> {
    let found: [u8; 32] = Sha256::digest(bytes).into();
    match pinned {
        Some(pinned) if pinned != found => Err(format!(
            "its SHA-256 is {}, but sha256 pins {}; if the file is the one that you want, pin its \
             own",
            hex(&found),
            hex(&pinned)
        )),
        _ => Ok(()),
    }
}

/// Reads a file whole.
///
/// # Errors
/// If it cannot be read or is larger than `most` bytes.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let failed = |error| format!("{}: cannot be read: {error}", path.display());
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    match bytes.len() as u64 > most {
        true => Err(format!(
            "{}: larger than {} MiB",
            path.display(),
            most >> 20
        )),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(grants: &[GrantName]) -> Manifest {
        Manifest {
            name: "a".into(),
            version: "1".into(),
            grants: grants.into(),
            topics: Vec::new(),
            schema: None,
        }
    }

    #[test]
    fn grants_must_be_asked_for_and_given() {
        let imports = ["log", "clock", "http", "random"].map(String::from);
        let both = manifest(&[GrantName::Http, GrantName::Random]);
        let mut grants = Grants {
            random: true,
            ..Default::default()
        };
        let error = check_grants(&imports, &both, &grants).expect_err("no http");
        assert!(error.contains("grants.http"), "{error}");
        grants.http.push("https://a".into());
        assert_eq!(check_grants(&imports, &both, &grants), Ok(()));
        let one = manifest(&[GrantName::Http]);
        let error = check_grants(&imports, &one, &grants).expect_err("not asked for");
        assert!(
            error.contains("random") && error.contains("author"),
            "{error}"
        );
        let none = ["log", "metrics", "clock"].map(String::from);
        let nothing = Grants::default();
        assert_eq!(check_grants(&none, &manifest(&[]), &nothing), Ok(()));
    }
}
