//! Sessions, their queues and retained messages: where they are kept.
//!
//! [`Memory`] keeps them for as long as the process lives. A session's queue is its inbox in the
//! router, and a retained value is in the router's index, so all that is left to keep here is what
//! a session had open when its connection ended.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dunlin_router::Subscriber;
use dunlin_router::ports::{Reply, Store, StoreError};
use dunlin_session::{Message, SessionState};

/// A store that forgets everything when the process ends. Its answers are always there at once.
///
/// As many entries as sessions without a connection, which the router bounds.
#[derive(Default)]
pub struct Memory {
    // Locked once when a connection begins or ends.
    sessions: Mutex<HashMap<Box<str>, SessionState>>,
}

impl Memory {
    fn sessions(&self) -> MutexGuard<'_, HashMap<Box<str>, SessionState>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn attach(&self, client_id: &str) -> Reply<Result<Option<SessionState>, StoreError>> {
        Reply::Now(Ok(self.sessions().remove(client_id)))
    }

    fn detach(&self, client_id: &str, state: SessionState) -> Reply<Result<(), StoreError>> {
        self.sessions().insert(client_id.into(), state);
        Reply::Now(Ok(()))
    }

    fn enqueued(&self, _: &Message, _: &[Arc<Subscriber>]) -> Reply<Result<(), StoreError>> {
        Reply::Now(Ok(()))
    }

    fn retained(&self, _: &Message) -> Reply<Result<(), StoreError>> {
        Reply::Now(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_is_given_out_once() {
        let store = Memory::default();
        let mut state = SessionState::default();
        state.received.push_back(std::num::NonZeroU16::MIN);
        store.detach("a", state).get().await.unwrap();
        let state = store.attach("a").get().await.unwrap().unwrap();
        assert_eq!(state.received, [std::num::NonZeroU16::MIN]);
        assert!(store.attach("a").get().await.unwrap().is_none());
    }
}
