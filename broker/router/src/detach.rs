//! A client goes: its session waits, expires or ends, and its will is published.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use dunlin_metrics::Counter;
use dunlin_session::{SessionState, Will};
use dunlin_time::{Now, Wall};
use dunlin_topic::{Cursor, TopicFilter};

use crate::directory::{Absence, Owner};
use crate::ports::{Change, Urgency};
use crate::{Dispatch, HandedOver, Origin, Router, Subscriber};

/// How a connection ended, for its session.
#[derive(Debug)]
pub struct Departure {
    /// What the session has open.
    pub state: SessionState,
    /// Seconds that the session goes on; `u32::MAX` is for ever.
    pub session_expiry: u32,
    /// A will that is to be published, and that the access rules allow.
    pub will: Option<Will>,
}

impl Router {
    /// Ends a connection's ownership of its session: a newer connection gets it, or it waits for
    /// its client, or it ends.
    pub async fn detach(
        &self,
        subscriber: &Arc<Subscriber>,
        departure: Departure,
        now: Now,
        dispatch: &RefCell<Dispatch>,
    ) {
        subscriber.set_attached(false);
        let Departure {
            state,
            session_expiry,
            will,
        } = departure;
        let (at_once, delayed) = match will {
            Some(will) if will.delay.is_zero() => (Some(will), None),
            other => (None, other),
        };
        if let Some(will) = &at_once {
            self.publish_will(will, subscriber, &mut dispatch.borrow_mut());
        }
        let change = Change::Left {
            session: subscriber.number,
            at: now.wall,
            expiry: session_expiry,
            will: delayed.is_some(),
        };
        self.record_if_stored(subscriber, change);
        let handed_over = HandedOver {
            state,
            will: delayed,
            ends: session_expiry == 0,
        };
        match handed_over.ends {
            true => self.leave_for_good(subscriber, handed_over, &mut dispatch.borrow_mut()),
            false => {
                self.leave_waiting(subscriber, handed_over, session_expiry, now)
                    .await;
            }
        }
    }

    /// The state is kept before the directory says that nobody has the session, so that whoever
    /// attaches finds it.
    async fn leave_waiting(
        &self,
        subscriber: &Arc<Subscriber>,
        handed_over: HandedOver,
        session_expiry: u32,
        now: Now,
    ) {
        let mut left = subscriber.pass_on(handed_over);
        while let Some(HandedOver { state, will, .. }) = left {
            if let Err(error) = self.store.detach(&subscriber.client_id, state).get().await {
                tracing::error!(client_id = %subscriber.client_id, %error, "session not kept");
            }
            {
                let mut shard = self.directory.lock(&subscriber.client_id);
                if !subscriber.is_claimed() {
                    if let Some(entry) = shard.entry() {
                        let mut absence = absence(session_expiry, will, now.wall, now);
                        self.directory.schedule(subscriber, &mut absence);
                        entry.owner = Owner::Nobody(Box::new(absence));
                    }
                    return;
                }
            }
            // Claimed meanwhile: the taker waits for what the store now has.
            left = subscriber.pass_on(HandedOver {
                state: self.take_kept(subscriber).await,
                will,
                ends: false,
            });
        }
    }

    async fn take_kept(&self, subscriber: &Subscriber) -> SessionState {
        let state = self.store.attach(&subscriber.client_id).get().await;
        state.ok().flatten().unwrap_or_default()
    }

    /// Ends a session, unless a newer connection waits for it: then that ends it.
    fn leave_for_good(
        &self,
        subscriber: &Arc<Subscriber>,
        handed_over: HandedOver,
        dispatch: &mut Dispatch,
    ) {
        let left = {
            let mut shard = self.directory.lock(&subscriber.client_id);
            let left = subscriber.pass_on(handed_over);
            if left.is_some() {
                shard.remove();
            }
            left
        };
        if let Some(handed_over) = left {
            self.end_with_will(subscriber, handed_over, dispatch);
        }
    }

    /// Ends a session that is no longer in the directory; its delayed will is due
    /// [MQTT-3.1.2-8].
    pub(crate) fn end_with_will(
        &self,
        subscriber: &Arc<Subscriber>,
        HandedOver { state, will, .. }: HandedOver,
        dispatch: &mut Dispatch,
    ) {
        // First: the end of a stored session is the end of its will.
        if let Some(will) = &will {
            self.publish_will(will, subscriber, dispatch);
        }
        self.end(subscriber, state, dispatch);
    }

