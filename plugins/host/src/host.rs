//! What all plugins of a process share.

use std::{path::PathBuf, sync::Arc, thread};

use dunlin_codec::Qos;
use sha2::{Digest, Sha256};
use wasmtime::{
    Engine,
    component::{Component, InstancePre},
};

use crate::{
    Class, LoadError, Plugin, PluginSettings,
    cache::{CodeCache, Origin},
    engine::engine,
    fault::chain,
    imports::{HashingGate, linker},
    load,
    state::State,
    ticker::Ticker,
    world,
};

/// What the broker does for plugins that have the grant `broker`.
pub trait Broker: Send + Sync + 'static {
    /// Publishes a message in the broker's own name. Must not wait.
    ///
    /// # Errors
    /// In words, for the log.
    fn publish(&self, topic: &str, payload: &[u8], qos: Qos, retain: bool) -> Result<(), String>;

    /// Ends a client's connection with 0x98, if there is one. Must not wait.
    fn disconnect(&self, client_id: &str);
}

/// What a host needs.
#[derive(Clone)]
pub struct HostSettings {
    /// A folder for compiled code, made if it is not there; its parent must exist. `None` compiles
    /// at each start.
    pub code_cache: Option<PathBuf>,
    /// Where plugins publish.
    pub broker: Arc<dyn Broker>,
}

/// Runs plugins. One for each process: it sets address space aside for all of them.
#[derive(Clone)]
pub struct Host(pub(crate) Arc<Runtime>);

/// The parts of a host, which every plugin keeps alive.
pub(crate) struct Runtime {
    pub(crate) ticker: Ticker,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) hashing: Arc<HashingGate>,
    pub(crate) cache: Option<CodeCache>,
    pub(crate) engine: Engine,
}

/// A component that fits its world, compiled and linked.
pub(crate) struct Linked {
    pub(crate) class: Class,
    pub(crate) imports: Vec<String>,
    pub(crate) instances: InstancePre<State>,
    pub(crate) sha256: [u8; 32],
    pub(crate) origin: Origin,
}

impl Host {
    /// Sets it up.
    ///
    /// # Errors
    /// If the folder for compiled code cannot be used, or the system grants neither address space
    /// nor a thread.
    pub fn new(settings: HostSettings) -> Result<Self, String> {
        let engine = engine()?;
        let cache = match &settings.code_cache {
            Some(folder) => Some(CodeCache::open(folder)?),
            None => None,
        };
        let ticker = Ticker::start(&engine)
            .map_err(|error| format!("cannot start a thread for plugins: {error}"))?;
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        Ok(Host(Arc::new(Runtime {
            ticker,
            broker: settings.broker,
            hashing: Arc::new(HashingGate::new(cpus.div_ceil(2))),
            cache,
            engine,
        })))
    }

    /// Loads a plugin: reads, compiles, links, describes, checks, configures and tries it.
    ///
    /// `name` is what logs, metrics and errors call it. Blocks for as long as compiling takes,
    /// some seconds for a large component that is not in the cache.
    ///
    /// # Errors
    /// Says what is wrong, where, and what to do.
    pub fn load(&self, name: &str, settings: &PluginSettings) -> Result<Plugin, LoadError> {
        load::load(&self.0, name, settings).map_err(|what| LoadError {
            plugin: name.into(),
            what,
        })
    }
}

impl Runtime {
    /// Compiles and links a component.
    ///
    /// # Errors
    /// Says what its author or the operator must change.
    pub(crate) fn link(&self, bytes: &[u8]) -> Result<Linked, String> {
        if Engine::detect_precompiled(bytes).is_some() {
            return Err(
                "it is compiled already; for your safety only WebAssembly is accepted, give the \
                 component itself"
                    .into(),
            );
        }
        match bytes.get(..8) {
            Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => {
                return Err("it is a core module, not a component; make one of it with \
                            `wasm-tools component new`, see sdk/README.md"
                    .into());
            }
            Some([0, b'a', b's', b'm', ..]) => {}
            _ => return Err("it is no WebAssembly component".into()),
        }
        let sha256 = Sha256::digest(bytes).into();
        let (component, origin) = self.compile(&sha256, bytes).map_err(|error| {
            format!(
                "it is no component that this broker accepts: {}",
                chain(&error)
            )
        })?;
        let found = world::find(&self.engine, &component)?;
        let linked = linker(&self.engine, found.class)?
            .instantiate_pre(&component)
            .map_err(|error| {
                format!(
                    "an import is not as the world {} has it: {}",
                    found.class.world(),
                    chain(&error)
                )
            })?;
        Ok(Linked {
            class: found.class,
            imports: found.imports,
            instances: linked,
            sha256,
            origin,
        })
    }

    fn compile(&self, sha256: &[u8; 32], bytes: &[u8]) -> wasmtime::Result<(Component, Origin)> {
        match &self.cache {
            Some(cache) => cache.code(&self.engine, sha256, bytes),
            None => Ok((
                Component::from_binary(&self.engine, bytes)?,
                Origin::Compiled,
            )),
        }
    }
}
