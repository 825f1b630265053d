//! The plugins of a configuration: loaded, kept over reloads while nothing about them changes, and
//! put into the chain of each listener that they serve.

mod map;
mod orders;
pub mod tool;

use std::cell::{OnceCell, RefCell};
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use dunlin_auth::Access;
use dunlin_bridge::Map;
use dunlin_plugins::{
    BreakerState, Class, Grants, Host, HostSettings, KeySetSettings, KeySource, LimitSettings,
    Number, OnFailure, Plugin, PluginSettings,
};
use dunlin_router::{Dispatch, Router};
use map::PluginMap;
use orders::{Orders, obey, orders};
use sha2::{Digest, Sha256};
use tokio::task::spawn_local;

use crate::config::{self, Config, Listener, Store};
use crate::plugin_figures::PluginFigures;

/// The plugins that are loaded, in the order in which they are asked.
pub struct Plugins {
    /// Made for the first plugin: a host sets address space aside.
    host: OnceCell<Host>,
    host_settings: HostSettings,
    loaded: Vec<Loaded>,
}

struct Loaded {
    wanted: config::Plugin,
    settings: PluginSettings,
    plugin: Plugin,
}

impl Plugins {
    /// None yet. What plugins want done is done on this thread, by way of `dispatch`.
    ///
    /// # Errors
    /// None.
    pub fn start(
        config: &Config,
        router: &Arc<Router>,
        dispatch: &Rc<RefCell<Dispatch>>,
    ) -> Result<Self, String> {
        let (orders, receiver) = orders();
        spawn_local(obey(receiver, router.clone(), dispatch.clone()));
        Ok(Self::none(config, orders))
    }

    /// Loads those that a configuration names, and lets none do anything.
    ///
    /// # Errors
    /// The first that cannot be loaded, and why.
    pub fn check(config: &Config) -> Result<Self, String> {
        Self::none(config, orders().0).load(config)
    }

    fn none(config: &Config, orders: Orders) -> Self {
        Plugins {
            host: OnceCell::new(),
            host_settings: HostSettings {
                code_cache: code_cache(config),
                broker: Arc::new(orders),
            },
            loaded: Vec::new(),
        }
    }

    /// Those that a configuration names: what is already loaded from the same file with the same
    /// settings stays. The file is read again, as its contents may be others.
    ///
    /// # Errors
    /// The first that cannot be loaded, and why; nothing is changed.
    pub fn load(&self, config: &Config) -> Result<Self, String> {
        let load = |wanted: &config::Plugin| self.load_one(wanted);
        let loaded = config.plugins.iter().map(load);
        let loaded = loaded.collect::<Result<Vec<_>, _>>()?;
        Ok(Plugins {
            host: self.host.clone(),
            host_settings: self.host_settings.clone(),
            loaded,
        })
    }

    fn load_one(&self, wanted: &config::Plugin) -> Result<Loaded, String> {
        let settings = settings(wanted);
        let settings = settings.map_err(|error| format!("plugin {}: {error}", wanted.name))?;
        let digest = fs::read(&wanted.path)
            .map(|bytes| Sha256::digest(bytes).into())
            .ok();
        let same = |loaded: &&Loaded| {
            loaded.wanted.name == wanted.name
                && loaded.settings == settings
                && Some(loaded.plugin.status().sha256) == digest
        };
        let plugin = match self.loaded.iter().find(same) {
            Some(loaded) => loaded.plugin.clone(),
            None => self.load_anew(&wanted.name, &settings)?,
        };
        Ok(Loaded {
            wanted: wanted.clone(),
            settings,
            plugin,
        })
    }

    fn load_anew(&self, name: &str, settings: &PluginSettings) -> Result<Plugin, String> {
        let host = match self.host.get() {
            Some(host) => host,
            None => {
                let host = Host::new(self.host_settings.clone())?;
                self.host.get_or_init(|| host)
            }
        };
        let plugin = host.load(name, settings);
        let plugin = plugin.map_err(|error| error.to_string())?;
        let status = plugin.status();
        tracing::info!(
            plugin = name,
            class = %status.class,
            version = status.version,
            sha256 = hexadecimal(&status.sha256),
            compiled = status.compiled,
            "plugin loaded"
        );
        Ok(plugin)
    }

    /// Puts the plugins that serve a listener behind what its chain has already.
    pub fn join(&self, access: Access, listener: &Listener) -> Access {
        self.join_all(access, &listener.label(), true)
    }

    /// The same for a bridge, by its label. Who it is the configuration says, and no plugin.
    pub fn join_bridge(&self, access: Access, label: &str) -> Access {
        self.join_all(access, label, false)
    }

