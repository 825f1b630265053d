//! The store is read on a thread of its own, so that probes and signals are answered meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dunlin_metrics::Registry;
use dunlin_router::Router;
use dunlin_time::Clock;
use tokio::sync::oneshot;

use crate::config::Config;
use crate::storage::Storage;
use crate::wiring;

/// A router that holds what was stored.
pub struct Restored {
    /// Where it came from, and where changes go once it is started.
    pub storage: Storage,
    /// Without a connection so far.
    pub router: Arc<Router>,
    /// How long it took.
    pub took: Duration,
}

/// How far reading has come.
#[derive(Debug, Default)]
pub struct Progress {
    percent: AtomicU64,
}

impl Progress {
    /// Of the bytes of the store, 0 to 100.
    pub fn percent(&self) -> u64 {
        self.percent.load(Ordering::Relaxed)
    }

    /// So much of it is read.
    pub fn set(&self, percent: u64) {
        self.percent.store(percent, Ordering::Relaxed);
    }
}

/// Reads the store into a new router. Whoever stops waiting has to end the process: the thread goes
/// on reading.
///
/// # Errors
/// What is wrong with the directory, and what to do.
pub async fn restore(
    config: &Config,
    clock: Clock,
    metrics: &Arc<Registry>,
    progress: &Arc<Progress>,
) -> Result<Restored, String> {
    let (config, metrics, progress) = (config.clone(), metrics.clone(), progress.clone());
    let (done, result) = oneshot::channel();
    thread::Builder::new()
        .name("restore".into())
        .spawn(move || {
            // Nobody waits for it any more when the process is about to end.
            let _ = done.send(read(&config, clock, metrics, &progress));
        })
        .map_err(|error| format!("cannot start to read data_dir: {error}"))?;
    let ended = |_| Err("reading data_dir ended unexpectedly; the log says why".into());
    result.await.unwrap_or_else(ended)
}

fn read(
    config: &Config,
    clock: Clock,
    metrics: Arc<Registry>,
    progress: &Progress,
) -> Result<Restored, String> {
    let start = Instant::now();
    let storage = Storage::open(config, progress)?;
    let cells = metrics.cells();
    let router = Router::new(wiring::router(config), clock, storage.store(), metrics);
    storage.restore(&router, &cells);
    Ok(Restored {
        storage,
        router,
        took: start.elapsed(),
    })
}
