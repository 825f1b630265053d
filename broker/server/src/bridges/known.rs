//! What a bridge or webhook is made from: it stays while this does.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use dunlin_bridge::{Bridge, BridgeSettings, Local, Status};
#[cfg(feature = "plugins")]
use dunlin_bridge::{Webhook, WebhookSettings};

use super::replaceable::Replaceable;
use super::settings;
use crate::config::{self, Config};
use crate::plugins::Plugins;

/// What one was made from.
#[derive(PartialEq)]
pub struct Known {
    pub name: String,
    settings: Settings,
    /// When the files that it has read were changed.
    files: Vec<Option<SystemTime>>,
}

#[derive(PartialEq)]
enum Settings {
    Broker(Box<BridgeSettings>),
    #[cfg(feature = "plugins")]
    Server(Box<WebhookSettings>),
}

/// What is at the far end.
pub enum Far {
    Broker(Box<Bridge>),
    #[cfg(feature = "plugins")]
    Server(Box<Webhook>),
}

/// One that a configuration names.
pub struct Wanted {
    pub known: Known,
    pub far: Far,
    pub map: Arc<Replaceable>,
    /// Who it is here.
    pub user: Option<String>,
}

/// Each that a configuration names.
///
/// # Errors
/// What is wrong with the first that cannot run.
pub fn all(config: &Config, plugins: &Plugins) -> Result<Vec<Wanted>, String> {
    let bridges = config.bridges.iter().map(|wanted| bridge(wanted, plugins));
    let webhooks = config.webhooks.iter();
    let webhooks = webhooks.map(|wanted| webhook(wanted, plugins));
    bridges.chain(webhooks).collect()
}

fn map(wanted: Option<&String>, name: &str, plugins: &Plugins) -> Result<Arc<Replaceable>, String> {
    let map = wanted.map(|plugin| plugins.map(plugin, name)).transpose()?;
    Ok(Arc::new(Replaceable::new(map)))
}

fn bridge(wanted: &config::Bridge, plugins: &Plugins) -> Result<Wanted, String> {
    let named = |error: String| format!("bridge {}: {error}", wanted.name);
    let settings = settings::settings(wanted).map_err(named)?;
    let map = map(wanted.map.as_ref(), &wanted.name, plugins).map_err(named)?;
    let far = Bridge::new(settings.clone(), map.clone())?;
    let known = Known {
        name: wanted.name.clone(),
        settings: Settings::Broker(Box::new(settings)),
        files: stamps(wanted.files()),
    };
    Ok(Wanted {
        known,
        far: Far::Broker(Box::new(far)),
        map,
        user: wanted.local_username.clone(),
    })
}

#[cfg(feature = "plugins")]
fn webhook(wanted: &config::Webhook, plugins: &Plugins) -> Result<Wanted, String> {
    let named = |error: String| format!("webhook {}: {error}", wanted.name);
    let settings = super::webhook::settings(wanted).map_err(named)?;
    let map = map(wanted.map.as_ref(), &wanted.name, plugins).map_err(named)?;
    let far = Webhook::new(settings.clone(), map.clone())?;
    let known = Known {
        name: wanted.name.clone(),
        settings: Settings::Server(Box::new(settings)),
        files: stamps(wanted.authorities.clone()),
    };
    Ok(Wanted {
        known,
        far: Far::Server(Box::new(far)),
        map,
        user: wanted.local_username.clone(),
    })
}

#[cfg(not(feature = "plugins"))]
fn webhook(wanted: &config::Webhook, _: &Plugins) -> Result<Wanted, String> {
    Err(format!(
        "webhook {}: this dunlin was built without webhooks; use one built with its default \
         features",
        wanted.name
    ))
}

fn stamps(files: Vec<PathBuf>) -> Vec<Option<SystemTime>> {
    let stamp = |path| {
        std::fs::metadata(path)
            .and_then(|data| data.modified())
            .ok()
    };
    files.into_iter().map(stamp).collect()
}

impl Far {
    /// What it does, to be read while it runs.
    pub fn status(&self) -> Arc<Status> {
        match self {
            Far::Broker(bridge) => bridge.status(),
            #[cfg(feature = "plugins")]
            Far::Server(webhook) => webhook.status(),
        }
    }

    /// Runs until `stop`.
    ///
    /// # Errors
    /// It was to connect once, and that is over: why.
    pub async fn run(
        self,
        local: Local<impl Fn() -> io::Result<UnixStream>>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), String> {
        match self {
            Far::Broker(bridge) => bridge.run(local, stop).await,
            #[cfg(feature = "plugins")]
            Far::Server(webhook) => webhook.run(local, stop).await,
        }
    }
}
