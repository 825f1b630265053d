//! The operator's door: metrics, health, an HTTP API and a dashboard, on one address.
//!
//! ```text
//!  accept ─▶ hyper, HTTP/1.1 ─▶ guard ─▶ health   /livez /readyz /startupz
//!                               who may           metrics  /metrics
//!                                                 api      /api/v1/...
//!                                                 page     / and its two files
//! ```
//!
//! It opens before the store is read, and answers probes from then on; all else comes with the
//! broker.
//!
//! It runs on the main thread beside the acceptors, never on a worker. Everything a client can make
//! it do is bounded: connections, their time, the size of requests and of answers.

mod api;
mod bridges;
mod clients;
mod door;
mod guard;
mod health;
mod metrics;
mod page;
mod plugins;
mod query;
mod reply;
mod stats;
mod store;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use dunlin_connection::Admissions;
use dunlin_router::{Dispatch, Router};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::bridges::Bridges;
use crate::config::Secret;
use crate::listeners::Listeners;
use crate::storage::Storage;
pub use door::Door;
use reply::Reply;

/// Connections at once; more wait in the kernel.
const CONNECTIONS: usize = 64;
/// How long a request's head may take, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one connection may be used; then the client makes another.
const LIFETIME: Duration = Duration::from_secs(60);
/// What its last answer gets beyond that.
const LINGER: Duration = Duration::from_secs(10);

/// What the operator's door needs of the broker.
pub struct Admin {
    /// Where messages and sessions are.
    pub router: Arc<Router>,
    /// The connections.
    pub admissions: Arc<Admissions>,
    /// Where messages and sessions are kept.
    pub storage: Storage,
    /// How long reading it took.
    pub recovery: Duration,
    /// The main thread's way into the router.
    pub dispatch: Rc<RefCell<Dispatch>>,
    /// What listens.
    pub listeners: Rc<RefCell<Listeners>>,
    /// Bridges to other brokers.
    pub bridges: Rc<RefCell<Bridges>>,
    /// What requests must carry; a reload replaces it.
    pub token: RefCell<Option<Secret>>,
    /// Whether other machines reach the address.
    pub exposed: bool,
    /// Set when the broker stops: it is alive, and not ready.
    pub draining: Cell<bool>,
    /// Asks the main loop to read the configuration again.
    pub reload: mpsc::Sender<ReloadRequest>,
}

/// Where the outcome of a reload goes: what was changed, or why nothing was.
pub type ReloadRequest = oneshot::Sender<Result<Reloaded, String>>;

/// Keys that a reload changed, as `limits.connections: 10 -> 20`.
#[derive(Debug, Default)]
pub struct Reloaded {
    /// At once.
    pub live: Vec<String>,
    /// At the next start.
    pub restart: Vec<String>,
}

impl Admin {
    /// Another token from here on. The address stays what it was at the start: if that is reached
    /// from other machines, there is no going without a token.
    pub fn replace_token(&self, token: Option<Secret>) {
        if token.is_none() && self.exposed {
            tracing::warn!("admin.token stays in force until admin.address changes, at a restart");
            return;
        }
        self.token.replace(token);
    }
}

/// Opens the door; where it is.
///
/// # Errors
/// The address cannot be bound.
pub async fn open(address: SocketAddr, door: Rc<Door>) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::task::spawn_local(accept(listener, door));
    Ok(address)
}

async fn accept(listener: TcpListener, door: Rc<Door>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let door = door.clone();
                tokio::task::spawn_local(async move {
                    connection(stream, door).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "admin connection not accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, door: Rc<Door>) {
    let answer = service_fn(|request| {
        let door = door.clone();
        async move { Ok::<_, Infallible>(answer(&door, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => Ok(outcome),
        () = sleep(LIFETIME) => {
            connection.as_mut().graceful_shutdown();
            timeout(LINGER, connection).await
        }
    };
    if let Ok(Err(error)) = outcome {
        tracing::debug!(%error, "admin connection failed");
    }
}

async fn answer(door: &Door, request: Request<Incoming>) -> Reply {
    let path = request.uri().path().to_owned();
    if let Some(health) = health::answer(door, &path) {
        return health;
    }
    let admin = match door.admin() {
        Ok(admin) => admin,
        Err(starting) => return reply::text(StatusCode::SERVICE_UNAVAILABLE, &starting),
    };
    if let Some(page) = page::answer(request.method(), &path) {
        return page;
    }
    let allowed = guard::check(request.method(), request.headers(), &admin.token.borrow());
    if let Err(refusal) = allowed {
        return refusal.reply();
    }
    match (request.method(), path.as_str()) {
        (&Method::GET, "/metrics") => metrics::answer(admin),
        (_, "/metrics") => reply::method_not_allowed("GET"),
        (_, path) if path.starts_with("/api/v1/") => api::answer(admin, request).await,
        _ => reply::not_found("nothing is here: see /, /metrics and /api/v1/stats"),
    }
}
