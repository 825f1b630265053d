//! A place in a queue: one that is full of what has expired has room all the same.

use dunlin_metrics::{Cells, Counter};
use dunlin_session::Delivery;

use crate::ports::{Change, Urgency};
use crate::{Pushed, Router, Subscriber};

impl Router {
    /// Queues a delivery; see [`Subscriber::push`].
    #[inline]
    pub(crate) fn push(
        &self,
        subscriber: &Subscriber,
        delivery: Delivery,
        cells: &Cells,
    ) -> Pushed {
        let limits = &self.settings.queue;
        match subscriber.push(delivery, limits) {
            Ok(pushed) => pushed,
            Err(delivery) if self.make_room(subscriber, cells) => {
                let pushed = subscriber.push(delivery, limits);
                pushed.unwrap_or(Pushed::Full)
            }
            Err(_) => Pushed::Full,
        }
    }

    /// Gives a delivery a place in a queue; see [`Subscriber::reserve`].
    pub(crate) fn reserve(
        &self,
        subscriber: &Subscriber,
        delivery: &Delivery,
        cells: &Cells,
    ) -> Pushed {
        let limits = &self.settings.queue;
        match subscriber.reserve(delivery, limits) {
            Pushed::Full if self.make_room(subscriber, cells) => {
                subscriber.reserve(delivery, limits)
            }
            pushed => pushed,
        }
    }

    /// Drops what has expired in a full queue; whether there was any.
    #[cold]
    pub(crate) fn make_room(&self, subscriber: &Subscriber, cells: &Cells) -> bool {
        if subscriber.expires().is_none_or(|at| at > self.now().wall) {
            return false;
        }
        let expired = subscriber.take_expired(self.now().wall);
        cells.add(Counter::DroppedExpired, expired.len() as u64);
        let session = subscriber.number;
        let stored = expired.iter().filter(|delivery| delivery.stored);
        let removed: Vec<_> = stored
            .map(|delivery| Change::Removed { session, delivery })
            .collect();
        if !removed.is_empty() {
            self.store.record(&removed, Urgency::Later);
        }
        !expired.is_empty()
    }
}
