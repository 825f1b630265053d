//! From the image of the log into the router.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::mpsc::{SyncSender, sync_channel};

use dunlin_metrics::Cells;
use dunlin_router::ports::{Change, Store, Urgency};
use dunlin_router::{RestoredSession, RestoredSubscription, Router};
use dunlin_session::{Delivery, Outbound, SessionState};
use dunlin_time::{Now, Wall};

use crate::Disk;
use crate::image::{Entry, Flow, Image, Session};

/// What came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Sessions.
    pub sessions: usize,
    /// Messages in their queues, each counted in each.
    pub queued: usize,
    /// Retained messages.
    pub retained: usize,
}

impl Disk {
    /// Puts all that lives into the router, before its first connection. Sessions that had a
    /// connection have lost it now.
    pub fn restore(&self, router: &Router, now: Now, cells: &Cells) -> Restored {
        let state = self.state.lock();
        let image = &state.image;
        router.skip_numbers(image.last_session);
        for number in image.retained.values() {
            if let Some(message) = image.message(*number)
                && message.expires().is_none_or(|at| at > now.wall)
            {
                router.restore_retained(message);
            }
        }
        let queued = std::thread::scope(|scope| {
            let (give, take) = sync_channel(CHUNKS);
            // Half of the work is to find the messages of the queues.
            scope.spawn(move || find_sessions(image, now, &give));
            let mut queued = 0;
            for (session, mut state) in take.iter().flatten() {
                queued += session.queue.len() + state.outbound.unfinished();
                let client_id = session.client_id.clone();
                router.restore(session, &mut state, now, cells);
                if state.outbound.unfinished() > 0 || !state.received.is_empty() {
                    // It answers at once.
                    let _ = self.open.detach(&client_id, state);
                }
            }
            queued
        });
        let restored = Restored {
            sessions: image.sessions.len(),
            queued,
            retained: image.retained.len(),
        };
        drop(state);
        self.leave_all(now.wall);
        restored
    }

    /// Connections that a crash took away have ended now, and not again at every start: else the
    /// time of their sessions and wills would never be up.
    fn leave_all(&self, now: Wall) {
        let left: Vec<_> = {
            let state = self.state.lock();
            let sessions = state.image.sessions.iter();
            let attached = sessions.filter(|(_, session)| session.left.is_none());
            let leave = |(number, session): (&u64, &Session)| Change::Left {
                session: *number,
                at: now,
                expiry: session.expiry,
                will: session.will.is_some(),
            };
            attached.map(leave).collect()
        };
        for change in left {
            self.record(&[change], Urgency::Later);
        }
    }
}

type Found = (RestoredSession, SessionState);

/// Sessions that are handed over at once, and how often before the taker has come to them.
const CHUNK: usize = 256;
const CHUNKS: usize = 4;

/// All sessions, in the order of their numbers: the same files make the same broker.
fn find_sessions(image: &Image, now: Now, give: &SyncSender<Vec<Found>>) {
    let mut sessions = image.sessions.iter();
    loop {
        let chunk = sessions.by_ref().take(CHUNK);
        let chunk: Vec<_> = chunk
            .map(|(number, session)| find(image, *number, session, now))
            .collect();
        if chunk.is_empty() || give.send(chunk).is_err() {
            return;
        }
    }
}

fn find(image: &Image, number: u64, session: &Session, now: Now) -> Found {
    let (queue, state) = divide(image, session);
    let subscriptions = session.subscriptions.iter();
    let restored = RestoredSession {
        number,
        client_id: (*session.client_id).into(),
        left: session.left.unwrap_or(now.wall),
        expiry: session.expiry,
        will: session.will.as_deref().cloned(),
        subscriptions: subscriptions
            .map(|(filter, subscribed)| RestoredSubscription {
                filter: filter.clone(),
                options: subscribed.options,
                identifier: subscribed.identifier,
            })
            .collect(),
        queue,
    };
    (restored, state)
}

/// What waits, and what was sent under a packet id that the client may know.
fn divide(image: &Image, session: &Session) -> (Vec<Delivery>, SessionState) {
    let mut queue = Vec::new();
    let mut sent = Vec::new();
    for entry in &session.queue {
        match entry.flow {
            Flow::Waits => queue.extend(delivery(image, entry)),
            Flow::Sent(id) => sent.push((id, delivery(image, entry))),
            Flow::Taken(id) => sent.push((id, None)),
        }
    }
    queue.shrink_to_fit();
    let state = SessionState {
        outbound: Outbound::restore(sent),
        received: VecDeque::clone(&session.received),
    };
    (queue, state)
}

fn delivery(image: &Image, entry: &Entry) -> Option<Delivery> {
    Some(Delivery {
        message: image.message(entry.message)?.clone(),
        identifiers: entry.identifiers.clone(),
        // The router knows which.
        shared: entry.shared.then_some(NonZeroU32::MAX),
        qos: entry.qos,
        retain: entry.retain,
        unchecked: true,
        stored: true,
    })
}

impl Image {
    fn message(&self, number: u64) -> Option<&dunlin_session::Message> {
        self.messages.get(&number)?.message.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use dunlin_log::{MemoryDisk, Options};
    use dunlin_metrics::Registry;
    use dunlin_router::Settings;
    use dunlin_router::ports::SessionTerms;
    use dunlin_time::{Clock, Hands, Wall};

    use super::*;

    /// Starts a process, and gives the sessions that it finds after this time.
    fn start(files: &MemoryDisk, hands: &'static Hands, after: Duration) -> usize {
        let disk = Disk::open(Arc::new(files.clone()), Options::default(), &mut |_| ());
        let disk = Arc::new(disk.unwrap());
        let (clock, metrics) = (Clock::by_hand(hands), Arc::new(Registry::default()));
        let router = Router::new(Settings::default(), clock, disk.clone(), metrics.clone());
        hands.advance(after);
        disk.restore(&router, clock.now(), &metrics.cells());
        disk.commit().unwrap();
        hands.advance(Duration::from_secs(1));
        let dispatch = router.dispatch(None, metrics.cells()).into();
        let mut due = Box::pin(router.run_due(clock.now(), &dispatch));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(due.as_mut().poll(&mut context).is_ready());
        router.sessions()
    }

    #[test]
    fn a_session_whose_connection_was_lost_in_a_crash_expires_however_often_it_crashes_again() {
        let files = MemoryDisk::default();
        let hands: &'static Hands = Box::leak(Box::new(Hands::at(Wall(1_000_000))));
        let disk = Disk::open(Arc::new(files.clone()), Options::default(), &mut |_| ()).unwrap();
        let began = Change::Began {
            session: 1,
            client_id: "client",
            terms: SessionTerms {
                expiry: 60,
                will: None,
            },
        };
        disk.record(&[began], Urgency::Now);
        disk.commit().unwrap();
        drop(disk);
        let starts =
            [0, 25, 25, 25].map(|seconds| start(&files, hands, Duration::from_secs(seconds)));
        assert_eq!(starts, [1, 1, 1, 0]);
    }
}
