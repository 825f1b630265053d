//! What leaves a queue undelivered: it expired, the session ended, or memory is short.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Duration;

use dunlin_session::Delivery;
use dunlin_time::Wall;
use parking_lot::MutexGuard;

use super::Subscriber;
use super::inbox::Inbox;

/// Among milliseconds of [`Wall`].
pub(super) const NEVER: u64 = u64::MAX;

impl Subscriber {
    /// Before this no message of the queue has expired; `None` if none does. As far as is known
    /// without its lock.
    pub(crate) fn expires(&self) -> Option<Wall> {
        let expires = self.expires.load(Ordering::Relaxed);
        (expires != NEVER).then_some(Wall(expires))
    }

    /// Takes what has expired out of the queue.
    pub(crate) fn take_expired(&self, now: Wall) -> VecDeque<Delivery> {
        let inbox = self.inbox.lock();
        let expiries = inbox.queue.iter().filter_map(|it| it.message.expires());
        let next = expiries.filter(|at| *at > now).min();
        let next = next.map(|at| at.max(now + BETWEEN_SEARCHES));
        self.expires
            .store(next.map_or(NEVER, |at| at.0), Ordering::Relaxed);
        let is_over = |delivery: &Delivery| delivery.message.expires().is_some_and(|at| at <= now);
        self.take_out(inbox, is_over)
    }

    /// Empties the queue of what no store has promised to keep: memory is short.
    pub(crate) fn drain(&self) -> VecDeque<Delivery> {
        self.take_out(self.inbox.lock(), |delivery| !delivery.stored)
    }

    /// Takes what `goes` out of the queue. Who waits for room is woken when that was most of it.
    fn take_out(
        &self,
        mut inbox: MutexGuard<'_, Inbox>,
        goes: impl Fn(&Delivery) -> bool,
    ) -> VecDeque<Delivery> {
        let queue = std::mem::take(&mut inbox.queue);
        let (gone, kept): (VecDeque<_>, VecDeque<_>) = queue.into_iter().partition(goes);
        let memory = gone.iter().map(|delivery| delivery.message.memory());
        inbox.bytes -= memory.sum::<usize>();
        inbox.queue = kept;
        if gone.is_empty() {
            return gone;
        }
        self.full.store(false, Ordering::Relaxed);
        let waiting = match inbox.queue.len() < gone.len() {
            true => self.drained(&mut inbox),
            false => Vec::new(),
        };
        drop(inbox);
        waiting.into_iter().for_each(Waker::wake);
        gone
    }

    #[inline]
    pub(super) fn note_expiry(&self, delivery: &Delivery) {
        if let Some(at) = delivery.message.expires()
            && at.0 < self.expires.load(Ordering::Relaxed)
        {
            self.expires.store(at.0, Ordering::Relaxed);
        }
    }

    /// The session ended: what was queued, and nothing is queued any more.
    pub(crate) fn end(&self) -> VecDeque<Delivery> {
        let mut inbox = self.inbox.lock();
        inbox.ended = true;
        inbox.bytes = 0;
        std::mem::take(&mut inbox.queue)
    }
}

/// Messages expire by the second: a full queue need not be searched more often.
const BETWEEN_SEARCHES: Duration = Duration::from_secs(1);
