//! The bridges and webhooks of a configuration: each on a thread of its own, a client of this broker
//! by way of a pair of sockets, and kept over reloads while nothing about it changes.

mod entrance;
mod figures;
mod known;
mod replaceable;
mod settings;
mod starting;
#[cfg(feature = "plugins")]
mod webhook;

use std::sync::Arc;
use std::thread::JoinHandle;

use dunlin_auth::{Access, AclFile, AllowAnonymous};
use dunlin_bridge::{Local, Status};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::config::{self, Config};
use crate::plugins::Plugins;
pub use entrance::Entrance;
use entrance::Way;
pub use figures::{BridgeFigures, TrafficFigures};
use known::{Known, Wanted};
use replaceable::Replaceable;
use settings::local_client_id;
pub use starting::Starting;

/// The bridges and webhooks that run.
pub struct Bridges {
    entrance: Entrance,
    running: Vec<Running>,
    /// Those that were told to stop, by name.
    stopping: Vec<(String, JoinHandle<()>)>,
}

struct Running {
    known: Known,
    way: Arc<Way>,
    map: Arc<Replaceable>,
    status: Arc<Status>,
    thread: JoinHandle<()>,
    /// Dropped to stop it.
    _stop: oneshot::Sender<()>,
}

/// One that has been checked and only needs to be started, or goes on.
pub struct Prepared {
    wanted: Wanted,
    access: Access,
}

impl Bridges {
    /// None yet.
    pub fn new(entrance: Entrance) -> Self {
        Bridges {
            entrance,
            running: Vec::new(),
            stopping: Vec::new(),
        }
    }

    /// Checks those that a configuration names, and reads their files. Nothing is started.
    ///
    /// # Errors
    /// What is wrong with the first that cannot run.
    pub fn prepare(
        config: &Config,
        plugins: &Plugins,
        generation: u32,
    ) -> Result<Vec<Prepared>, String> {
        let mut prepared = Vec::new();
        for wanted in known::all(config, plugins)? {
            let access = access(config, wanted.user.as_ref(), generation)
                .map_err(|error| format!("bridge {}: {error}", wanted.known.name))?;
            prepared.push(Prepared { wanted, access });
        }
        Ok(prepared)
    }

    /// Runs these and no others. One that stays goes on with the new rules; the successor of one
    /// that does not waits for its end. Gives those that begin.
    pub fn run(&mut self, config: &Config, plugins: &Plugins, prepared: Vec<Prepared>) -> Starting {
        let mut starting = Starting::default();
        let mut before = std::mem::take(&mut self.running);
        for (number, Prepared { wanted, access }) in prepared.into_iter().enumerate() {
            let known = &wanted.known;
            let label = config::bridge::label(&known.name);
            let access = plugins.join_bridge(access, &label);
            let at = before.iter().position(|run| run.known.name == known.name);
            let running = match at.map(|at| before.remove(at)) {
                Some(running) if running.known == *known && !running.thread.is_finished() => {
                    running.way.change(config, access);
                    running.map.replace(&wanted.map);
                    running
                }
                earlier => {
                    let way = self.entrance.way(config, &label, number, access);
                    let name = known.name.clone();
                    let earlier = earlier.map(|running| running.thread);
                    let earlier = earlier.or_else(|| self.take_stopping(&name));
                    match start(wanted, way, earlier) {
                        Ok((running, subscribed)) => {
                            starting.add(name, subscribed);
                            running
                        }
                        Err(error) => {
                            tracing::error!(bridge = name, %error, "no thread for a bridge");
                            continue;
                        }
                    }
                }
            };
            self.running.push(running);
        }
        self.stopping.retain(|(_, thread)| !thread.is_finished());
        self.stopping.extend(before.into_iter().map(Running::stop));
        starting
    }

    /// The one of this name that is about to end.
    fn take_stopping(&mut self, name: &str) -> Option<JoinHandle<()>> {
        let at = self.stopping.iter().position(|(its, _)| its == name)?;
        Some(self.stopping.swap_remove(at).1)
    }

    /// Tells all to stop: they finish what is in flight, within 5 s.
    pub fn stop(&mut self) {
        let all = self.running.drain(..);
        self.stopping.extend(all.map(Running::stop));
    }

    /// Whether all have stopped that were told to.
    pub fn are_stopped(&self) -> bool {
        let mut threads = self.stopping.iter().map(|(_, thread)| thread);
        threads.all(JoinHandle::is_finished)
    }

    /// How each does.
    pub fn figures(&self) -> Vec<BridgeFigures> {
        let figures = |running: &Running| {
            let runs = !running.thread.is_finished();
            BridgeFigures::of(&running.known.name, &running.status, runs)
        };
        self.running.iter().map(figures).collect()
    }
}

impl Running {
    /// Tells it to stop: its name, and what ends when it has.
    fn stop(self) -> (String, JoinHandle<()>) {
        (self.known.name, self.thread)
    }
}

/// The configuration is a bridge's proof of who it is; what that user may do, the ACL file says.
///
/// # Errors
/// The file cannot be read, or is wrong.
fn access(config: &Config, user: Option<&String>, generation: u32) -> Result<Access, String> {
    let access = Access::new(AllowAnonymous::Yes).with_generation(generation);
    let (Some(_), Some(file)) = (user, &config.access.acl_file) else {
        return Ok(access);
    };
    let rules = AclFile::load(file).map_err(|error| error.to_string())?;
    Ok(access.with_authorizer(Arc::new(rules)))
}

/// Gives with it what ends once it has subscribed in this broker, or is gone.
fn start(
    wanted: Wanted,
    way: Arc<Way>,
    earlier: Option<JoinHandle<()>>,
) -> std::io::Result<(Running, oneshot::Receiver<()>)> {
    let Wanted {
        known, far, map, ..
    } = wanted;
    let mut local = Local::new({
        let way = way.clone();
        move || way.open()
    });
    let subscribed = local.subscribed();
    let (stop, stopped) = oneshot::channel::<()>();
    let (status, name) = (far.status(), known.name.clone());
    let thread = std::thread::Builder::new().name("bridge".into()).spawn({
        let way = way.clone();
        move || {
            // Both have the same session: the one before ends first.
            let _ = earlier.map(JoinHandle::join);
            local.knows(way.subscriptions(&local_client_id(&name)));
            let runtime = Builder::new_current_thread().enable_all().build();
            let ended = match runtime {
                Ok(runtime) => runtime.block_on(far.run(local, async {
                    let _ = stopped.await;
                })),
                Err(error) => Err(error.to_string()),
            };
            if let Err(why) = ended {
                tracing::warn!(bridge = name, why, "bridge ended");
            }
        }
    })?;
    let running = Running {
        known,
        way,
        map,
        status,
        thread,
        _stop: stop,
    };
    Ok((running, subscribed))
}
