//! `dunlin serve`: a broker from its start to its end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use dunlin_auth::HashingPool;
use dunlin_codec::ReasonCode;
use dunlin_connection::Admissions;
use dunlin_metrics::Registry;
use dunlin_router::{Dispatch, Router};
use dunlin_time::Clock;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::acceptor::{AcceptLimits, Pace, Shared};
use crate::admin::{self, Admin, Door, ReloadRequest};
use crate::bridges::{Bridges, Entrance};
use crate::config::{self, AllowAnonymous, Config, Invalid, Loaded, Request};
use crate::listeners::Listeners;
use crate::logging::LogHandle;
use crate::pid_file::PidFile;
use crate::plugins::Plugins;
use crate::restore::{Restored, restore};
use crate::signals::{Signals, Wake};
use crate::storage::{Storage, Threads};
use crate::workers::{Thread, Workers};
use crate::{housekeeping, logging, open_files, reload};

/// Reloads that the API may have asked for and that are not done yet.
const RELOADS: usize = 4;

/// Runs a broker until a signal ends it.
///
/// # Errors
/// What is wrong with the configuration, or what the system refused: what, where, what to do.
pub fn run(request: Request) -> Result<(), String> {
    let loaded = config::load(&request).map_err(|invalid: Invalid| invalid.to_string())?;
    let log = logging::start(&loaded.config.logging)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    open_files::raise(loaded.config.limits.connections);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(async {
        let mut signals = Signals::new().map_err(|error| format!("no signals: {error}"))?;
        let broker = tokio::select! {
            broker = Broker::start(loaded, log) => broker?,
            () = signals.stop() => {
                tracing::info!("stopped before it had started");
                return Ok(());
            }
        };
        broker.run(&request, &mut signals).await
    })
}

/// A running broker.
struct Broker {
    loaded: Loaded,
    log: LogHandle,
    router: Arc<Router>,
    admissions: Arc<Admissions>,
    listeners: Rc<RefCell<Listeners>>,
    bridges: Rc<RefCell<Bridges>>,
    threads: Vec<Thread>,
    storage: Storage,
    writing: Threads,
    /// This thread's way into the router.
    dispatch: Rc<RefCell<Dispatch>>,
    admin: Rc<Admin>,
    /// Reloads that the API asks for.
    reloads: mpsc::Receiver<ReloadRequest>,
    _pid_file: Option<PidFile>,
}

impl Broker {
    async fn start(loaded: Loaded, log: LogHandle) -> Result<Self, String> {
        let config = &loaded.config;
        let clock = Clock::start();
        let metrics = Arc::new(Registry::default());
        say_hello(config);
        let door = Rc::new(Door::default());
        open_door(&loaded, door.clone()).await?;
        let Restored {
            storage,
            router,
            took,
        } = restore(config, clock, &metrics, door.progress()).await?;
        let writing = storage
            .start()
            .map_err(|error| format!("cannot start to write to data_dir: {error}"))?;
        let (workers, threads) = Workers::start(&router, clock, &metrics)
            .await
            .map_err(|error| format!("cannot start the workers: {error}"))?;
        let cells = metrics.cells();
        let admissions = Admissions::new();
        let dispatch = Rc::new(RefCell::new(router.dispatch(None, cells.clone())));
        let plugins = Plugins::start(config, &router, &dispatch)?;
        let mut bridges = Bridges::new(Entrance::new(workers.clone(), router.clone(), &admissions));
        let shared = Arc::new(Shared {
            workers,
            router: router.clone(),
            admissions: admissions.clone(),
            limits: ArcSwap::from_pointee(AcceptLimits::of(config)),
            pace: Pace::default(),
            pool: Arc::new(HashingPool::default()),
            cells,
        });
        let mut listeners = Listeners::new(shared, plugins);
        let plugins = listeners.plugins().load(config)?;
        let staged = listeners.stage(config, &plugins)?;
        let prepared = Bridges::prepare(config, &plugins, listeners.generation() + 1)?;
        // Nobody is let in before: what a client is told to be accepted crosses.
        bridges.run(config, &plugins, prepared).subscribed().await;
        // Whoever waits for the lines about listeners finds the pid file too.
        let pid_file = config.pid_file.as_deref().map(PidFile::write).transpose()?;
        listeners.apply(staged, plugins)?;
        say_who(config);
        let listeners = Rc::new(RefCell::new(listeners));
        let bridges = Rc::new(RefCell::new(bridges));
        let (reload, reloads) = mpsc::channel(RELOADS);
        let admin = Rc::new(Admin {
            router: router.clone(),
            storage: storage.clone(),
            recovery: took,
            admissions: admissions.clone(),
            dispatch: dispatch.clone(),
            listeners: listeners.clone(),
            bridges: bridges.clone(),
            token: RefCell::new(config.admin.token.clone()),
            exposed: config
                .admin
                .address
                .is_some_and(|address| !address.ip().is_loopback()),
            draining: Cell::new(false),
            reload,
        });
        door.started(admin.clone());
        tracing::info!("ready for clients");
        Ok(Broker {
            loaded,
            log,
            router,
            admissions,
            listeners,
            bridges,
            threads,
            storage,
            writing,
            dispatch,
            admin,
            reloads,
            _pid_file: pid_file,
        })
    }

