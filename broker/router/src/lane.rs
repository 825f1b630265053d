//! A message through a thread: to all queues at once, and into the store before.

use std::sync::Arc;

use dunlin_codec::Qos;
use dunlin_metrics::{Cells, Counter};
use dunlin_session::{Delivery, Message};
use dunlin_topic::{Matches, TopicName};

use crate::ports::{Change, Queued, Retained, Urgency};
use crate::publication::{Origin, Publication, Published};
use crate::{Router, Subscriber, Target};

/// What a thread changes while it queues a message.
pub(crate) struct Lane {
    /// The worker's number; threads that own no connections share the number after the last.
    pub thread: u16,
    pub cells: Arc<Cells>,
    /// Workers that got mail since the last [`Dispatch::flush`](crate::Dispatch::flush).
    pub to_ring: Vec<u16>,
    /// Deliveries to be recorded, with a place in the queues of ...
    pub queued: Vec<Queued>,
    /// ... these.
    pub queued_to: Vec<Arc<Subscriber>>,
    /// Deliveries by shared subscriptions that came too late for a session: for other members.
    pub left: Vec<Delivery>,
}

impl Lane {
    pub fn new(thread: u16, cells: Arc<Cells>) -> Self {
        Lane {
            thread,
            cells,
            to_ring: Vec::new(),
            queued: Vec::new(),
            queued_to: Vec::new(),
            left: Vec::new(),
        }
    }

    /// Nobody wants the message, but its packet id is in use.
    pub fn unrouted(&self, router: &Router, publication: &Publication<'_>) -> Published {
        let mut published = Published::default();
        let change = publication.origin;
        let change = change.change(publication.publisher, published.reason());
        if let Some(change) = change.filter(|_| router.is_durable()) {
            published.commit = router.store.record(&[change], Urgency::Now);
        }
        published
    }

    pub fn route(
        &mut self,
        router: &Router,
        message: &Message,
        topic: TopicName<'_>,
        matches: &Matches<Target>,
        origin: Origin,
    ) -> Published {
        let mut published = Published::default();
        if message.retain() {
            // Held while the targets are queued: a SUBSCRIBE reads the value either before it
            // changes and before this message is queued, or after both.
            let mut retained = router.retained.lock();
            let change = retained.set(topic, message);
            if change == Retained::Cleared && !message.payload().is_empty() {
                self.cells.add(Counter::RetainedRefused, 1);
            }
            self.queue_all(router, message, matches, &mut published);
            self.record(router, message, change, origin, &mut published);
        } else {
            self.queue_all(router, message, matches, &mut published);
            if !self.queued.is_empty() || origin != Origin::Anyone {
                self.record(router, message, Retained::Untouched, origin, &mut published);
            }
        }
        if published.matched == 0 {
            self.cells.add(Counter::PublishesUnrouted, 1);
        }
        published
    }

    /// Records what is to outlive the process, then queues it.
    fn record(
        &mut self,
        router: &Router,
        message: &Message,
        retained: Retained,
        origin: Origin,
        published: &mut Published,
    ) {
        if !router.is_durable() {
            return;
        }
        // What the server says of itself is true of this process only.
        let retained = match message.publisher() == 0 && message.topic().starts_with("$SYS/") {
            true => Retained::Untouched,
            false => retained,
        };
        let also = origin.change(message.publisher(), published.reason());
        let queued = &*self.queued;
        let topic = message.topic();
        let change = match (retained, queued) {
            (Retained::Untouched, []) => None,
            (Retained::Cleared, []) => Some(Change::RetainedGone { topic }),
            _ => Some(Change::Published {
                message,
                retained,
                queued,
            }),
        };
        let urgency = match message.qos() {
            Qos::AtMostOnce => Urgency::Later,
            _ => Urgency::Now,
        };
        let commit = match (change, also) {
            (Some(one), Some(other)) => router.store.record(&[one, other], urgency),
            (Some(one), None) | (None, Some(one)) => router.store.record(&[one], urgency),
            (None, None) => return,
        };
        if urgency == Urgency::Now {
            published.commit = commit;
        }
        self.push_recorded();
    }

    /// Queues what is recorded; what came by a shared subscription for a session that has ended
    /// meanwhile is left.
    fn push_recorded(&mut self) {
        for (queued, subscriber) in self.queued.drain(..).zip(self.queued_to.drain(..)) {
            let back = subscriber.push_reserved(queued.delivery);
            self.left
                .extend(back.filter(|delivery| delivery.shared.is_some()));
        }
    }

    /// Offers deliveries to other members of their shared subscriptions.
    pub fn share_out(&mut self, router: &Router, deliveries: impl IntoIterator<Item = Delivery>) {
        let mut dropped = 0;
        for delivery in deliveries {
            let group = delivery.shared.and_then(|number| router.groups.get(number));
            let mut published = Published::default();
            if let Some(group) = group {
                self.queue_to_group(router, &group, &delivery.message, &mut published);
            }
            dropped += u64::from(published.matched == published.full);
        }
        self.cells.add(Counter::DroppedSessionEnded, dropped);
    }

    /// Records that messages changed queues, and that `ended` has none any more.
    pub fn record_moved(&mut self, router: &Router, ended: Option<u64>) {
        if self.queued.is_empty() && ended.is_none() {
            return;
        }
        let moved = self.queued.iter().map(|queued| Change::Published {
            message: &queued.delivery.message,
            retained: Retained::Untouched,
            queued: std::slice::from_ref(queued),
        });
        let ended = ended.map(|session| Change::Ended { session });
        let changes: Vec<_> = moved.chain(ended).collect();
        router.store.record(&changes, Urgency::Now);
        self.push_recorded();
    }
}
