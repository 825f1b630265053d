//! What listens, and what a reload changes of it.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use dunlin_auth::HashingPool;
use dunlin_connection::{AdmissionLimits, Admissions, ListenerContext};
use dunlin_metrics::{Cells, Counter};
use dunlin_net::{Accepted, Listener as Socket, ListenerSettings, Transport};
use tokio::task::JoinHandle;

use crate::config::{Config, Listener, ListenerChange};
use crate::wiring;
use crate::workers::{Arrival, Workers};

/// What acceptors share.
pub struct Shared {
    /// Where sockets go.
    pub workers: Workers,
    /// How many there are.
    pub admissions: Arc<Admissions>,
    /// How many there may be.
    pub limits: ArcSwap<AcceptLimits>,
    /// Slow password hashes.
    pub pool: Arc<HashingPool>,
    /// Counts of the thread that accepts.
    pub cells: Arc<Cells>,
}

/// Bounds on sockets before they are connections.
#[derive(Clone, Copy, Debug)]
pub struct AcceptLimits {
    /// Connections that there may be.
    pub admission: AdmissionLimits,
    /// Sockets accepted in a second by one listener; the others wait in the kernel.
    pub per_second: Option<u32>,
}

impl AcceptLimits {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        AcceptLimits {
            admission: wiring::admission(config),
            per_second: config.limits.handshakes_per_second,
        }
    }
}

/// All that listens.
pub struct Listeners {
    shared: Arc<Shared>,
    running: Vec<Running>,
    /// Counts reloads: decisions made under earlier rules are asked again.
    generation: u32,
}

/// One configured listener, with a door for each address that its name stands for.
struct Running {
    listener: Listener,
    doors: Vec<Door>,
}

struct Door {
    address: String,
    context: Arc<ArcSwap<ListenerContext>>,
    /// Contexts of earlier configurations that live connections may have.
    earlier: Vec<std::sync::Weak<ListenerContext>>,
    task: JoinHandle<()>,
    limit: Arc<ArcSwap<Option<u32>>>,
}

/// A change that has been checked and only needs to be made.
enum Prepared {
    Open(Running),
    Close(Listener),
    Replace(Listener, Vec<Arc<ListenerContext>>),
}

impl Listeners {
    /// Without any.
    pub fn new(shared: Arc<Shared>) -> Self {
        Listeners {
            shared,
            running: Vec::new(),
            generation: 0,
        }
    }

    /// Opens everything that a configuration names.
    ///
    /// # Errors
    /// The first address that cannot be bound, or file that cannot be read.
    pub fn open_all(&mut self, config: &Config) -> Result<(), String> {
        for listener in &config.listeners {
            let running = self.open(config, listener)?;
            self.running.push(running);
        }
        Ok(())
    }

    /// Where the doors are, as `tcp 127.0.0.1:1883`.
    pub fn addresses(&self) -> Vec<String> {
        let doors = self.running.iter().flat_map(|running| &running.doors);
        doors.map(|door| door.address.clone()).collect()
    }

    /// Goes from one configuration to another. Files are read again even where nothing changed.
    /// All is checked before anything is changed.
    ///
    /// # Errors
    /// What cannot be done; then everything is as before.
    pub fn reload(&mut self, config: &Config, changes: &[ListenerChange]) -> Result<(), String> {
        self.generation += 1;
        let mut prepared = Vec::new();
        for change in changes {
            match change {
                ListenerChange::Added(listener) => {
                    prepared.push(Prepared::Open(self.open(config, listener)?));
                }
                ListenerChange::Removed(listener) => {
                    prepared.push(Prepared::Close(listener.clone()))
                }
                ListenerChange::Changed(_) => {}
            }
        }
        let added = |listener: &&Listener| {
            !changes.iter().any(|change| {
                matches!(change, ListenerChange::Added(added) if added.address == listener.address)
            })
        };
        for listener in config.listeners.iter().filter(added) {
            let contexts = wiring::sockets(config, listener)?
                .iter()
                .map(|settings| self.context(config, listener, settings))
                .collect::<Result<Vec<_>, _>>()?;
            prepared.push(Prepared::Replace(listener.clone(), contexts));
        }
        prepared.into_iter().for_each(|change| self.apply(change));
        self.shared.limits.store(Arc::new(AcceptLimits::of(config)));
        Ok(())
    }

    /// Stops accepting; connections stay.
    pub fn close_all(&mut self) {
        self.running.clear();
    }

    fn apply(&mut self, change: Prepared) {
        match change {
            Prepared::Open(running) => {
                for door in &running.doors {
                    tracing::info!(address = door.address, "listening");
                }
                self.running.push(running);
            }
            Prepared::Close(listener) => {
                self.running.retain(|running| {
                    let keep = running.listener.address != listener.address;
                    if !keep {
                        tracing::info!(listener = listener.label(), "listener closed");
                    }
                    keep
                });
            }
            Prepared::Replace(listener, contexts) => {
                let same = |running: &&mut Running| running.listener.address == listener.address;
                let Some(running) = self.running.iter_mut().find(same) else {
                    return;
                };
                for (door, context) in running.doors.iter_mut().zip(contexts) {
                    door.replace(context, listener.max_connections);
                }
                running.listener = listener;
            }
        }
    }

