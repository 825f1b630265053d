//! Sessions in memory, for as long as the process lives.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use dunlin_router::ports::{Change, Commit, Reply, Store, StoreError, Urgency};
use dunlin_session::SessionState;

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

    fn is_durable(&self) -> bool {
        false
    }

    fn record(&self, _: &[Change<'_>], _: Urgency) -> Commit {
        Commit::default()
    }

    fn recorded(&self) -> Commit {
        Commit::default()
    }

    fn committed(&self) -> Commit {
        Commit::default()
    }

    fn wake_at(&self, _: Commit, _: &Waker) -> bool {
        false
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
