//! What listens, and what a reload changes of it.

use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use dunlin_connection::{ListenerAdmissions, ListenerContext};
use dunlin_net::{Listener as Socket, ListenerSettings, Transport};
use tokio::task::JoinHandle;

use crate::acceptor::{AcceptLimits, Acceptor, Shared};
use crate::config::{Config, Listener, ListenerChange, Protocol};
use crate::plugins::Plugins;
use crate::wiring;

/// All that listens.
pub struct Listeners {
    shared: Arc<Shared>,
    running: Vec<Running>,
    plugins: Plugins,
    /// Counts reloads: decisions made under earlier rules are asked again.
    generation: u32,
}

/// One configured listener, with a door for each address that its name stands for.
struct Running {
    listener: Listener,
    doors: Vec<Door>,
    /// Connections that came by any of the doors.
    connections: Arc<ListenerAdmissions>,
    /// How many there may be.
    limit: Arc<ArcSwap<Option<u32>>>,
}

/// A listener that is open, for people.
#[derive(Clone, Debug)]
pub struct OpenListener {
    /// Its name, or else its address.
    pub name: String,
    /// Where it listens, with the port that the system chose if it was asked to.
    pub address: String,
    /// `mqtt` or `websockets`.
    pub protocol: &'static str,
    /// Whether TLS is below.
    pub tls: bool,
    /// A path for WebSocket clients.
    pub path: Option<String>,
    /// Connections open now, on all addresses of the listener.
    pub connections: u32,
}

struct Door {
    address: String,
    context: Arc<ArcSwap<ListenerContext>>,
    /// Contexts of earlier configurations that live connections may have.
    earlier: Vec<Weak<ListenerContext>>,
    task: JoinHandle<()>,
}

/// A change that has been checked and only needs to be made.
enum Prepared {
    Open(Running),
    Close(Listener),
    Replace(Listener, Vec<Arc<ListenerContext>>),
}

impl Listeners {
    /// Without any.
    pub fn new(shared: Arc<Shared>, plugins: Plugins) -> Self {
        Listeners {
            shared,
            running: Vec::new(),
            plugins,
            generation: 0,
        }
    }

    /// Opens everything that a configuration names.
    ///
    /// # Errors
    /// The first address that cannot be bound, or file that cannot be read.
    pub fn open_all(&mut self, config: &Config) -> Result<(), String> {
        for listener in &config.listeners {
            let running = self.open(config, &self.plugins, listener)?;
            self.running.push(running);
        }
        Ok(())
    }

    /// The plugins that are loaded.
    pub fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    /// How often the rules were replaced.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// What is open, in the order of the configuration.
    pub fn open_now(&self) -> Vec<OpenListener> {
        self.running.iter().flat_map(Running::describe).collect()
    }