    fn open(&self, config: &Config, listener: &Listener) -> Result<Running, String> {
        let mut doors = Vec::new();
        let mut refused = None;
        for settings in wiring::sockets(config, listener)? {
            let context = self.context(config, listener, &settings)?;
            match Socket::bind(&settings) {
                Ok(socket) => doors.push(self.door(socket, context, listener.max_connections)),
                Err(error) => refused = Some(error.to_string()),
            }
        }
        // Of the addresses that a name stands for one is enough.
        match (doors.is_empty(), refused) {
            (true, Some(error)) => Err(error),
            _ => Ok(Running {
                listener: listener.clone(),
                doors,
            }),
        }
    }

    fn context(
        &self,
        config: &Config,
        listener: &Listener,
        settings: &ListenerSettings,
    ) -> Result<Arc<ListenerContext>, String> {
        let transport = Transport::load(settings)
            .map_err(|error| format!("listener {}: {error}", listener.label()))?;
        let access = wiring::access(config, listener, &self.shared.pool, self.generation)?;
        Ok(Arc::new(ListenerContext {
            name: listener.label().into(),
            transport,
            terms: ArcSwap::from_pointee(wiring::terms(config, listener)),
            access: ArcSwap::from_pointee(access),
            limits: ArcSwap::from_pointee(wiring::connection_limits(config, listener)),
        }))
    }

    fn door(&self, socket: Socket, context: Arc<ListenerContext>, limit: Option<u32>) -> Door {
        let address = socket.local_address().to_string();
        let context = Arc::new(ArcSwap::new(context));
        let limit = Arc::new(ArcSwap::from_pointee(limit));
        let acceptor = Acceptor {
            socket,
            context: context.clone(),
            limit: limit.clone(),
            shared: self.shared.clone(),
            connections: Arc::default(),
        };
        Door {
            address,
            context,
            earlier: Vec::new(),
            task: tokio::spawn(acceptor.run()),
            limit,
        }
    }
}

impl Door {
    fn replace(&mut self, context: Arc<ListenerContext>, limit: Option<u32>) {
        // Connections that are there keep their transport and terms, and get the new rules.
        let before = self.context.swap(context.clone());
        self.earlier.push(Arc::downgrade(&before));
        drop(before);
        self.earlier.retain(|earlier| match earlier.upgrade() {
            Some(earlier) => {
                earlier.access.store(context.access.load_full());
                earlier.limits.store(context.limits.load_full());
                true
            }
            None => false,
        });
        self.limit.store(Arc::new(limit));
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Acceptor {
    socket: Socket,
    context: Arc<ArcSwap<ListenerContext>>,
    limit: Arc<ArcSwap<Option<u32>>>,
    shared: Arc<Shared>,
    connections: Arc<AtomicU32>,
}

impl Acceptor {
    async fn run(mut self) {
        let mut workers = self.shared.workers.clone();
        let mut pace = Pace::default();
        loop {
            let accepted = match self.socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::error!(address = %self.socket.local_address(), %error, "listener failed");
                    return;
                }
            };
            pace.wait(self.shared.limits.load().per_second).await;
            if let Some(arrival) = self.admit(accepted) {
                workers.assign(arrival).await;
            }
        }
    }

    fn admit(&self, accepted: Accepted) -> Option<Arrival> {
        let address = accepted.address().map(|address| address.ip());
        let admission = self.shared.admissions.admit(
            self.shared.limits.load().admission,
            &self.connections,
            **self.limit.load(),
            address,
        );
        match admission {
            Ok(admission) => Some(Arrival {
                listener: self.context.load_full(),
                accepted,
                admission,
            }),
            Err(refused) => {
                self.shared.cells.add(Counter::ConnectionsOverLimit, 1);
                tracing::warn!(address = address.map(tracing::field::display), cause = %refused, "socket closed");
                None
            }
        }
    }
}

/// Keeps to so many a second.
#[derive(Default)]
struct Pace {
    since: Option<Instant>,
    count: u32,
}

impl Pace {
    async fn wait(&mut self, per_second: Option<u32>) {
        const SECOND: Duration = Duration::from_secs(1);
        let Some(per_second) = per_second else { return };
        let since = *self.since.get_or_insert_with(Instant::now);
        self.count += 1;
        if self.count <= per_second {
            return;
        }
        if let Some(rest) = SECOND.checked_sub(since.elapsed()) {
            tokio::time::sleep(rest).await;
        }
        *self = Pace {
            since: Some(Instant::now()),
            count: 1,
        };
    }
}
