//! What a bridge or webhook is made from: it stays while this does.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use dunlin_bridge::{Bridge, BridgeSettings, Identity, Status};
#[cfg(feature = "plugins")]
use dunlin_bridge::{Webhook, WebhookSettings};

use super::entrance::Way;
use super::settings;
use crate::config::{self, Config};

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

/// Each that a configuration names, with the user that it is here.
///
/// # Errors
/// What is wrong with the first that cannot run.
pub fn all(config: &Config) -> Result<Vec<(Known, Far, Option<String>)>, String> {
    let bridges = config.bridges.iter().map(bridge);
    bridges.chain(config.webhooks.iter().map(webhook)).collect()
}

fn bridge(wanted: &config::Bridge) -> Result<(Known, Far, Option<String>), String> {
    let named = |error: String| format!("bridge {}: {error}", wanted.name);
    let settings = settings::settings(wanted).map_err(named)?;
    let far = Bridge::new(settings.clone(), Arc::new(Identity))?;
    let known = Known {
        name: wanted.name.clone(),
        settings: Settings::Broker(Box::new(settings)),
        files: stamps(wanted.files()),
    };
    let user = wanted.local_username.clone();
    Ok((known, Far::Broker(Box::new(far)), user))
}

#[cfg(feature = "plugins")]
fn webhook(wanted: &config::Webhook) -> Result<(Known, Far, Option<String>), String> {
    let named = |error: String| format!("webhook {}: {error}", wanted.name);
    let settings = super::webhook::settings(wanted).map_err(named)?;
    let far = Webhook::new(settings.clone(), Arc::new(Identity))?;
    let known = Known {
        name: wanted.name.clone(),
        settings: Settings::Server(Box::new(settings)),
        files: stamps(wanted.authorities.clone()),
    };
    let user = wanted.local_username.clone();
    Ok((known, Far::Server(Box::new(far)), user))
}

#[cfg(not(feature = "plugins"))]
fn webhook(wanted: &config::Webhook) -> Result<(Known, Far, Option<String>), String> {
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
    pub async fn run(self, way: &Way, stop: impl Future<Output = ()>) -> Result<(), String> {
        match self {
            Far::Broker(bridge) => bridge.run(|| way.open(), stop).await,
            #[cfg(feature = "plugins")]
            Far::Server(webhook) => webhook.run(|| way.open(), stop).await,
        }
    }
}
