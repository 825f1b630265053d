//! Components from a few lines of WebAssembly text, and a host to run them.
#![allow(dead_code, reason = "each test uses some of it")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use dunlin_auth::{Action, Details, Principal, Question};
use dunlin_codec::Qos;
use dunlin_plugins::{
    AclPlugin, AuthPlugin, BridgePlugin, Broker, FaultKind, FilterPlugin, Host, HostSettings,
    LoadError, Plugin, PluginSettings,
};
use dunlin_topic::TopicName;
use parking_lot::Mutex;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A guest: what stands here becomes a core module with memory, an allocator, `describe` and
/// `configure`, and that a component of its world.
pub struct Guest {
    pub world: &'static str,
    /// Of the manifest, beside name and version: `,"grants":["random"]`.
    pub manifest: String,
    /// Imports of the core module.
    pub imports: String,
    /// Functions and data of the core module.
    pub body: String,
    /// Of `configure`, which has `$at` and `$length` of the configuration.
    pub configure: String,
}

impl Guest {
    pub fn new(world: &'static str, body: impl Into<String>) -> Self {
        let manifest = match world {
            "filter-plugin" => r##","topics":["#"]"##,
            _ => "",
        };
        Guest {
            world,
            manifest: manifest.into(),
            imports: String::new(),
            body: body.into(),
            configure: "(i32.const 32)".into(),
        }
    }

    /// An ACL plugin; `authorize` is the body of a function that returns the address of a list.
    pub fn acl(authorize: &str) -> Self {
        let params = "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)";
        let export = "dunlin:plugin/acl@0.1.0#authorize";
        Guest::new(
            "acl-plugin",
            format!(
                r#"(func (export "{export}") {params} (result i32) (local $i i32) {authorize})
                   (func (export "cabi_post_{export}") (param i32) (call $reset))"#
            ),
        )
    }

    /// A filter plugin; `on_publish` has `$asked`, the address of client and message.
    pub fn filter(on_publish: &str) -> Self {
        let export = "dunlin:plugin/filter@0.1.0#on-publish";
        Guest::new(
            "filter-plugin",
            format!(
                r#"(func (export "{export}") (param $asked i32) (result i32) (local $i i32)
                     {on_publish})
                   (func (export "cabi_post_{export}") (param i32) (call $reset))"#
            ),
        )
    }

    /// An auth plugin; both have `$asked`, the address of the request (and state and data).
    pub fn auth(authenticate: &str, resume: &str) -> Self {
        let export = "dunlin:plugin/auth@0.1.0#";
        Guest::new(
            "auth-plugin",
            format!(
                r#"(func (export "{export}authenticate") (param $asked i32) (result i32)
                     (local $i i32) {authenticate})
                   (func (export "{export}resume") (param $asked i32) (result i32)
                     (local $i i32) {resume})
                   (func (export "cabi_post_{export}authenticate") (param i32) (call $reset))
                   (func (export "cabi_post_{export}resume") (param i32) (call $reset))"#
            ),
        )
    }

    /// A bridge plugin; both have `$bridge` and `$batch`, each with `$.._length`.
    pub fn bridge(egress: &str, ingress: &str) -> Self {
        let export = "dunlin:plugin/bridge@0.1.0#";
        let params = "(param $bridge i32) (param $bridge_length i32)
                      (param $batch i32) (param $batch_length i32) (result i32)";
        Guest::new(
            "bridge-plugin",
            format!(
                r#"(func (export "{export}egress") {params} {egress})
                   (func (export "{export}ingress") {params} {ingress})
                   (func (export "cabi_post_{export}egress") (param i32) (call $reset))
                   (func (export "cabi_post_{export}ingress") (param i32) (call $reset))"#
            ),
        )
    }

    pub fn with_imports(mut self, imports: &str) -> Self {
        self.imports = imports.into();
        self
    }

    pub fn with_manifest(mut self, manifest: &str) -> Self {
        self.manifest = manifest.into();
        self
    }

    pub fn with_configure(mut self, configure: &str) -> Self {
        self.configure = configure.into();
        self
    }

    /// The text of the core module.
    pub fn core(&self) -> String {
        let manifest = format!(r#"{{"name":"fixture","version":"0.1.0"{}}}"#, self.manifest);
        let escaped = manifest.replace('"', "\\\"");
        let length = manifest.len();
        let Guest {
            imports,
            body,
            configure,
            ..
        } = self;
        format!(
            r#"(module
            {imports}
            (memory (export "memory") 2)
            (global $heap (mut i32) (i32.const 65536))
            (data (i32.const 1024) "{escaped}")
            (func $reset (global.set $heap (i32.const 65536)))
            (func $realloc (export "cabi_realloc")
              (param $old i32) (param $had i32) (param $align i32) (param $bytes i32) (result i32)
              (local $at i32)
              (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
              (global.set $heap (i32.add (local.get $at) (local.get $bytes)))
              (loop $more
                (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
                  (then
                    (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
                    (br $more))))
              (local.get $at))
            (func (export "dunlin:plugin/plugin@0.1.0#describe") (result i32)
              (i32.store (i32.const 16) (i32.const 1024))
              (i32.store (i32.const 20) (i32.const {length}))
              (i32.const 16))
            (func (export "dunlin:plugin/plugin@0.1.0#configure")
              (param $at i32) (param $length i32) (result i32)
              {configure})
            {body})"#
        )
    }

    pub fn component(&self) -> Vec<u8> {
        let module = wat::parse_str(self.core()).expect("valid text");
        componentize(self.world, module)
    }
}

pub fn contract() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/wit/0.1.0")
}

