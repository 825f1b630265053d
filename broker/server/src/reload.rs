//! Reload: on SIGHUP, and when a file of the configuration changes.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::config::{self, Config, Loaded, Request};
use crate::listeners::Listeners;
use crate::logging::LevelHandle;

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(1);

/// Watches the files that a configuration was read from, and those that it names.
pub struct Watch {
    files: Vec<(PathBuf, Option<SystemTime>)>,
}

impl Watch {
    /// Watches from now on.
    pub fn new(loaded: &Loaded) -> Self {
        let mut files = loaded.files.clone();
        files.extend(named_files(&loaded.config));
        files.sort();
        files.dedup();
        let stamped = |file: PathBuf| {
            let stamp = modified(&file);
            (file, stamp)
        };
        Watch {
            files: files.into_iter().map(stamped).collect(),
        }
    }

    /// Returns once a file has changed and rested for one look, so that a file half written is
    /// not read.
    pub async fn changed(&mut self) {
        let mut pending = false;
        loop {
            tokio::time::sleep(LOOK).await;
            let mut changed = false;
            for (file, stamp) in &mut self.files {
                let now = modified(file);
                changed |= std::mem::replace(stamp, now) != now;
            }
            if pending && !changed {
                return;
            }
            pending |= changed;
        }
    }
}

fn modified(file: &PathBuf) -> Option<SystemTime> {
    std::fs::metadata(file)
        .and_then(|data| data.modified())
        .ok()
}

fn named_files(config: &Config) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for listener in &config.listeners {
        let access = config.access.on(&listener.access);
        files.extend(access.password_file);
        files.extend(access.acl_file);
        if let Some(tls) = &listener.tls {
            files.extend([tls.certificate.clone(), tls.key.clone()]);
            files.extend(tls.client_ca.iter().cloned());
            files.extend(tls.crl.clone());
        }
    }
    files
}

/// Reads the configuration again and applies what differs. Anything wrong leaves all as it is; the
/// log says what.
pub fn reload(
    request: &Request,
    current: &Loaded,
    listeners: &mut Listeners,
    level: &LevelHandle,
) -> Option<Loaded> {
    let loaded = match config::load(request) {
        Ok(loaded) => loaded,
        Err(invalid) => {
            tracing::error!("reload refused, nothing was changed:\n{invalid}");
            return None;
        }
    };
    let changes = Config::difference(&current.config, &loaded.config);
    if let Err(error) = listeners.reload(&loaded.config, &changes.listeners) {
        tracing::error!("reload refused, nothing was changed: {error}");
        return None;
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    level.set(loaded.config.logging.level);
    for change in &changes.live {
        tracing::info!(
            key = change.key,
            old = change.old,
            new = change.new,
            "changed"
        );
    }
    for change in &changes.restart {
        tracing::warn!(
            key = change.key,
            old = change.old,
            new = change.new,
            "changes at the next start"
        );
    }
    tracing::info!("configuration reloaded");
    Some(loaded)
}
