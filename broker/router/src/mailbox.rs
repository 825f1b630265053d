//! Deliveries from one thread to the sessions of another: one queue for each pair of threads, and
//! at most one wake until it is emptied.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};

use dunlin_metrics::{Cells, Counter};
use dunlin_session::Delivery;
use parking_lot::Mutex;

use crate::{Pushed, Router, Subscriber};

pub(crate) struct Mailboxes {
    receivers: Vec<Receiver>,
}

struct Receiver {
    /// By sender: the workers, then one for all other threads.
    // Locked by its sender for a push, by whoever empties it for as long as that takes.
    lanes: Vec<Mutex<Lane>>,
    /// Whether the receiver was told that there is mail.
    rung: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// Deliveries on their way in one lane: so many come of one turn only when its receiver is stuck.
const LANE_MAX: usize = 65_536;

/// What became of a delivery given to the mail.
pub(crate) enum Mailed {
    /// The session is on the sender's thread, who delivers.
    Here,
    /// It is on its way to this worker, who is to be rung.
    To(u16),
    /// The session's queue is full, or the way to it is.
    Full,
}

type Lane = Vec<(Arc<Subscriber>, Delivery)>;

impl Mailboxes {
    pub fn new(workers: u16) -> Self {
        let lanes = || (0..=workers).map(|_| Mutex::default()).collect();
        let receiver = |_| Receiver {
            lanes: lanes(),
            rung: AtomicBool::new(false),
            waker: Mutex::default(),
        };
        Mailboxes {
            receivers: (0..workers).map(receiver).collect(),
        }
    }

    /// Puts a delivery on the way from thread `from` to its session's home.
    pub fn send(&self, from: u16, subscriber: &Arc<Subscriber>, delivery: &Delivery) -> Mailed {
        loop {
            let home = subscriber.home();
            if home == from {
                return Mailed::Here;
            }
            let mut lane = self.receivers[home as usize].lanes[from as usize].lock();
            // A session that moved meanwhile has had this lane emptied: later mail takes the new one.
            if subscriber.home() != home {
                continue;
            }
            if subscriber.is_full() || lane.len() >= LANE_MAX {
                return Mailed::Full;
            }
            lane.push((subscriber.clone(), delivery.clone()));
            return Mailed::To(home);
        }
    }

    /// Wakes worker `to`, once until it looks.
    pub fn ring(&self, to: u16) {
        let receiver = &self.receivers[to as usize];
        if !receiver.rung.swap(true, Ordering::AcqRel)
            && let Some(waker) = receiver.waker.lock().take()
        {
            waker.wake();
        }
    }

    /// Ready when worker `to` has been rung since it last looked.
    pub fn poll_rung(&self, to: u16, waker: &Waker) -> Poll<()> {
        let receiver = &self.receivers[to as usize];
        if receiver.rung.swap(false, Ordering::AcqRel) {
            return Poll::Ready(());
        }
        *receiver.waker.lock() = Some(waker.clone());
        match receiver.rung.swap(false, Ordering::AcqRel) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Empties the mailboxes of worker `to` into the inboxes.
    pub fn empty(&self, to: u16, router: &Router, cells: &Cells) {
        let mut full = 0;
        for lane in &self.receivers[to as usize].lanes {
            let mut lane = lane.lock();
            for (subscriber, delivery) in lane.drain(..) {
                full += u64::from(router.push(&subscriber, delivery, cells) == Pushed::Full);
            }
            lane.shrink_to(1024);
        }
        if full > 0 {
            cells.add(Counter::DroppedQueueFull, full);
        }
    }
}