    async fn run(mut self, request: &Request, signals: &mut Signals) -> Result<(), String> {
        let router = self.router.clone();
        self.keep_house();
        let mut watch = reload::Watch::new(&self.loaded);
        loop {
            let cause = {
                let config = &self.loaded.config;
                let (listeners, dispatch) = (&self.listeners, &self.dispatch);
                let interval = config.sys.interval;
                tokio::select! {
                    signal = signals.next() => signal,
                    () = watch.changed() => Wake::Reload(None),
                    Some(reply) = self.reloads.recv() => Wake::Reload(Some(reply)),
                    () = housekeeping::memory(router.clone(), config, dispatch) => continue,
                    () = housekeeping::system_topics(router.clone(), interval, listeners, dispatch) => continue,
                }
            };
            match cause {
                Wake::Reload(reply) => {
                    tokio::select! {
                        () = self.reload(request, reply) => {}
                        // A bridge in its last seconds may be waited for.
                        () = signals.stop() => return self.drain(signals).await,
                    }
                    watch = reload::Watch::new(&self.loaded);
                }
                Wake::Stop => return self.drain(signals).await,
            }
        }
    }

    /// Starts what goes on to the end, whatever is reloaded: nothing of it is left half done.
    fn keep_house(&self) {
        let router = &self.router;
        let dispatch = self.dispatch.clone();
        spawn_local(housekeeping::sessions(router.clone(), dispatch));
        spawn_local(housekeeping::retained(router.clone()));
        spawn_local(housekeeping::storage(router.clone(), self.storage.clone()));
    }

    async fn reload(&mut self, request: &Request, reply: Option<ReloadRequest>) {
        let outcome = reload::reload(
            request,
            &self.loaded,
            &self.listeners,
            &self.bridges,
            &self.log,
        )
        .await;
        let outcome = outcome.map(|(loaded, reloaded)| {
            self.admin.replace_token(loaded.config.admin.token.clone());
            self.loaded = loaded;
            reloaded
        });
        if let Some(reply) = reply {
            // Whoever asked may have gone.
            let _ = reply.send(outcome);
        }
    }

    /// Ends every connection, within a bound; a second signal ends the process at once.
    async fn drain(self, signals: &mut Signals) -> Result<(), String> {
        let patience = self.loaded.config.drain_timeout;
        let before = self.admissions.connections();
        tracing::info!(connections = before, ?patience, "stopping");
        self.admin.draining.set(true);
        self.listeners.borrow_mut().close_all();
        self.bridges.borrow_mut().stop();
        let drained = async {
            // They finish what is in flight while the broker is there; clients are told in any case.
            let _ = timeout(patience / 2, until(|| self.bridges.borrow().are_stopped())).await;
            self.router.close_all(
                ReasonCode::ServerShuttingDown,
                "the server is shutting down",
            );
            until(|| self.admissions.connections() == 0).await;
        };
        tokio::select! {
            _ = timeout(patience, drained) => {}
            () = signals.stop() => tracing::warn!("stopping at once"),
        }
        let left = self.admissions.connections();
        tracing::info!(closed = before - left.min(before), left, "stopped");
        drop(self.threads);
        // What is recorded by now is written.
        drop(self.writing);
        Ok(())
    }
}

async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Opens the operator's door. Where nobody asked for it, a broker goes on without.
async fn open_door(loaded: &Loaded, door: Rc<Door>) -> Result<(), String> {
    let Some(address) = loaded.config.admin.address else {
        return Ok(());
    };
    match admin::open(address, door).await {
        Ok(address) => {
            tracing::info!(url = %format_args!("http://{address}/"), "dashboard, metrics and API")
        }
        Err(error) if loaded.origins.contains_key("admin.address") => {
            return Err(format!(
                "admin.address: cannot listen on {address}: {error}; choose another address, or \
                 \"off\""
            ));
        }
        Err(error) => tracing::warn!(
            "no dashboard, metrics and API: cannot listen on {address}: {error}; set admin.address"
        ),
    }
    Ok(())
}

fn say_hello(config: &Config) {
    let version = env!("CARGO_PKG_VERSION");
    match config.store {
        config::Store::Memory => tracing::info!(
            version,
            "dunlin: sessions and retained messages are kept in memory"
        ),
        config::Store::Disk => {
            let path = std::path::absolute(&config.data_dir);
            let path = path.unwrap_or_else(|_| config.data_dir.clone());
            tracing::info!(
                version,
                data_dir = %path.display(),
                "dunlin: sessions and retained messages are kept on disk"
            );
        }
    }
}

fn say_who(config: &Config) {
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