pub fn componentize(world: &str, module: Vec<u8>) -> Vec<u8> {
    let included = format!("include dunlin:plugin/{world}@0.1.0;");
    componentize_with(&included, module)
}

/// A component of a world of its own, in WIT.
pub fn componentize_with(world: &str, mut module: Vec<u8>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_dir(contract()).expect("a valid contract");
    let text = format!("package example:fixture; world fixture {{ {world} }}");
    let package = resolve.push_str("fixture.wit", &text).expect("valid WIT");
    let world = resolve
        .select_world(&[package], None)
        .expect("there is one world");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("a core module");
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .expect("a module that fits its world")
}

/// One answer: an effect (0 allow, 1 deny, 2 next), a TTL and maybe a scope.
pub fn answers(effect: u32, ttl_ms: u32, scope: Option<&str>) -> String {
    let scope_part = match scope {
        None => String::new(),
        Some(scope) => {
            let store: String = scope
                .bytes()
                .enumerate()
                .map(|(at, byte)| {
                    let at = 512 + at;
                    format!("(i32.store8 (i32.const {at}) (i32.const {byte}))")
                })
                .collect();
            let length = scope.len();
            format!(
                "{store} (i32.store8 (i32.const 104) (i32.const 1))
                 (i32.store (i32.const 108) (i32.const 512))
                 (i32.store (i32.const 112) (i32.const {length}))"
            )
        }
    };
    format!(
        "(i32.store8 (i32.const 96) (i32.const {effect}))
         (i32.store (i32.const 100) (i32.const {ttl_ms}))
         {scope_part}
         (i32.store (i32.const 64) (i32.const 96))
         (i32.store (i32.const 68) (i32.const 1))
         (i32.const 64)"
    )
}

/// What goes on of a batch: 0 passes the message at a place, 1 replaces it by a copy, 2 adds a copy
/// of it. The first stands at 4096, the next at 4180; a copy begins 8 behind it, an added one 4.
pub fn goes_on(mapped: &[(u32, u32)]) -> String {
    let one = |(n, &(kind, place)): (usize, &(u32, u32))| {
        let at = 4096 + 84 * n;
        let (value, copy) = (at + 4, at + if kind == 1 { 8 } else { 4 });
        let copy = match kind {
            0 => String::new(),
            _ => format!(
                "(memory.copy (i32.const {copy})
                   (i32.add (local.get $batch) (i32.const {})) (i32.const 76))",
                76 * place
            ),
        };
        format!(
            "(i32.store8 (i32.const {at}) (i32.const {kind}))
             (i32.store (i32.const {value}) (i32.const {place})) {copy}"
        )
    };
    let all: String = mapped.iter().enumerate().map(one).collect();
    format!("{all} {}", listed(4096, mapped.len()))
}

