//! Reload: on SIGHUP, and when a file of the configuration changes.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::admin::Reloaded;
use crate::bridges::Bridges;
use crate::config::{self, Bridge, Change, Config, Loaded, Request};
use crate::listeners::Listeners;
use crate::logging::LogHandle;

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
            files.extend(tls.intermediates.iter().cloned());
            files.extend(tls.client_ca.iter().cloned());
            files.extend(tls.crl.clone());
        }
    }
    files.extend(config.bridges.iter().flat_map(Bridge::files));
    let webhooks = config.webhooks.iter();
    files.extend(webhooks.flat_map(|webhook| webhook.authorities.clone()));
    for plugin in &config.plugins {
        files.push(plugin.path.clone());
        files.extend(plugin.cases.clone());
        let secrets = plugin.key_sets.iter();
        files.extend(secrets.filter_map(|key_set| key_set.secret_file.clone()));
    }
    files
}

/// Reads the configuration again and applies what differs. The log says what.
///
/// # Errors
/// What is wrong; then all is as it was.
pub async fn reload(
    request: &Request,
    current: &Loaded,
    listeners: &RefCell<Listeners>,
    bridges: &RefCell<Bridges>,
    log: &LogHandle,
) -> Result<(Loaded, Reloaded), String> {
    // Whatever moved the file away sends SIGHUP, and has no part in what follows.
    log.reopen();
    let outcome = apply(request, current, listeners, bridges).await;
    match &outcome {
        Ok((loaded, reloaded)) => {
            log.set_level(loaded.config.logging.level);
            report(loaded, reloaded);
        }
        Err(error) => tracing::error!("reload refused, nothing was changed: {error}"),
    }
    outcome
}

async fn apply(
    request: &Request,
    current: &Loaded,
    listeners: &RefCell<Listeners>,
    bridges: &RefCell<Bridges>,
) -> Result<(Loaded, Reloaded), String> {
    let loaded = config::load(request).map_err(|invalid| invalid.to_string())?;
    let changes = Config::difference(&current.config, &loaded.config);
    let config = &loaded.config;
    let (plugins, prepared, staged) = {
        let listeners = listeners.borrow();
        let plugins = listeners.plugins().load(config)?;
        let prepared = Bridges::prepare(config, &plugins, listeners.generation() + 1)?;
        let staged = listeners.stage(config, &plugins)?;
        (plugins, prepared, staged)
    };
    let closing = listeners.borrow_mut().make_room(&staged);
    for closed in closing {
        // Its end is all that is asked of it.
        let _ = closed.await;
    }
    let starting = {
        let mut listeners = listeners.borrow_mut();
        listeners.apply(staged, plugins)?;
        let mut bridges = bridges.borrow_mut();
        bridges.run(config, listeners.plugins(), prepared)
    };
    // Whoever waits for the end of the reload loses nothing.
    starting.subscribed().await;
    let lines = |changes: &[Change]| changes.iter().map(line).collect();
    let reloaded = Reloaded {
        live: lines(&changes.live),
        restart: lines(&changes.restart),
    };
    Ok((loaded, reloaded))
}

fn line(Change { key, old, new }: &Change) -> String {
    format!("{key}: {old} -> {new}")
}

fn report(loaded: &Loaded, reloaded: &Reloaded) {
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    for change in &reloaded.live {
        tracing::info!("changed {change}");
    }
    for change in &reloaded.restart {
        tracing::warn!("changes at the next start only: {change}");
    }
    tracing::info!("configuration reloaded");
}
