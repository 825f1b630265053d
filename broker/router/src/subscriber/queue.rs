//! What goes into the queue of a session and what its connection takes out of it.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::task::Waker;

use dunlin_codec::Qos;
use dunlin_session::Delivery;

use super::Subscriber;
use super::inbox::Inbox;
use super::undelivered::NEVER;
use crate::QueueLimits;

/// What became of a pushed delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is queued.
    Queued,
    /// It is queued, the queue is more than half full, and who fills it should wait.
    Crowded,
    /// The queue is at its limit, or the session has ended: dropped for this session.
    Full,
    /// QoS 0 while no connection is there: dropped, as the standard allows.
    Away,
}

impl Pushed {
    /// Whether the queue has it.
    pub fn is_taken(self) -> bool {
        matches!(self, Pushed::Queued | Pushed::Crowded)
    }
}

/// What [`Subscriber::take`] leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Words from outside wait.
    pub control: bool,
    /// Deliveries wait.
    pub more: bool,
}

impl Subscriber {
    /// Queues a delivery and wakes the connection if it sleeps. Gives it back if the queue is full.
    ///
    /// # Errors
    /// The delivery, which found no room.
    #[inline]
    pub fn push(&self, delivery: Delivery, limits: &QueueLimits) -> Result<Pushed, Delivery> {
        let mut inbox = self.inbox.lock();
        match self.refuse(&inbox, &delivery, limits) {
            None => {}
            Some(Pushed::Full) => return Err(delivery),
            Some(refused) => return Ok(refused),
        }
        inbox.bytes += delivery.message.memory();
        self.note_expiry(&delivery);
        let waker = inbox.push(delivery);
        let pushed = self.pushed(&inbox, limits);
        drop(inbox);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(pushed)
    }

    /// Gives a delivery a place in the queue, to be taken by [`Subscriber::push_reserved`] once it
    /// is recorded: what becomes of a message is recorded after the message.
    pub(crate) fn reserve(&self, delivery: &Delivery, limits: &QueueLimits) -> Pushed {
        let mut inbox = self.inbox.lock();
        if let Some(refused) = self.refuse(&inbox, delivery, limits) {
            return refused;
        }
        inbox.bytes += delivery.message.memory();
        inbox.reserved += 1;
        self.pushed(&inbox, limits)
    }

    /// Queues a delivery at its reserved place; gives it back if the session has ended meanwhile.
    pub(crate) fn push_reserved(&self, delivery: Delivery) -> Option<Delivery> {
        let mut inbox = self.inbox.lock();
        if inbox.ended {
            return Some(delivery);
        }
        inbox.reserved -= 1;
        self.note_expiry(&delivery);
        let waker = inbox.push(delivery);
        drop(inbox);
        if let Some(waker) = waker {
            waker.wake();
        }
        None
    }

    /// Moves up to `most` deliveries, of about `bytes` together, to `batch`, which is empty. Without
    /// any, `waker` is kept, and woken by the next push.
    ///
    /// With `most` zero only word from outside wakes.
    pub fn take(
        &self,
        most: usize,
        bytes: usize,
        batch: &mut VecDeque<Delivery>,
        waker: &Waker,
    ) -> Taken {
        let mut inbox = self.inbox.lock();
        inbox.take(most, bytes, batch);
        let taken = batch.len();
        if taken > 0 && self.is_full() {
            self.full.store(false, Ordering::Relaxed);
        }
        if inbox.queue.is_empty() && inbox.queue.capacity() > 0 {
            inbox.queue = VecDeque::new();
        }
        let is_empty = inbox.queue.is_empty();
        if is_empty && self.expires().is_some() {
            self.expires.store(NEVER, Ordering::Relaxed);
        }
        if !inbox.has_control() && (is_empty || taken == 0) {
            inbox.wants_deliveries = most > 0;
            match &mut inbox.waker {
                Some(kept) => kept.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
        let waiting = match is_empty || inbox.queue.len() < taken {
            true => self.drained(&mut inbox),
            false => Vec::new(),
        };
        let taken = Taken {
            control: inbox.has_control(),
            more: !is_empty,
        };
        drop(inbox);
        waiting.into_iter().for_each(Waker::wake);
        taken
    }

    /// Puts a delivery back at the front: the window closed before it.
    pub fn put_back(&self, deliveries: impl DoubleEndedIterator<Item = Delivery>) {
        let mut inbox = self.inbox.lock();
        inbox.queue.reserve_exact(deliveries.size_hint().0);
        for delivery in deliveries.rev() {
            inbox.bytes += delivery.message.memory();
            self.note_expiry(&delivery);
            inbox.queue.push_front(delivery);
        }
    }

    #[inline]
    fn pushed(&self, inbox: &Inbox, limits: &QueueLimits) -> Pushed {
        match inbox.is_crowded(limits) {
            true => self.crowded(),
            false => Pushed::Queued,
        }
    }

    #[inline]
    fn refuse(&self, inbox: &Inbox, delivery: &Delivery, limits: &QueueLimits) -> Option<Pushed> {
        if !inbox.attached && delivery.qos == Qos::AtMostOnce && !limits.keep_qos_0 {
            return Some(Pushed::Away);
        }
        if inbox.ended {
            return Some(Pushed::Full);
        }
        let waiting = inbox.queue.len() + inbox.reserved as usize;
        let bytes = inbox.bytes + delivery.message.memory();
        // A message larger than the whole limit still passes through an empty queue.
        if (waiting >= limits.messages || bytes > limits.bytes) && waiting > 0 {
            self.full.store(true, Ordering::Relaxed);
            return Some(Pushed::Full);
        }
        None
    }
}