/// The list at an address is the answer of a bridge plugin.
pub fn listed(at: usize, length: usize) -> String {
    format!(
        "(i32.store8 (i32.const 64) (i32.const 0))
         (i32.store (i32.const 68) (i32.const {at}))
         (i32.store (i32.const 72) (i32.const {length}))
         (i32.const 64)"
    )
}

/// Topic, payload, QoS and RETAIN.
type Published = (String, Vec<u8>, Qos, bool);

/// What plugins asked the broker to do.
#[derive(Default)]
pub struct Asked {
    pub published: Mutex<Vec<Published>>,
    pub disconnected: Mutex<Vec<String>>,
}

impl Broker for Asked {
    fn publish(&self, topic: &str, payload: &[u8], qos: Qos, retain: bool) -> Result<(), String> {
        let message = (topic.into(), payload.into(), qos, retain);
        self.published.lock().push(message);
        Ok(())
    }

    fn disconnect(&self, client_id: &str) {
        self.disconnected.lock().push(client_id.into());
    }
}

/// A host, a folder for components, and what the broker was asked.
pub struct Bench {
    pub host: Host,
    pub broker: Arc<Asked>,
    pub folder: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Self {
        let broker = Arc::new(Asked::default());
        let host = Host::new(HostSettings {
            code_cache: None,
            broker: Arc::<Asked>::clone(&broker),
        });
        Bench {
            host: host.expect("address space and a thread"),
            broker,
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// Settings for a component, written to a file.
    pub fn settings(&self, component: &[u8]) -> PluginSettings {
        let path = self.folder.path().join("plugin.wasm");
        std::fs::write(&path, component).expect("writable");
        PluginSettings::new(path)
    }

    pub fn load(&self, guest: &Guest) -> Plugin {
        let settings = self.settings(&guest.component());
        self.host.load("fixture", &settings).expect("it loads")
    }

    pub fn refusal(&self, settings: &PluginSettings) -> LoadError {
        match self.host.load("fixture", settings) {
            Err(error) => error,
            Ok(_) => panic!("it loads"),
        }
    }

    pub fn acl(&self, guest: &Guest) -> Arc<AclPlugin> {
        as_acl(&self.load(guest))
    }

    pub fn filter(&self, guest: &Guest) -> Arc<FilterPlugin> {
        match self.load(guest) {
            Plugin::Filter(plugin) => plugin,
            _ => panic!("a filter plugin"),
        }
    }

    pub fn bridge(&self, guest: &Guest) -> Arc<BridgePlugin> {
        as_bridge(&self.load(guest))
    }

    pub fn auth(&self, guest: &Guest) -> Arc<AuthPlugin> {
        match self.load(guest) {
            Plugin::Auth(plugin) => plugin,
            _ => panic!("an auth plugin"),
        }
    }
}

pub fn as_acl(plugin: &Plugin) -> Arc<AclPlugin> {
    match plugin {
        Plugin::Acl(plugin) => Arc::clone(plugin),
        _ => panic!("an ACL plugin"),
    }
}

pub fn as_bridge(plugin: &Plugin) -> Arc<BridgePlugin> {
    match plugin {
        Plugin::Bridge(plugin) => Arc::clone(plugin),
        _ => panic!("a bridge plugin"),
    }
}

pub fn bob() -> Principal {
    Principal::new("pump", Some("bob".into())).with_details(Details {
        attributes: vec![("role".into(), "driver".into())],
        address: Some("127.0.0.1:1883".parse().expect("an address")),
        listener: "default".into(),
        ..Default::default()
    })
}

pub fn publish(topic: &str) -> Question<'_> {
    let topic = TopicName::new(topic).expect("a valid name");
    Question::new(Action::Publish, topic)
}

/// How many faults of a kind a plugin has, and that it has no others.
pub fn faults(plugin: &Plugin, kind: FaultKind) -> u64 {
    let mut count = 0;
    for (other, n) in plugin.status().faults {
        match other == kind {
            true => count = n,
            false => assert_eq!(n, 0, "{other}"),
        }
    }
    count
}
