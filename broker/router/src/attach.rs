use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dunlin_metrics::Counter;
use dunlin_session::SessionState;
use tokio::sync::oneshot;

use crate::directory::{Absence, Entry, Owner, Shard};
use crate::ports::StoreError;
use crate::{Control, Dispatch, HandedOver, Router, Subscriber};

/// How long a connection has to hand its session over.
const HAND_OVER: Duration = Duration::from_secs(1);

/// A connection that wants its client's session: authenticated, before its CONNACK.
#[derive(Clone, Copy, Debug)]
pub struct AttachRequest<'a> {
    /// Not empty; kept as it is, not copied.
    pub client_id: &'a Arc<str>,
    /// End an earlier session.
    pub clean_start: bool,
    /// Whether the session shall outlive the connection.
    pub persistent: bool,
    /// [`Router::next_number`].
    pub connection: u64,
    /// The worker that owns the connection.
    pub worker: u16,
}

/// A session that the connection now owns.
#[derive(Debug)]
pub struct Attached {
    /// The session's inbox.
    pub subscriber: Arc<Subscriber>,
    /// What an earlier connection left; `None` for a new session.
    pub state: Option<SessionState>,
}

/// Why a connection did not get its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachError {
    /// A newer connection took it meanwhile (0x8E).
    Superseded,
    /// The older connection did not hand it over in time (0x89); it still has it.
    Busy,
    /// As many sessions exist as may (0x97).
    TooManySessions,
    /// The store could not give it (0x88).
    Store(StoreError),
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttachError::Superseded => f.write_str("a newer connection has the same client id"),
            AttachError::Busy => f.write_str("the older connection has not let go of the session"),
            AttachError::TooManySessions => {
                f.write_str("the limit of sessions is reached: see limits.sessions")
            }
            AttachError::Store(error) => error.fmt(f),
        }
    }
}

/// What the directory says to a CONNECT.
enum Found {
    New(Arc<Subscriber>),
    Absent(Arc<Subscriber>, Box<Absence>),
    Owned(Arc<Subscriber>, u64),
}

impl Router {
    /// Gives a connection its client's session: a new one, one that waited, or one that an older
    /// connection must hand over first.
    ///
    /// Cancel-safe only before its first await; connections run it to its end.
    pub async fn attach(
        &self,
        request: AttachRequest<'_>,
        dispatch: &RefCell<Dispatch>,
    ) -> Result<Attached, AttachError> {
        let found = self.claim(&request)?;
        let (subscriber, handed_over) = match found {
            Found::New(subscriber) => return Ok(self.begin(subscriber, &request, dispatch)),
            Found::Absent(subscriber, absence) => {
                let state = self.store.attach(request.client_id).get().await;
                let state = state.map_err(AttachError::Store)?;
                let will = absence.will.map(|(_, will)| will);
                let state = state.unwrap_or_default();
                (subscriber, HandedOver { state, will })
            }
            Found::Owned(subscriber, older) => {
                let handed_over = self.take_over(&request, &subscriber, older).await?;
                (subscriber, handed_over)
            }
        };
        self.pass_on_if_superseded(&request, &subscriber, handed_over)
            .and_then(|handed_over| {
                if request.clean_start {
                    self.restart(&request, subscriber, handed_over, dispatch)
                } else {
                    Ok(self.resume(subscriber, handed_over.state, &request, dispatch))
                }
            })
    }

    /// Makes the request's connection the owner, whatever was before.
    fn claim(&self, request: &AttachRequest<'_>) -> Result<Found, AttachError> {
        let mut shard = self.directory.lock(request.client_id);
        let Some(entry) = shard.entry() else {
            return self.create(&mut shard, request).map(Found::New);
        };
        let subscriber = entry.subscriber.clone();
        match std::mem::replace(&mut entry.owner, Owner::Connection(request.connection)) {
            Owner::Connection(older) => Ok(Found::Owned(subscriber, older)),
            Owner::Nobody(mut absence) => {
                self.directory.unschedule(&mut absence);
                Ok(Found::Absent(subscriber, absence))
            }
        }
    }

