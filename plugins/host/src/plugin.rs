//! A plugin, whatever its class.

use std::sync::Arc;

use crate::{
    AclPlugin, AuthPlugin, BridgePlugin, Class, FilterPlugin, Manifest, Status, plugin_core::About,
};

/// A plugin that is loaded, configured and ready to be asked.
///
/// It lives as long as somebody holds it: after a reload, until the calls that it was asked
/// before have returned.
#[derive(Clone)]
pub enum Plugin {
    /// Says who a client is.
    Auth(Arc<AuthPlugin>),
    /// Says what a client may do.
    Acl(Arc<AclPlugin>),
    /// Passes, changes or drops what is published.
    Filter(Arc<FilterPlugin>),
    /// Maps what a bridge carries.
    Bridge(Arc<BridgePlugin>),
}

impl Plugin {
    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        match self {
            Self::Auth(plugin) => &plugin.core.shared.name,
            Self::Acl(plugin) => &plugin.core.shared.name,
            Self::Filter(plugin) => &plugin.core.shared.name,
            Self::Bridge(plugin) => &plugin.core.shared.name,
        }
    }

    /// What it is for.
    pub fn class(&self) -> Class {
        match self {
            Self::Auth(_) => Class::Auth,
            Self::Acl(_) => Class::Acl,
            Self::Filter(_) => Class::Filter,
            Self::Bridge(_) => Class::Bridge,
        }
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.about().manifest
    }

    /// Its state and what it has done since it was loaded.
    pub fn status(&self) -> Status {
        match self {
            Self::Auth(plugin) => plugin.core.status(),
            Self::Acl(plugin) => plugin.core.status(),
            Self::Filter(plugin) => plugin.core.status(),
            Self::Bridge(plugin) => plugin.core.status(),
        }
    }

    fn about(&self) -> &About {
        match self {
            Self::Auth(plugin) => &plugin.core.about,
            Self::Acl(plugin) => &plugin.core.about,
            Self::Filter(plugin) => &plugin.core.about,
            Self::Bridge(plugin) => &plugin.core.about,
        }
    }
}
