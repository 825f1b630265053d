//! What stands in the place of plugins in a broker that is built without them.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use dunlin_auth::Access;
use dunlin_bridge::Map;
use dunlin_router::{Dispatch, Router};

use crate::config::{Config, Listener};
use crate::plugin_figures::PluginFigures;

/// `dunlin plugin check` and `test`, which need what is not there.
pub mod tool {
    use std::path::Path;

    const ABSENT: &str = "this dunlin was built without plugins; use one built with its default \
                          features";

    /// # Errors
    /// Always.
    pub fn check(_: &Path) -> Result<(), String> {
        Err(ABSENT.into())
    }

    /// # Errors
    /// Always.
    pub fn test(_: &Path, _: &Path, _: Option<&Path>, _: Option<&Path>) -> Result<(), String> {
        Err(ABSENT.into())
    }
}

/// No plugins: a configuration that names some is refused.
pub struct Plugins(());

impl Plugins {
    /// None.
    ///
    /// # Errors
    /// None.
    pub fn start(_: &Config, _: &Arc<Router>, _: &Rc<RefCell<Dispatch>>) -> Result<Self, String> {
        Ok(Plugins(()))
    }

    /// # Errors
    /// The configuration names a plugin.
    pub fn check(config: &Config) -> Result<Self, String> {
        Plugins(()).load(config)
    }

    /// # Errors
    /// The configuration names a plugin.
    pub fn load(&self, config: &Config) -> Result<Self, String> {
        match config.plugins.first() {
            None => Ok(Plugins(())),
            Some(plugin) => Err(format!(
                "plugin {}: this dunlin was built without plugins; use one built with its default \
                 features",
                plugin.name
            )),
        }
    }

    /// Adds nothing.
    pub fn join(&self, access: Access, _: &Listener) -> Access {
        access
    }

    /// Adds nothing.
    pub fn join_bridge(&self, access: Access, _: &str) -> Access {
        access
    }

    /// # Errors
    /// Always.
    pub fn map(&self, name: &str, _: &str) -> Result<Arc<dyn Map>, String> {
        Err(format!("map: no plugin is called {name:?}"))
    }

    /// None.
    pub fn figures(&self) -> Vec<PluginFigures> {
        Vec::new()
    }

    /// None.
    pub fn describe(&self) -> Vec<String> {
        Vec::new()
    }
}