    /// Goes from one configuration to another, with its plugins. Files are read again even where
    /// nothing changed. All is checked before anything is changed.
    ///
    /// # Errors
    /// What cannot be done; then everything is as before.
    pub fn reload(
        &mut self,
        config: &Config,
        changes: &[ListenerChange],
        plugins: Plugins,
    ) -> Result<(), String> {
        check_ports(changes)?;
        self.generation += 1;
        let mut prepared = Vec::new();
        for change in changes {
            match change {
                ListenerChange::Added(listener) => {
                    prepared.push(Prepared::Open(self.open(config, &plugins, listener)?));
                }
                ListenerChange::Removed(listener) => {
                    prepared.push(Prepared::Close(listener.clone()))
                }
                ListenerChange::Changed(_) => {}
            }
        }
        let stays = |listener: &&Listener| {
            !changes.iter().any(
                |change| matches!(change, ListenerChange::Added(added) if same(added, listener)),
            )
        };
        for listener in config.listeners.iter().filter(stays) {
            let contexts = wiring::sockets(config, listener)?
                .iter()
                .map(|settings| self.context(config, &plugins, listener, settings))
                .collect::<Result<Vec<_>, _>>()?;
            prepared.push(Prepared::Replace(listener.clone(), contexts));
        }
        prepared.into_iter().for_each(|change| self.apply(change));
        self.plugins = plugins;
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
                    let keep = !same(&running.listener, &listener);
                    if !keep {
                        tracing::info!(listener = listener.label(), "listener closed");
                    }
                    keep
                });
            }
            Prepared::Replace(listener, contexts) => {
                let known = |running: &&mut Running| same(&running.listener, &listener);
                let Some(running) = self.running.iter_mut().find(known) else {
                    return;
                };
                for (door, context) in running.doors.iter_mut().zip(contexts) {
                    door.replace(context);
                }
                running.limit.store(Arc::new(listener.max_connections));
                running.listener = listener;
            }
        }
    }

    fn open(
        &self,
        config: &Config,
        plugins: &Plugins,
        listener: &Listener,
    ) -> Result<Running, String> {
        let mut running = Running {
            listener: listener.clone(),
            doors: Vec::new(),
            connections: self.shared.admissions.listener(),
            limit: Arc::new(ArcSwap::from_pointee(listener.max_connections)),
        };
        let mut refused = None;
        for settings in wiring::sockets(config, listener)? {
            let context = self.context(config, plugins, listener, &settings)?;
            match Socket::bind(&settings) {
                Ok(socket) => {
                    let door = self.door(socket, context, &running);
                    running.doors.push(door);
                }
                Err(error) => refused = Some(error.to_string()),
            }
        }
        // Of the addresses that a name stands for one is enough.
        match (running.doors.is_empty(), refused) {
            (true, Some(error)) => Err(error),
            _ => Ok(running),
        }
    }

    fn context(
        &self,
        config: &Config,
        plugins: &Plugins,
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
            access: ArcSwap::from_pointee(plugins.join(access, listener)),
            limits: ArcSwap::from_pointee(wiring::connection_limits(config, listener)),
        }))
    }

    fn door(&self, socket: Socket, context: Arc<ListenerContext>, running: &Running) -> Door {
        let address = socket.local_address().to_string();
        let context = Arc::new(ArcSwap::new(context));
        let acceptor = Acceptor {
            socket,
            context: context.clone(),
            limit: running.limit.clone(),
            shared: self.shared.clone(),
            connections: running.connections.clone(),
        };
        Door {
            address,
            context,
            earlier: Vec::new(),
            task: tokio::spawn(acceptor.run()),
        }
    }
}

impl Running {
    fn describe(&self) -> impl Iterator<Item = OpenListener> {
        let listener = &self.listener;
        let paths = &listener.websocket.paths;
        let path = paths.iter().find(|path| *path == "/mqtt").or(paths.first());
        let path = match path.map(String::as_str) {
            Some("*") => "/mqtt",
            Some(path) => path,
            None => "/",
        };
        let is_websocket = listener.protocol == Protocol::WebSockets;
        self.doors.iter().map(move |door| OpenListener {
            name: listener.label(),
            address: door.address.clone(),
            protocol: listener.protocol.word(),
            tls: listener.tls.is_some(),
            path: is_websocket.then(|| path.to_owned()),
            connections: self.connections.connections(),
        })
    }
}

impl Door {
    fn replace(&mut self, context: Arc<ListenerContext>) {
        // Connections that are there keep their transport and terms, and get the new rules.
        let before = self.context.swap(context.clone());
        self.earlier.push(Arc::downgrade(&before));
        drop(before);
        self.earlier.retain(|earlier| match earlier.upgrade() {
            Some(earlier) => {
                // The rules last: connections that see them look at the limits too.
                earlier.limits.store(context.limits.load_full());
                earlier.access.store(context.access.load_full());
                true
            }
            None => false,
        });
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A listener is the same as long as its socket is.
fn same(one: &Listener, other: &Listener) -> bool {
    (&one.address, one.ipv6_only) == (&other.address, other.ipv6_only)
}

/// A new listener is opened before an old one is closed, so they cannot have the same port.
fn check_ports(changes: &[ListenerChange]) -> Result<(), String> {
    let removed = changes.iter().filter_map(|change| match change {
        ListenerChange::Removed(listener) => Some(listener),
        _ => None,
    });
    for change in changes {
        let ListenerChange::Added(added) = change else {
            continue;
        };
        let port = added.address.port().filter(|port| *port != 0);
        let in_the_way = |removed: &&Listener| removed.address.port() == port;
        if let Some(removed) = removed.clone().find(in_the_way).filter(|_| port.is_some()) {
            return Err(format!(
                "listener {}: its port is still that of listener {}; restart, or reload once \
                 without either",
                added.label(),
                removed.label()
            ));
        }
    }
    Ok(())
}
