//! The bridges of a configuration: each on a thread of its own, a client of this broker by way of a
//! pair of sockets, and kept over reloads while nothing about it changes.

mod entrance;
mod settings;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::SystemTime;

use dunlin_auth::{Access, AclFile, AllowAnonymous};
use dunlin_bridge::{BridgeSettings, Identity, Map, Status};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::config::{self, Config};
use crate::plugins::Plugins;
pub use entrance::Entrance;
use entrance::Way;

/// The bridges that run.
pub struct Bridges {
    entrance: Entrance,
    running: Vec<Running>,
    /// Those that were told to stop.
    stopping: Vec<JoinHandle<()>>,
}

struct Running {
    known: Known,
    way: Arc<Way>,
    status: Arc<Status>,
    thread: JoinHandle<()>,
    /// Dropped to stop it.
    _stop: oneshot::Sender<()>,
}

/// What a bridge was made from: it stays while this does.
#[derive(PartialEq)]
struct Known {
    settings: BridgeSettings,
    map: Option<String>,
    /// When the files that it has read were changed.
    files: Vec<Option<SystemTime>>,
}

/// A bridge that has been checked and only needs to be started, or goes on.
pub struct Prepared {
    wanted: config::Bridge,
    known: Known,
    access: Access,
    bridge: dunlin_bridge::Bridge,
}

/// How a bridge does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BridgeFigures {
    /// Its name in the configuration.
    pub name: String,
    /// Whether the other broker has accepted it.
    pub connected: bool,
    /// Why its last connection ended or failed.
    pub last_error: Option<String>,
    /// Connections to the other broker after the first.
    pub reconnects: u64,
    /// Messages above QoS 0 sent to either broker and not confirmed.
    pub in_flight: u64,
    /// From this broker to the other.
    pub outgoing: TrafficFigures,
    /// From the other broker to this one.
    pub incoming: TrafficFigures,
}

/// Messages of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficFigures {
    /// Taken over by the other side.
    pub messages: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// That nobody will get.
    pub dropped: u64,
    /// Left out on purpose.
    pub filtered: u64,
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
    pub fn prepare(config: &Config, generation: u32) -> Result<Vec<Prepared>, String> {
        let prepare = |wanted| Prepared::new(config, wanted, generation);
        config.bridges.iter().map(prepare).collect()
    }

    /// Runs these and no others. One that stays goes on with the new rules; the successor of one
    /// that does not waits for its end.
    pub fn run(&mut self, config: &Config, plugins: &Plugins, prepared: Vec<Prepared>) {
        let mut before = std::mem::take(&mut self.running);
        for (number, one) in prepared.into_iter().enumerate() {
            let access = plugins.join_bridge(one.access, &one.wanted.label());
            let name = &one.wanted.name;
            let at = before
                .iter()
                .position(|run| run.known.settings.name == *name);
            let earlier = at.map(|at| before.remove(at));
            let running = match earlier {
                Some(running) if running.known == one.known && !running.thread.is_finished() => {
                    running.way.change(config, access);
                    running
                }
                earlier => {
                    let way = self.entrance.way(config, &one.wanted, number, access);
                    let earlier = earlier.map(|running| running.thread);
                    match start(one.known, one.bridge, way, earlier) {
                        Ok(running) => running,
                        Err(error) => {
                            tracing::error!(bridge = name, %error, "no thread for a bridge");
                            continue;
                        }
                    }
                }
            };
            self.running.push(running);
        }
        self.stopping
            .extend(before.into_iter().map(|gone| gone.thread));
        self.stopping.retain(|thread| !thread.is_finished());
    }

    /// Tells all to stop: they finish what is in flight, within 5 s.
    pub fn stop(&mut self) {
        let all = self.running.drain(..);
        self.stopping.extend(all.map(|running| running.thread));
    }

    /// Whether all have stopped that were told to.
    pub fn are_stopped(&self) -> bool {
        self.stopping.iter().all(JoinHandle::is_finished)
    }

    /// How each does.
    pub fn figures(&self) -> Vec<BridgeFigures> {
        self.running.iter().map(Running::figures).collect()
    }
}

impl Prepared {
    fn new(config: &Config, wanted: &config::Bridge, generation: u32) -> Result<Self, String> {
        let named = |error: String| format!("bridge {}: {error}", wanted.name);
        let settings = settings::settings(wanted).map_err(named)?;
        let map: Arc<dyn Map> = Arc::new(Identity);
        let bridge = dunlin_bridge::Bridge::new(settings.clone(), map)?;
        let mut access = Access::new(AllowAnonymous::Yes).with_generation(generation);
        // The configuration is its proof of who it is; what that user may do, the file says.
        if let (Some(_), Some(file)) = (&wanted.local_username, &config.access.acl_file) {
            let rules = AclFile::load(file).map_err(|error| named(error.to_string()))?;
            access = access.with_authorizer(Arc::new(rules));
        }
        let files = wanted.files();
        let stamp = |path| {
            std::fs::metadata(path)
                .and_then(|data| data.modified())
                .ok()
        };
        Ok(Prepared {
            known: Known {
                settings,
                map: None,
                files: files.into_iter().map(stamp).collect(),
            },
            wanted: wanted.clone(),
            access,
            bridge,
        })
    }
}

impl Running {
    fn figures(&self) -> BridgeFigures {
        let status = &self.status;
        let traffic = |traffic: &dunlin_bridge::Traffic| TrafficFigures {
            messages: traffic.messages.load(Ordering::Relaxed),
            bytes: traffic.bytes.load(Ordering::Relaxed),
            dropped: traffic.dropped.load(Ordering::Relaxed),
            filtered: traffic.filtered.load(Ordering::Relaxed),
        };
        BridgeFigures {
            name: self.known.settings.name.clone(),
            connected: status.connected.load(Ordering::Relaxed) && !self.thread.is_finished(),
            last_error: status.last_error(),
            reconnects: status.reconnects.load(Ordering::Relaxed),
            in_flight: status.in_flight.load(Ordering::Relaxed),
            outgoing: traffic(&status.egress),
            incoming: traffic(&status.ingress),
        }
    }
}

fn start(
    known: Known,
    bridge: dunlin_bridge::Bridge,
    way: Arc<Way>,
    earlier: Option<JoinHandle<()>>,
) -> std::io::Result<Running> {
    let (stop, stopped) = oneshot::channel::<()>();
    let (status, name) = (bridge.status(), known.settings.name.clone());
    let thread = std::thread::Builder::new().name("bridge".into()).spawn({
        let way = way.clone();
        move || {
            // Both have the same session: the one before ends first.
            let _ = earlier.map(JoinHandle::join);
            let runtime = Builder::new_current_thread().enable_all().build();
            let ended = match runtime {
                Ok(runtime) => runtime.block_on(bridge.run(|| way.open(), async {
                    let _ = stopped.await;
                })),
                Err(error) => Err(error.to_string()),
            };
            if let Err(why) = ended {
                tracing::warn!(bridge = name, why, "bridge ended");
            }
        }
    })?;
    Ok(Running {
        known,
        way,
        status,
        thread,
        _stop: stop,
    })
}
