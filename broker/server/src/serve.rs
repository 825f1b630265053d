//! `dunlin serve`: a broker from its start to its end.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use dunlin_auth::HashingPool;
use dunlin_codec::ReasonCode;
use dunlin_connection::Admissions;
use dunlin_metrics::Registry;
use dunlin_router::{Dispatch, Router};
use dunlin_store::Memory;
use dunlin_time::Clock;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use crate::config::{self, AllowAnonymous, Config, Invalid, Loaded, Request};
use crate::listeners::{AcceptLimits, Listeners, Shared};
use crate::logging::LevelHandle;
use crate::workers::{Thread, Workers};
use crate::{housekeeping, logging, reload, wiring};

/// Runs a broker until a signal ends it.
///
/// # Errors
/// What is wrong with the configuration, or what the system refused: what, where, what to do.
pub fn run(request: Request) -> Result<(), String> {
    let loaded = config::load(&request).map_err(|invalid: Invalid| invalid.to_string())?;
    let level = logging::start(&loaded.config.logging)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(async {
        let broker = Broker::start(loaded, level).await?;
        broker.run(&request).await
    })
}

/// A running broker.
struct Broker {
    loaded: Loaded,
    level: LevelHandle,
    router: Arc<Router>,
    admissions: Arc<Admissions>,
    listeners: Listeners,
    threads: Vec<Thread>,
    /// This thread's way into the router.
    dispatch: RefCell<Dispatch>,
}

impl Broker {
    async fn start(loaded: Loaded, level: LevelHandle) -> Result<Self, String> {
        let config = &loaded.config;
        let clock = Clock::start();
        let metrics = Arc::new(Registry::default());
        let store = Arc::new(Memory::default());
        let router = Router::new(wiring::router(config), clock, store, metrics.clone());
        let (workers, threads) = Workers::start(&router, clock, &metrics)
            .await
            .map_err(|error| format!("cannot start the workers: {error}"))?;
        let cells = metrics.cells();
        let admissions = Admissions::new();
        let mut listeners = Listeners::new(Arc::new(Shared {
            workers,
            admissions: admissions.clone(),
            limits: ArcSwap::from_pointee(AcceptLimits::of(config)),
            pool: Arc::new(HashingPool::default()),
            cells: cells.clone(),
        }));
        listeners.open_all(config)?;
        say_hello(config, &listeners);
        Ok(Broker {
            dispatch: RefCell::new(router.dispatch(None, cells)),
            loaded,
            level,
            router,
            admissions,
            listeners,
            threads,
        })
    }

    async fn run(mut self, request: &Request) -> Result<(), String> {
        let mut signals = Signals::new().map_err(|error| format!("no signals: {error}"))?;
        let router = self.router.clone();
        let mut watch = reload::Watch::new(&self.loaded);
        loop {
            let cause = {
                let config = &self.loaded.config;
                let dispatch = &self.dispatch;
                tokio::select! {
                    signal = signals.next() => signal,
                    () = watch.changed() => Wake::Reload,
                    () = housekeeping::sessions(router.clone(), dispatch) => continue,
                    () = housekeeping::retained(router.clone()) => continue,
                    () = housekeeping::memory(router.clone(), config) => continue,
                    () = housekeeping::system_topics(router.clone(), config.sys.interval, dispatch) => continue,
                }
            };
            match cause {
                Wake::Reload => {
                    let reloaded =
                        reload::reload(request, &self.loaded, &mut self.listeners, &self.level);
                    if let Some(loaded) = reloaded {
                        watch = reload::Watch::new(&loaded);
                        self.loaded = loaded;
                    }
                }
                Wake::Stop => return self.drain(&mut signals).await,
            }
        }
    }

    /// Ends every connection, within a bound; a second signal ends the process at once.
    async fn drain(mut self, signals: &mut Signals) -> Result<(), String> {
        let patience = self.loaded.config.drain_timeout;
        let before = self.admissions.connections();
        tracing::info!(connections = before, ?patience, "stopping");
        self.listeners.close_all();
        self.router.close_all(
            ReasonCode::ServerShuttingDown,
            "the server is shutting down",
        );
        let drained = async {
            while self.admissions.connections() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            _ = timeout(patience, drained) => {}
            () = signals.stop() => tracing::warn!("stopping at once"),
        }
        let left = self.admissions.connections();
        tracing::info!(closed = before - left.min(before), left, "stopped");
        drop(self.listeners);
        drop(self.threads);
        Ok(())
    }
}

enum Wake {
    Reload,
    Stop,
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Wake {
        tokio::select! {
            _ = self.hangup.recv() => Wake::Reload,
            _ = self.interrupt.recv() => Wake::Stop,
            _ = self.terminate.recv() => Wake::Stop,
        }
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn say_hello(config: &Config, listeners: &Listeners) {
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(
        version,
        "dunlin: sessions and retained messages are kept in memory"
    );
    for address in listeners.addresses() {
        tracing::info!(address, "listening");
    }
    let loopback_only = config.listeners.iter().any(|listener| {
        config.access.on(&listener.access).allow_anonymous == AllowAnonymous::Loopback
    });
    if loopback_only {
        tracing::info!(
            "clients without a user name are accepted from this machine only: to let others in, \
             set access.password_file (see `dunlin passwd`) or access.allow_anonymous = true"
        );
    }
}