    fn create(
        &self,
        shard: &mut Shard<'_>,
        request: &AttachRequest<'_>,
    ) -> Result<Arc<Subscriber>, AttachError> {
        if self.directory.len() >= self.settings.maximum_sessions {
            return Err(AttachError::TooManySessions);
        }
        let number = self.next_number();
        let subscriber = Arc::new(Subscriber::new(
            number,
            request.client_id.clone(),
            request.worker,
        ));
        shard.insert(Entry {
            subscriber: subscriber.clone(),
            owner: Owner::Connection(request.connection),
        });
        Ok(subscriber)
    }

    async fn take_over(
        &self,
        request: &AttachRequest<'_>,
        subscriber: &Arc<Subscriber>,
        older: u64,
    ) -> Result<HandedOver, AttachError> {
        let (sender, receiver) = oneshot::channel();
        subscriber.control(Control::TakeOver(sender));
        match tokio::time::timeout(HAND_OVER, receiver).await {
            Ok(Ok(handed_over)) => Ok(handed_over),
            Ok(Err(_)) | Err(_) => {
                let mut shard = self.directory.lock(request.client_id);
                if let Some(entry) = shard.entry()
                    && matches!(entry.owner, Owner::Connection(owner) if owner == request.connection)
                {
                    entry.owner = Owner::Connection(older);
                }
                Err(AttachError::Busy)
            }
        }
    }

    /// If a newer connection claimed the session meanwhile, it gets it.
    fn pass_on_if_superseded(
        &self,
        request: &AttachRequest<'_>,
        subscriber: &Arc<Subscriber>,
        handed_over: HandedOver,
    ) -> Result<HandedOver, AttachError> {
        let mut shard = self.directory.lock(request.client_id);
        let owned = shard.entry().is_some_and(
            |entry| matches!(entry.owner, Owner::Connection(owner) if owner == request.connection),
        );
        if owned {
            return Ok(handed_over);
        }
        if let Some(taker) = subscriber.next_taker() {
            // A taker that gave up finds the session with nobody: it told the directory so.
            let _ = taker.send(handed_over);
        }
        Err(AttachError::Superseded)
    }

    fn begin(
        &self,
        subscriber: Arc<Subscriber>,
        request: &AttachRequest<'_>,
        dispatch: &RefCell<Dispatch>,
    ) -> Attached {
        dispatch.borrow().cells().add(Counter::SessionsCreated, 1);
        subscriber.set_persistent(request.persistent);
        subscriber.set_attached(true);
        Attached {
            subscriber,
            state: None,
        }
    }

    /// Continues a session; its mail moves with it.
    fn resume(
        &self,
        subscriber: Arc<Subscriber>,
        state: SessionState,
        request: &AttachRequest<'_>,
        dispatch: &RefCell<Dispatch>,
    ) -> Attached {
        let home = subscriber.home();
        if home != request.worker {
            subscriber.move_home(request.worker);
            let dispatch = dispatch.borrow();
            self.mailboxes
                .empty(home, &self.settings.queue, dispatch.cells());
        }
        subscriber.set_persistent(request.persistent);
        subscriber.set_attached(true);
        Attached {
            subscriber,
            state: Some(state),
        }
    }

    /// Ends the session and begins a new one in its place (Clean Start); its delayed will is due
    /// [MQTT-3.1.2-8].
    fn restart(
        &self,
        request: &AttachRequest<'_>,
        older: Arc<Subscriber>,
        HandedOver { state, will }: HandedOver,
        dispatch: &RefCell<Dispatch>,
    ) -> Result<Attached, AttachError> {
        let subscriber = {
            let mut shard = self.directory.lock(request.client_id);
            shard.remove();
            self.create(&mut shard, request)?
        };
        self.end(&older, state, &mut dispatch.borrow_mut());
        if let Some(will) = &will {
            self.publish_will(will, &older, &mut dispatch.borrow_mut());
        }
        Ok(self.begin(subscriber, request, dispatch))
    }
}