    fn join_all(&self, mut access: Access, label: &str, authenticates: bool) -> Access {
        for Loaded { wanted, plugin, .. } in &self.loaded {
            let listeners = &wanted.listeners;
            if !listeners.is_empty() && !listeners.iter().any(|name| name == label) {
                continue;
            }
            access = match plugin {
                Plugin::Auth(_) if !authenticates => access,
                Plugin::Auth(plugin) => access.with_authenticator(plugin.clone()),
                Plugin::Acl(plugin) => access.with_authorizer(plugin.clone()).with_details(),
                Plugin::Filter(plugin) => access.with_filter(plugin.clone()).with_details(),
                // It is asked by bridges, not by connections.
                Plugin::Bridge(_) => access,
            };
        }
        access
    }

    /// The plugin of that name as the map of a bridge.
    ///
    /// # Errors
    /// There is none, or it is of another kind.
    pub fn map(&self, name: &str, bridge: &str) -> Result<Arc<dyn Map>, String> {
        let mut loaded = self.loaded.iter();
        match loaded.find(|loaded| loaded.wanted.name == name) {
            Some(Loaded {
                plugin: Plugin::Bridge(plugin),
                ..
            }) => Ok(Arc::new(PluginMap {
                bridge: bridge.to_owned(),
                plugin: plugin.clone(),
            })),
            Some(_) => Err(format!("map: plugin {name} is none for bridges")),
            None => Err(format!("map: no plugin is called {name:?}")),
        }
    }

    /// How each does.
    pub fn figures(&self) -> Vec<PluginFigures> {
        self.loaded.iter().map(figures).collect()
    }

    /// What each is, for `dunlin check`.
    pub fn describe(&self) -> Vec<String> {
        let describe = |Loaded { wanted, plugin, .. }: &Loaded| {
            let status = plugin.status();
            let what = match status.class {
                Class::Auth => "says who clients are",
                Class::Acl => "says what clients may do",
                Class::Filter => "looks at what clients publish",
                Class::Bridge => "maps what bridges carry",
            };
            let path = wanted.path.display();
            format!("{} {what}: {path}, version {}", wanted.name, status.version)
        };
        self.loaded.iter().map(describe).collect()
    }
}

fn figures(Loaded { wanted, plugin, .. }: &Loaded) -> PluginFigures {
    let status = plugin.status();
    let faults = status.faults.iter();
    let numbers = status.numbers.into_iter();
    PluginFigures {
        name: wanted.name.clone(),
        class: status.class.as_str(),
        version: status.version,
        sha256: hexadecimal(&status.sha256),
        breaker: match status.state {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half-open",
        },
        calls: status.calls,
        faults: faults
            .map(|(kind, count)| (kind.as_str(), *count))
            .collect(),
        busy_seconds: status.busy.as_secs_f64(),
        instances: status.instances as u64,
        memory_bytes: status.memory_bytes as u64,
        log_lines_dropped: status.log_lines_dropped,
        numbers: numbers
            .map(|(name, number)| match number {
                Number::Counter(count) => (name, count as f64),
                Number::Gauge(value) => (name, value),
            })
            .collect(),
    }
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compiled code is kept beside the store, once there is one.
fn code_cache(config: &Config) -> Option<PathBuf> {
    let there = config.store == Store::Disk && config.data_dir.is_dir();
    there.then(|| config.data_dir.join("plugins"))
}

fn settings(wanted: &config::Plugin) -> Result<PluginSettings, String> {
    let limits = &wanted.limits;
    Ok(PluginSettings {
        path: wanted.path.clone(),
        sha256: wanted.sha256.map(|digest| digest.0),
        config: wanted.config.resolve("config")?,
        grants: Grants {
            random: wanted.grants.random,
            crypto: wanted.grants.crypto,
            broker: wanted.grants.broker,
            http: wanted.grants.http.clone(),
        },
        key_sets: wanted
            .key_sets
            .iter()
            .map(key_set)
            .collect::<Result<_, _>>()?,
        limits: LimitSettings {
            memory_bytes: Some(usize::try_from(limits.memory.0).unwrap_or(usize::MAX)),
            deadline: *limits.deadline,
            instances: limits.instances.map(|instances| instances as usize),
            ..LimitSettings::default()
        },
        on_failure: match wanted.on_failure {
            config::OnFailure::Refuse => OnFailure::Refuse,
            config::OnFailure::Pass => OnFailure::Pass,
        },
        cases: wanted.cases.clone(),
    })
}

fn key_set(wanted: &config::KeySet) -> Result<KeySetSettings, String> {
    let secret = |text: &str| KeySource::Secret(text.as_bytes().to_vec());
    let source = if let Some(url) = &wanted.url {
        KeySource::Url(url.clone())
    } else if let Some(file) = &wanted.file {
        KeySource::File(file.clone())
    } else if let Some(text) = &wanted.secret {
        secret(text.reveal())
    } else if let Some(file) = &wanted.secret_file {
        secret(&config::plugin::secret_file(file)?)
    } else {
        return Err(format!("key set {} has no source", wanted.name));
    };
    Ok(KeySetSettings {
        name: wanted.name.clone(),
        source,
        issuers: wanted.issuers.clone(),
        audiences: wanted.audiences.clone(),
        algorithms: wanted.algorithms.clone(),
    })
}
