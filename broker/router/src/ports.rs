//! What the router needs from elsewhere, as traits: implemented by crates it does not know.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use dunlin_session::{Message, SessionState};

use crate::Subscriber;

/// An answer that may take a disk or a network: there now, or later.
pub enum Reply<T> {
    /// There, without any waiting.
    Now(T),
    /// On its way.
    Later(Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T> Reply<T> {
    /// The answer, waited for.
    pub async fn get(self) -> T {
        match self {
            Reply::Now(value) => value,
            Reply::Later(future) => future.await,
        }
    }
}

/// Keeps what must outlive a connection: in memory, on disk, or on another node.
///
/// A session is with its connection between [`Store::attach`] and [`Store::detach`].
pub trait Store: Send + Sync + 'static {
    /// Takes out what an earlier connection of this client left, for a new connection to continue.
    /// `None` if there is nothing.
    fn attach(&self, client_id: &str) -> Reply<Result<Option<SessionState>, StoreError>>;

    /// Keeps a session that has no connection now.
    fn detach(&self, client_id: &str, state: SessionState) -> Reply<Result<(), StoreError>>;

    /// A message of QoS 1 or 2 was queued for these sessions, all persistent: answers when it may
    /// be acknowledged to its publisher.
    fn enqueued(
        &self,
        message: &Message,
        sessions: &[Arc<Subscriber>],
    ) -> Reply<Result<(), StoreError>>;

    /// A retained value was set, or cleared by an empty payload: answers as `enqueued` does.
    fn retained(&self, message: &Message) -> Reply<Result<(), StoreError>>;
}

/// Why a store could not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    /// For the log: what, where, what to do.
    pub what: String,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for StoreError {}
