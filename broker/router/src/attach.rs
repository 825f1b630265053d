//! A client comes: its session is found, taken over, or begun.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dunlin_metrics::Counter;
use dunlin_session::SessionState;
use dunlin_time::Monotonic;
use tokio::sync::oneshot;

use crate::directory::{Absence, Entry, Owner, Shard};
use crate::ports::{Change, Commit, SessionTerms, StoreError};
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
    /// How the session is to end.
    pub terms: SessionTerms<'a>,
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
    /// What must be committed before the client is told.
    pub commit: Commit,
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
    Owned(Arc<Subscriber>, oneshot::Receiver<HandedOver>),
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
        if request.terms.expiry > 0
            && let Some(why) = self.store.stuck()
        {
            return Err(AttachError::Store(why));
        }
        let (subscriber, handed_over) = match self.claim(&request)? {
            Found::New(subscriber) => return Ok(self.begin(subscriber, &request, dispatch)),
            Found::Absent(subscriber, mut absence) => {
                // It may be about to be published, or the session to end.
                let now = self.now().monotonic;
                let due = absence.will.take_if(|(at, _)| *at <= now);
                if let Some((_, will)) = due {
                    self.publish_will(&will, &subscriber, &mut dispatch.borrow_mut());
                }
                let handed_over = self.fetch(&subscriber, absence, now).await?;
                (subscriber, handed_over)
            }
            Found::Owned(subscriber, receiver) => (subscriber, take_over(receiver).await?),
        };
        self.go_on(&request, subscriber, handed_over, dispatch)
    }

    /// Makes the request's connection the owner, whatever was before.
    fn claim(&self, request: &AttachRequest<'_>) -> Result<Found, AttachError> {
        let mut shard = self.directory.lock(request.client_id);
        let Some(entry) = shard.entry() else {
            return self.create(&mut shard, request).map(Found::New);
        };
        let subscriber = entry.subscriber.clone();
        match std::mem::replace(&mut entry.owner, Owner::Connection) {
            Owner::Connection => {
                let (sender, receiver) = oneshot::channel();
                subscriber.control(Control::TakeOver(sender));
                Ok(Found::Owned(subscriber, receiver))
            }
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
        let subscriber = self.new_subscriber(request);
        shard.insert(Entry {
            subscriber: subscriber.clone(),
            owner: Owner::Connection,
        });
        Ok(subscriber)
    }

    fn new_subscriber(&self, request: &AttachRequest<'_>) -> Arc<Subscriber> {
        Arc::new(Subscriber::new(
            self.next_number(),
            request.client_id.clone(),
            request.worker,
            self.durable && request.terms.expiry > 0,
        ))
    }

    /// Takes a session that waited for its client out of the store.
    async fn fetch(
        &self,
        subscriber: &Arc<Subscriber>,
        mut absence: Box<Absence>,
        now: Monotonic,
    ) -> Result<HandedOver, AttachError> {
        match self.store.attach(&subscriber.client_id).get().await {
            Ok(state) => Ok(HandedOver {
                state: state.unwrap_or_default(),
                will: absence.will.map(|(_, will)| will),
                ends: absence.expires.is_some_and(|at| at <= now),
            }),
            Err(error) => {
                let mut shard = self.directory.lock(&subscriber.client_id);
                // Whoever waits for us fails as we do.
                while subscriber.next_taker().is_some() {}
                if let Some(entry) = shard.entry() {
                    self.directory.schedule(subscriber, &mut absence);
                    entry.owner = Owner::Nobody(absence);
                }
                Err(AttachError::Store(error))
            }
        }
    }

    /// Continues a session or puts a new one in its place; if a newer connection claimed it
    /// meanwhile, that gets it.
    fn go_on(
        &self,
        request: &AttachRequest<'_>,
        subscriber: Arc<Subscriber>,
        handed_over: HandedOver,
        dispatch: &RefCell<Dispatch>,
    ) -> Result<Attached, AttachError> {
        let mut shard = self.directory.lock(request.client_id);
        let Some(handed_over) = subscriber.pass_on(handed_over) else {
            return Err(AttachError::Superseded);
        };
        if !request.clean_start && !handed_over.ends {
            drop(shard);
            return Ok(self.resume(subscriber, handed_over.state, request, dispatch));
        }
        let new = self.new_subscriber(request);
        if let Some(entry) = shard.entry() {
            entry.subscriber = new.clone();
        }
        drop(shard);
        self.end_with_will(&subscriber, handed_over, &mut dispatch.borrow_mut());
        let mut attached = self.begin(new, request, dispatch);
        if subscriber.is_stored() {
            attached.commit = self.store.recorded();
        }
        Ok(attached)
    }

    fn begin(
        &self,
        subscriber: Arc<Subscriber>,
        request: &AttachRequest<'_>,
        dispatch: &RefCell<Dispatch>,
    ) -> Attached {
        dispatch.borrow().cells().add(Counter::SessionsCreated, 1);
        let change = Change::Began {
            session: subscriber.number,
            client_id: &subscriber.client_id,
            terms: request.terms,
        };
        let commit = self.record_if_stored(&subscriber, change);
        subscriber.set_persistent(request.terms.expiry > 0);
        subscriber.set_attached(true);
        Attached {
            subscriber,
            state: None,
            commit,
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
            self.mailboxes.empty(home, self, dispatch.cells());
        }
        let change = Change::Resumed {
            session: subscriber.number,
            terms: request.terms,
        };
        let commit = self.record_if_stored(&subscriber, change);
        subscriber.set_persistent(request.terms.expiry > 0);
        subscriber.set_attached(true);
        Attached {
            subscriber,
            state: Some(state),
            commit,
        }
    }
}

/// Waits for an older connection to hand the session over.
async fn take_over(mut receiver: oneshot::Receiver<HandedOver>) -> Result<HandedOver, AttachError> {
    if let Ok(Ok(handed_over)) = tokio::time::timeout(HAND_OVER, &mut receiver).await {
        return Ok(handed_over);
    }
    // What came at the last moment is ours; from here on nothing comes.
    receiver.close();
    receiver.try_recv().map_err(|_| AttachError::Busy)
}