    /// Its subscriptions and its queue end.
    fn end(&self, subscriber: &Arc<Subscriber>, mut state: SessionState, dispatch: &mut Dispatch) {
        self.unsubscribe_all(subscriber, dispatch.cells());
        // Mail that is still on its way goes to other members too.
        subscriber.refuse_mail();
        self.mailboxes
            .empty(subscriber.home(), self, dispatch.cells());
        let unacknowledged = state.outbound.take_shared();
        let ended = subscriber.is_stored().then_some(subscriber.number);
        dispatch.redistribute(unacknowledged.into_iter().chain(subscriber.end()), ended);
        dispatch.cells().add(Counter::SessionsEnded, 1);
    }

    pub(crate) fn publish_will(
        &self,
        will: &Will,
        subscriber: &Subscriber,
        dispatch: &mut Dispatch,
    ) {
        let message = will.message(subscriber.number, &will.topic, self.now().wall);
        let origin = match subscriber.is_stored() {
            true => Origin::Will(subscriber.number),
            false => Origin::Anyone,
        };
        dispatch.publish_message(&message, origin);
        dispatch.cells().add(Counter::WillsPublished, 1);
    }

    /// Does what is due for sessions without a connection: delayed wills and session expiry.
    /// Called every now and then by one thread.
    pub async fn run_due(&self, now: Now, dispatch: &RefCell<Dispatch>) {
        let mut due = Vec::new();
        self.directory
            .timers
            .lock()
            .advance(now.monotonic, &mut due);
        for subscriber in due {
            self.run_due_session(&subscriber, now, dispatch).await;
        }
    }

    async fn run_due_session(
        &self,
        subscriber: &Arc<Subscriber>,
        now: Now,
        dispatch: &RefCell<Dispatch>,
    ) {
        let (will, expired) = {
            let mut shard = self.directory.lock(&subscriber.client_id);
            let Some(entry) = shard.entry() else {
                return;
            };
            let Owner::Nobody(absence) = &mut entry.owner else {
                return;
            };
            if !Arc::ptr_eq(&entry.subscriber, subscriber) {
                return;
            }
            let expired = absence.expires.is_some_and(|at| at <= now.monotonic);
            let will = absence
                .will
                .take_if(|(due, _)| expired || *due <= now.monotonic);
            match expired {
                // The store first: whoever connects meanwhile waits for the end.
                true => entry.owner = Owner::Connection,
                false => self.directory.schedule(subscriber, absence),
            }
            (will, expired)
        };
        if let Some((_, will)) = &will {
            self.publish_will(will, subscriber, &mut dispatch.borrow_mut());
        }
        if expired {
            let ended = HandedOver {
                state: self.take_kept(subscriber).await,
                will: None,
                ends: true,
            };
            let mut dispatch = dispatch.borrow_mut();
            self.leave_for_good(subscriber, ended, &mut dispatch);
            dispatch.cells().add(Counter::SessionsExpired, 1);
        }
    }

    /// One step of removing expired retained messages; give the answer to the next call.
    pub fn sweep_retained(&self, now: Now, from: Option<Cursor>) -> Option<Cursor> {
        let everything = TopicFilter::new("#").ok()?;
        let mut expired = Vec::new();
        let mut retained = self.retained.lock();
        let gone = |topic: &str| expired.push(topic.to_owned());
        let next = retained.sweep(now.wall, everything, from.as_ref(), gone);
        if self.durable && !expired.is_empty() {
            let gone = expired.iter().map(|topic| Change::RetainedGone { topic });
            let changes: Vec<_> = gone.collect();
            self.store.record(&changes, Urgency::Later);
        }
        next
    }
}

/// What is due for a session whose client left at `left`, a time that may be of an earlier process.
pub(crate) fn absence(session_expiry: u32, will: Option<Will>, left: Wall, now: Now) -> Absence {
    let seconds = Duration::from_secs(session_expiry.into());
    let since = now.wall - left;
    let after = |delay: Duration| now.monotonic + delay.saturating_sub(since);
    let due = |will: &Will| after(will.delay.min(seconds));
    Absence {
        expires: (session_expiry != u32::MAX).then(|| after(seconds)),
        will: will.map(|will| (due(&will), will)),
        timer: None,
    }
}
