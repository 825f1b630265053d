//! Which world of the contract a component implements.

use std::fmt;

use wasmtime::{Engine, component::Component};

use crate::manifest::GrantName;

/// What a plugin is for, and so how it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Says who a client is; asynchronous, may wait.
    Auth,
    /// Says what a client may do; inline.
    Acl,
    /// Passes, changes or drops what is published; inline.
    Filter,
    /// Maps what a bridge carries; inline, on the bridge's own thread.
    Bridge,
}

impl Class {
    /// All classes.
    pub const ALL: [Class; 4] = [Self::Auth, Self::Acl, Self::Filter, Self::Bridge];

    /// A word for logs and metrics, also the interface that it exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Acl => "acl",
            Self::Filter => "filter",
            Self::Bridge => "bridge",
        }
    }

    /// The world of the contract.
    pub fn world(self) -> &'static str {
        match self {
            Self::Auth => "auth-plugin",
            Self::Acl => "acl-plugin",
            Self::Filter => "filter-plugin",
            Self::Bridge => "bridge-plugin",
        }
    }

    /// Whether the thread that calls it is one that must not wait.
    pub(crate) fn is_inline(self) -> bool {
        self != Self::Auth
    }

    fn may_import(self, interface: &str) -> bool {
        match interface {
            "types" | "log" | "metrics" | "clock" | "random" | "crypto" | "broker" => true,
            "http" => self == Self::Auth,
            _ => false,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A component's world and what it uses of it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) class: Class,
    /// Names of interfaces, without package and version.
    pub(crate) imports: Vec<String>,
}

/// The versions of the package that this host serves, as they begin. What stands behind the dot
/// only adds interfaces.
const SERVED: &str = "0.1.";

/// The versions that stand in `sdk/wit`.
const KNOWN: &str = "0.1.0";

/// Finds out by names; types are checked when it is linked.
///
/// # Errors
/// Says which import or export is missing or unknown, and what to do.
pub(crate) fn find(engine: &Engine, component: &Component) -> Result<Found, String> {
    let shape = component.component_type();
    let exports: Vec<&str> = shape.exports(engine).map(|(name, _)| name).collect();
    let class = class(&exports)?;
    let mut imports = Vec::new();
    for (name, _) in shape.imports(engine) {
        imports.push(import(class, name)?.to_owned());
    }
    Ok(Found { class, imports })
}

fn class(exports: &[&str]) -> Result<Class, String> {
    let mut interfaces = Vec::new();
    for name in exports.iter().filter(|name| name.starts_with("dunlin:")) {
        match interface(name)? {
            Some(interface @ ("plugin" | "auth" | "acl" | "filter" | "bridge")) => {
                interfaces.push(interface);
            }
            _ => {
                return Err(format!(
                    "it exports {name}, which dunlin:plugin@{SERVED}x has not; build it with the \
                     SDK of this broker, or use a broker that is as new"
                ));
            }
        }
    }
    let classes: Vec<Class> = Class::ALL
        .into_iter()
        .filter(|class| interfaces.contains(&class.as_str()))
        .collect();
    let class = match *classes {
        [class] => class,
        [] => {
            return Err(
                "it exports none of the interfaces auth, acl, filter and bridge of \
                 dunlin:plugin@0.1.0, so it is no plugin; see sdk/README.md"
                    .into(),
            );
        }
        [..] => {
            return Err(format!(
                "it exports {}; a plugin implements one world",
                interfaces.join(", ")
            ));
        }
    };
    match interfaces.contains(&"plugin") {
        true => Ok(class),
        false => Err(format!(
            "it exports {class} but not dunlin:plugin/plugin@0.1.0, which every plugin must"
        )),
    }
}

fn import(class: Class, name: &str) -> Result<&str, String> {
    match interface(name)? {
        Some(interface) if class.may_import(interface) => Ok(interface),
        Some("http") => Err(format!(
            "it imports http, which the world {} has not: it must answer at once",
            class.world()
        )),
        _ if name.starts_with("wasi:") => Err(format!(
            "it imports {name}, but plugins get no WASI; build it for wasm32-unknown-unknown or \
             stub WASI out, see sdk/README.md"
        )),
        _ => Err(format!(
            "it imports {name}, which the world {} of dunlin:plugin@{SERVED}x has not",
            class.world()
        )),
    }
}

/// `acl` of `dunlin:plugin/acl@0.1.0`; `None` of what is none of the contract's.
///
/// # Errors
/// If it is of a version that is not served.
fn interface(name: &str) -> Result<Option<&str>, String> {
    let ours = name.strip_prefix("dunlin:plugin/");
    match ours.and_then(|rest| rest.split_once('@')) {
        Some((interface, version)) if version.starts_with(SERVED) => Ok(Some(interface)),
        Some(_) => Err(format!(
            "it is built against {name}, but this broker knows {KNOWN} of dunlin:plugin; build it \
             with the SDK of this broker, or use a broker that knows its version"
        )),
        None => Ok(None),
    }
}

/// The grants that imports need.
pub(crate) fn needed(imports: &[String]) -> impl Iterator<Item = GrantName> {
    imports
        .iter()
        .filter_map(|name| GrantName::of_interface(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_told_by_its_exports() {
        let both = |name: &'static str| ["dunlin:plugin/plugin@0.1.0", name];
        for (name, expected) in [
            ("dunlin:plugin/auth@0.1.0", Class::Auth),
            ("dunlin:plugin/acl@0.1.7", Class::Acl),
            ("dunlin:plugin/filter@0.1.0", Class::Filter),
            ("dunlin:plugin/bridge@0.1.0", Class::Bridge),
        ] {
            assert_eq!(class(&both(name)), Ok(expected));
            assert!(
                class(&[name])
                    .expect_err("no plugin")
                    .contains("plugin/plugin")
            );
        }
        let with_others = [&both("dunlin:plugin/acl@0.1.0")[..], &["other:thing/x"]].concat();
        assert_eq!(class(&with_others), Ok(Class::Acl));
        for (exports, expected) in [
            (&[][..], "none of"),
            (&["run"], "none of"),
            (&["dunlin:plugin/plugin@0.1.0"], "none of"),
            (&["dunlin:plugin/acl@0.2.0"], "acl@0.2.0"),
            (&["dunlin:plugin/acl"], "dunlin:plugin/acl"),
            (
                &["dunlin:plugin/acl@0.1.0", "dunlin:plugin/auth@0.1.0"],
                "one world",
            ),
        ] {
            let error = class(exports).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn imports_are_those_of_the_world() {
        assert_eq!(import(Class::Acl, "dunlin:plugin/log@0.1.0"), Ok("log"));
        assert_eq!(import(Class::Auth, "dunlin:plugin/http@0.1.0"), Ok("http"));
        for (name, expected) in [
            ("dunlin:plugin/http@0.1.0", "must answer at once"),
            ("dunlin:plugin/log@0.2.0", "log@0.2.0"),
            ("dunlin:plugin/files@0.1.0", "files"),
            ("wasi:cli/environment@0.2.6", "no WASI"),
            ("env", "env"),
        ] {
            let error = import(Class::Filter, name).expect_err(name);
            assert!(error.contains(expected), "{error}");
        }
    }
}
