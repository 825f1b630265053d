//! One listener that runs: its sockets, and what its connections have in common.

use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use dunlin_connection::{ListenerAdmissions, ListenerContext};
use dunlin_net::{BindError, ListenAddress, Listener as Socket, ListenerSettings};
use tokio::task::JoinHandle;

use super::OpenListener;
use crate::acceptor::{Acceptor, Shared};
use crate::config::{Listener, Protocol};

/// One configured listener, with a door for each address that its name stands for.
pub struct Running {
    pub listener: Listener,
    doors: Vec<Door>,
    /// Connections that came by any of the doors.
    connections: Arc<ListenerAdmissions>,
    /// How many there may be.
    limit: Arc<ArcSwap<Option<u32>>>,
}

/// What a door opens with: where, and what its connections have in common.
pub type DoorPlan = (ListenerSettings, Arc<ListenerContext>);

/// A socket that listens. It is closed when this is dropped, a moment later.
struct Door {
    /// Opens the same socket again: the port is the one that the system chose if it was asked to.
    settings: ListenerSettings,
    context: Arc<ArcSwap<ListenerContext>>,
    /// Contexts of earlier configurations that live connections may have.
    earlier: Vec<Weak<ListenerContext>>,
    /// Accepts; none while the socket is closed for another.
    task: Option<JoinHandle<()>>,
}

/// A configured listener whose sockets are bound. Nothing is accepted yet, and dropping it closes
/// them at once.
pub struct Bound {
    listener: Listener,
    sockets: Vec<(Socket, Arc<ListenerContext>, ListenerSettings)>,
}

impl Bound {
    /// Binds the sockets. Of the addresses that a name stands for one is enough.
    ///
    /// # Errors
    /// Why none can be bound.
    pub fn bind(listener: &Listener, plans: Vec<DoorPlan>) -> Result<Self, String> {
        let mut sockets = Vec::new();
        let mut refused = None;
        for (mut settings, context) in plans {
            match Socket::bind(&settings) {
                Ok(socket) => {
                    settings.address = socket.local_address().clone();
                    sockets.push((socket, context, settings));
                }
                Err(error) => refused = Some(error.to_string()),
            }
        }
        match refused {
            Some(error) if sockets.is_empty() => Err(error),
            _ => Ok(Bound {
                listener: listener.clone(),
                sockets,
            }),
        }
    }
}

impl Running {
    /// Accepts from now on.
    pub fn start(bound: Bound, shared: &Arc<Shared>) -> Self {
        let Bound { listener, sockets } = bound;
        let mut running = Running {
            doors: Vec::new(),
            connections: shared.admissions.listener(),
            limit: Arc::new(ArcSwap::from_pointee(listener.max_connections)),
            listener,
        };
        for (socket, context, settings) in sockets {
            let context = Arc::new(ArcSwap::new(context));
            let task = running.accept(socket, context.clone(), shared);
            running.doors.push(Door {
                settings,
                context,
                earlier: Vec::new(),
                task: Some(task),
            });
        }
        running
    }

    /// Whether one of its sockets has this port.
    pub fn has_port(&self, port: u16) -> bool {
        let is_its = |door: &Door| match &door.settings.address {
            ListenAddress::Tcp(address) => address.port() == port,
            ListenAddress::Name { port: its, .. } => *its == port,
            ListenAddress::Unix { .. } => false,
        };
        self.doors.iter().any(is_its)
    }

    /// Closes its sockets; connections stay. They are closed once the tasks have ended.
    pub fn close(&mut self) -> Vec<JoinHandle<()>> {
        let tasks = self.doors.iter_mut().filter_map(|door| door.task.take());
        tasks.inspect(JoinHandle::abort).collect()
    }

    /// Opens the sockets again that [`close`](Running::close) closed.
    ///
    /// # Errors
    /// The first that cannot be opened.
    pub fn reopen(&mut self, shared: &Arc<Shared>) -> Result<(), BindError> {
        for index in 0..self.doors.len() {
            let door = &self.doors[index];
            let socket = Socket::bind(&door.settings)?;
            let task = self.accept(socket, door.context.clone(), shared);
            self.doors[index].task = Some(task);
        }
        Ok(())
    }

    /// Goes on with the same sockets under another configuration.
    pub fn replace(&mut self, listener: &Listener, plans: Vec<DoorPlan>) {
        for (door, (_, context)) in self.doors.iter_mut().zip(plans) {
            door.replace(context);
        }
        self.limit.store(Arc::new(listener.max_connections));
        self.listener = listener.clone();
    }

    /// A line for each socket.
    pub fn describe(&self) -> impl Iterator<Item = OpenListener> {
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
            address: door.settings.address.to_string(),
            protocol: listener.protocol.word(),
            tls: listener.tls.is_some(),
            path: is_websocket.then(|| path.to_owned()),
            connections: self.connections.connections(),
        })
    }

    fn accept(
        &self,
        socket: Socket,
        context: Arc<ArcSwap<ListenerContext>>,
        shared: &Arc<Shared>,
    ) -> JoinHandle<()> {
        let acceptor = Acceptor {
            socket,
            context,
            limit: self.limit.clone(),
            shared: shared.clone(),
            connections: self.connections.clone(),
        };
        tokio::spawn(acceptor.run())
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
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
