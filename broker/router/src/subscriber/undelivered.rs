//! What leaves a queue undelivered: it expired, the session ended, or memory is short.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Duration;

use dunlin_session::Delivery;
use dunlin_time::Wall;

use super::Subscriber;

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
        let mut inbox = self.inbox.lock();
        let queue = std::mem::take(&mut inbox.queue);
        let (expired, kept): (VecDeque<_>, VecDeque<_>) = queue
            .into_iter()
            .partition(|delivery| delivery.message.expires().is_some_and(|at| at <= now));
        let memory = expired.iter().map(|delivery| delivery.message.memory());
        inbox.bytes -= memory.sum::<usize>();
        let next = kept
            .iter()
            .filter_map(|delivery| delivery.message.expires());
        let next = next.min().map(|at| at.max(now + BETWEEN_SEARCHES));
        self.expires
            .store(next.map_or(NEVER, |at| at.0), Ordering::Relaxed);
        inbox.queue = kept;
        if expired.is_empty() {
            return expired;
        }
        self.full.store(false, Ordering::Relaxed);
        let waiting = match inbox.queue.len() < expired.len() {
            true => self.drained(&mut inbox),
            false => Vec::new(),
        };
        drop(inbox);
        waiting.into_iter().for_each(Waker::wake);
        expired
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

    /// Empties the queue of what no store has promised to keep: memory is short.
    pub(crate) fn drain(&self) -> VecDeque<Delivery> {
        let mut inbox = self.inbox.lock();
        let queue = std::mem::take(&mut inbox.queue);
        let (kept, dropped): (VecDeque<_>, VecDeque<_>) =
            queue.into_iter().partition(|delivery| delivery.stored);
        let memory = dropped.iter().map(|delivery| delivery.message.memory());
        inbox.bytes -= memory.sum::<usize>();
        inbox.queue = kept;
        self.full.store(false, Ordering::Relaxed);
        let waiting = self.drained(&mut inbox);
        drop(inbox);
        waiting.into_iter().for_each(Waker::wake);
        dropped
    }
}

/// Messages expire by the second: a full queue need not be searched more often.
const BETWEEN_SEARCHES: Duration = Duration::from_secs(1);
