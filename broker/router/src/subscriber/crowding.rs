//! How a queue of which more than half is taken is treated by those who fill it.

use std::sync::atomic::Ordering;
use std::task::Waker;

use super::inbox::Inbox;
use super::{Pushed, Subscriber};
use crate::QueueLimits;

/// It has room.
pub(super) const NONE: u8 = 0;
/// They wait for room.
pub(super) const WAITED_FOR: u8 = 1;
/// One has waited for nothing: until it has drained nobody waits.
pub(super) const GIVEN_UP: u8 = 2;

impl Subscriber {
    /// Wakes `waker` once when the queue has room again; whether it must wait at all. Whoever ends
    /// while it waits says so: [`Subscriber::stop_waiting`].
    pub fn wait_for_room(&self, limits: &QueueLimits, waker: &Waker) -> bool {
        let mut inbox = self.inbox.lock();
        let wait = inbox.attached && inbox.is_crowded(limits) && self.is_waited_for();
        if wait {
            let waiting = &mut inbox.rare().waiting_for_room;
            if !waiting.iter().any(|other| other.will_wake(waker)) {
                waiting.push(waker.clone());
            }
        } else {
            inbox.stop_waiting(waker);
        }
        wait
    }

    /// Nobody waits for room any more until the queue has drained.
    pub fn give_up(&self) {
        let mut inbox = self.inbox.lock();
        self.crowding.store(GIVEN_UP, Ordering::Relaxed);
        let waiting = inbox.take_waiting();
        drop(inbox);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Forgets a waker that waits for room.
    pub fn stop_waiting(&self, waker: &Waker) {
        self.inbox.lock().stop_waiting(waker);
    }

    /// Whether who fills the queue should wait, as far as is known without its lock.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.crowding.load(Ordering::Relaxed) == WAITED_FOR
    }

    #[cold]
    pub(super) fn crowded(&self) -> Pushed {
        match self.crowding.load(Ordering::Relaxed) {
            GIVEN_UP => Pushed::Queued,
            _ => {
                self.crowding.store(WAITED_FOR, Ordering::Relaxed);
                Pushed::Crowded
            }
        }
    }

    /// Who waits for room.
    pub(super) fn drained(&self, inbox: &mut Inbox) -> Vec<Waker> {
        if self.crowding.load(Ordering::Relaxed) != NONE {
            self.crowding.store(NONE, Ordering::Relaxed);
        }
        inbox.take_waiting()
    }
}
