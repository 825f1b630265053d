//! What a component is, without loading it.

use std::sync::Arc;

use crate::{
    Class, GrantName, Host, Limits, LoadError, Manifest, acl::AclWorld, auth::AuthWorld,
    bridge::BridgeWorld, filter::FilterWorld, host::Runtime, load::describe, world::needed,
};

/// What `dunlin plugin check` tells of a component.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// Which world it implements.
    pub class: Class,
    /// Interfaces of the contract that it imports, in the order of the component.
    pub imports: Vec<String>,
    /// Imports that must be granted. If one is not in the manifest, it cannot be loaded.
    pub needs: Vec<GrantName>,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Of the component.
    pub sha256: [u8; 32],
    /// Of the component.
    pub bytes: usize,
}

/// Compiles a component, links it and asks what it is. Nothing is configured or granted.
///
/// # Errors
/// If it is no plugin; says why.
pub fn inspect(host: &Host, bytes: &[u8]) -> Result<Inspection, LoadError> {
    look_at(&host.0, bytes).map_err(|what| LoadError {
        plugin: "to be checked".into(),
        what,
    })
}

fn look_at(runtime: &Arc<Runtime>, bytes: &[u8]) -> Result<Inspection, String> {
    let linked = runtime.link(bytes)?;
    let limits = Limits::of(linked.class);
    let name = "check";
    let manifest = match linked.class {
        Class::Auth => describe::<AuthWorld>(runtime, name, &linked, &limits)?.0,
        Class::Acl => describe::<AclWorld>(runtime, name, &linked, &limits)?.0,
        Class::Filter => describe::<FilterWorld>(runtime, name, &linked, &limits)?.0,
        Class::Bridge => describe::<BridgeWorld>(runtime, name, &linked, &limits)?.0,
    };
    Ok(Inspection {
        class: linked.class,
        needs: needed(&linked.imports).collect(),
        imports: linked.imports,
        manifest,
        sha256: linked.sha256,
        bytes: bytes.len(),
    })
}
