//! What the lock of an inbox guards: the queue, and who is to be woken.

use std::collections::VecDeque;
use std::task::Waker;

use dunlin_session::Delivery;

use super::control::Control;
use crate::QueueLimits;

#[derive(Default)]
pub(super) struct Inbox {
    pub(super) queue: VecDeque<Delivery>,
    /// Of the queue and of what has a place in it.
    pub(super) bytes: usize,
    /// Deliveries that have a place and are being recorded.
    pub(super) reserved: u32,
    pub(super) rare: Option<Box<Rare>>,
    /// Present while a connection sleeps on this inbox.
    pub(super) waker: Option<Waker>,
    /// Whether a delivery wakes it, or only a word from outside.
    pub(super) wants_deliveries: bool,
    pub(super) attached: bool,
    /// The session is over: nothing is queued any more.
    pub(super) ended: bool,
}

/// What few inboxes have: boxed, so that an idle one is small.
#[derive(Default)]
pub(super) struct Rare {
    pub(super) control: VecDeque<Control>,
    /// Woken when the queue has drained below half its limit.
    pub(super) waiting_for_room: Vec<Waker>,
}

impl Inbox {
    /// Gives whom to wake.
    #[inline(always)]
    pub(super) fn push(&mut self, delivery: Delivery) -> Option<Waker> {
        if self.queue.capacity() == 0 {
            self.queue = VecDeque::with_capacity(BURST);
        }
        self.queue.push_back(delivery);
        match self.wants_deliveries {
            true => self.waker.take(),
            false => None,
        }
    }

    pub(super) fn take(&mut self, most: usize, bytes: usize, batch: &mut VecDeque<Delivery>) {
        if self.queue.len() <= most && self.bytes <= bytes && self.reserved == 0 {
            *batch = std::mem::take(&mut self.queue);
            self.bytes = 0;
            return;
        }
        let mut size = 0;
        while batch.len() < most && size < bytes {
            let Some(delivery) = self.queue.pop_front() else {
                break;
            };
            size += delivery.message.memory();
            batch.push_back(delivery);
        }
        self.bytes -= size;
    }

    pub(super) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    pub(super) fn has_control(&self) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| !rare.control.is_empty())
    }

    pub(super) fn next_control(&mut self) -> Option<Control> {
        self.rare.as_mut()?.control.pop_front()
    }

    pub(super) fn take_waiting(&mut self) -> Vec<Waker> {
        let rare = self.rare.as_mut();
        rare.map_or_else(Vec::new, |rare| std::mem::take(&mut rare.waiting_for_room))
    }

    pub(super) fn stop_waiting(&mut self, waker: &Waker) {
        if let Some(rare) = &mut self.rare {
            rare.waiting_for_room
                .retain(|other| !other.will_wake(waker));
        }
    }

    pub(super) fn is_crowded(&self, limits: &QueueLimits) -> bool {
        self.queue.len() * 2 > limits.messages || self.bytes * 2 > limits.bytes
    }
}

/// Room for so many deliveries is made at once: they come in bursts, and an inbox that was emptied
/// owns no memory.
const BURST: usize = 16;
