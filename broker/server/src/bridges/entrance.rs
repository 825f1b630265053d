//! How bridges come into the broker: as its other clients do, but by no listener.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dunlin_auth::Access;
use dunlin_connection::{
    AdmissionLimits, Admissions, ConnectionLimits, ListenerAdmissions, ListenerContext,
};
use dunlin_net::{Accepted, Transport};
use dunlin_router::Router;

use crate::config::{Config, Listener};
use crate::wiring;
use crate::workers::{Arrival, Workers};

/// No limit keeps a bridge out: there are as many as the configuration names.
const ADMITTED: AdmissionLimits = AdmissionLimits {
    connections: u32::MAX,
    connections_per_address: None,
};

/// Where bridges come in.
pub struct Entrance {
    workers: Workers,
    router: Arc<Router>,
    connections: Arc<ListenerAdmissions>,
}

/// One bridge's way in.
pub struct Way {
    workers: Workers,
    router: Arc<Router>,
    /// Which worker.
    number: usize,
    connections: Arc<ListenerAdmissions>,
    context: Arc<ListenerContext>,
}

impl Entrance {
    /// Into these workers.
    pub fn new(workers: Workers, router: Arc<Router>, admissions: &Arc<Admissions>) -> Self {
        Entrance {
            workers,
            router,
            connections: admissions.listener(),
        }
    }

    /// For one bridge, to the worker of that number.
    pub fn way(&self, config: &Config, label: &str, number: usize, access: Access) -> Arc<Way> {
        let context = ListenerContext {
            name: label.into(),
            transport: Transport::plain(),
            terms: ArcSwap::from_pointee(wiring::terms(config, &Listener::default())),
            access: ArcSwap::from_pointee(access),
            limits: ArcSwap::from_pointee(limits(config)),
        };
        Arc::new(Way {
            workers: self.workers.clone(),
            router: self.router.clone(),
            number,
            connections: self.connections.clone(),
            context: Arc::new(context),
        })
    }
}

impl Way {
    /// A new connection.
    ///
    /// # Errors
    /// The system gives no sockets, or the worker has too many new connections just now.
    pub fn open(&self) -> io::Result<UnixStream> {
        let (near, far) = UnixStream::pair()?;
        let admission = self.connections.admit(ADMITTED, None, None);
        let arrival = Arrival {
            listener: self.context.clone(),
            accepted: Accepted::try_from(far)?,
            admission: admission.map_err(|refused| io::Error::other(refused.to_string()))?,
        };
        self.workers.offer(self.number, arrival)?;
        Ok(near)
    }

    /// What the session with this client id is subscribed to.
    pub fn subscriptions(&self, client_id: &str) -> Vec<String> {
        let session = self.router.session(client_id);
        let filters = session.map(|session| self.router.subscriptions_of(&session));
        let filters = filters.unwrap_or_default().into_iter();
        filters.map(String::from).collect()
    }

    /// Rules and terms of another configuration.
    pub fn change(&self, config: &Config, access: Access) {
        let context = &self.context;
        let terms = wiring::terms(config, &Listener::default());
        context.terms.store(Arc::new(terms));
        context.limits.store(Arc::new(limits(config)));
        // The rules last: connections that see them look at the limits too.
        context.access.store(Arc::new(access));
    }
}

/// A bridge carries what many clients send: limits on one client are not for it.
fn limits(config: &Config) -> ConnectionLimits {
    ConnectionLimits {
        messages: None,
        bytes: None,
        bridge: true,
        ..wiring::connection_limits(config, &Listener::default())
    }
}
