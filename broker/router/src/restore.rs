//! What a store kept of an earlier process, back into the router. Before any connection.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dunlin_metrics::{Cells, Counter};
use dunlin_session::{Delivery, Message, SessionState, Will};
use dunlin_time::{Now, Wall};
use dunlin_topic::{Subscription, TopicName};

use crate::detach::absence;
use crate::directory::{Entry, Owner};
use crate::{Router, SessionTarget, Subscriber, TargetOptions};

/// A session without a connection.
#[derive(Debug)]
pub struct RestoredSession {
    /// As it had before.
    pub number: u64,
    /// Unique among all.
    pub client_id: Arc<str>,
    /// When its connection ended.
    pub left: Wall,
    /// Seconds from then to its end; `u32::MAX` is for ever, 0 is at once.
    pub expiry: u32,
    /// To be published after its delay.
    pub will: Option<Will>,
    /// Whatever rules there are now are asked message by message.
    pub subscriptions: Vec<RestoredSubscription>,
    /// Messages to be sent, the oldest first; of the shared ones it need not say by which group.
    pub queue: Vec<Delivery>,
}

/// A subscription of such a session.
#[derive(Debug)]
pub struct RestoredSubscription {
    /// As recorded.
    pub filter: Box<str>,
    /// As recorded.
    pub options: TargetOptions,
    /// As recorded.
    pub identifier: Option<NonZeroU32>,
}

impl Router {
    /// Numbers of sessions up to this one were given out by earlier processes.
    pub fn skip_numbers(&self, last: u64) {
        self.numbers
            .fetch_max(last.saturating_add(1), Ordering::Relaxed);
    }

    /// Puts a session back, with its queue; what it has `open` is the store's to give later, of the
    /// shared ones with their groups. One that is over by now ends at the next
    /// [`Router::run_due`].
    pub fn restore(
        &self,
        session: RestoredSession,
        open: &mut SessionState,
        now: Now,
        cells: &Cells,
    ) {
        let RestoredSession {
            number,
            client_id,
            left,
            expiry,
            will,
            mut subscriptions,
            mut queue,
        } = session;
        // Spread over the workers until their clients come.
        let home = (number % u64::from(self.settings.workers.max(1))) as u16;
        let subscriber = Arc::new(Subscriber::new(number, client_id, home, true));
        subscriptions.sort_by(|one, other| one.filter.cmp(&other.filter));
        for subscription in &subscriptions {
            self.restore_subscription(&subscriber, subscription);
        }
        let waiting = queue.iter_mut().chain(open.outbound.deliveries_mut());
        for delivery in waiting.filter(|delivery| delivery.shared.is_some()) {
            delivery.shared = self
                .find_group(&subscriptions, delivery)
                .or(delivery.shared);
        }
        cells.add(Counter::SubscriptionsAdded, subscriptions.len() as u64);
        let filters = subscriptions.into_iter().map(|restored| restored.filter);
        *subscriber.subscriptions.lock() = filters.collect();
        // In order; the limits may be other ones than when they were taken: they were acknowledged.
        subscriber.put_back(queue.into_iter());
        let mut shard = self.directory.lock(&subscriber.client_id);
        let mut absence = absence(expiry, will, left, now);
        self.directory.schedule(&subscriber, &mut absence);
        shard.insert(Entry {
            subscriber: subscriber.clone(),
            owner: Owner::Nobody(Box::new(absence)),
        });
    }

    fn restore_subscription(&self, subscriber: &Arc<Subscriber>, restored: &RestoredSubscription) {
        // It was parsed when it was subscribed.
        let Ok(subscription) = Subscription::new_bounded(&restored.filter, usize::MAX) else {
            return;
        };
        let target = SessionTarget {
            subscriber: subscriber.clone(),
            identifier: restored.identifier,
            options: restored.options.asking_always(),
        };
        self.add_target(&restored.filter, subscription, target);
    }

    /// A shared subscription of the session that a message came by.
    fn find_group(
        &self,
        subscriptions: &[RestoredSubscription],
        delivery: &Delivery,
    ) -> Option<NonZeroU32> {
        let topic = TopicName::new_bounded(delivery.message.topic(), usize::MAX).ok()?;
        subscriptions.iter().find_map(|restored| {
            let subscription = Subscription::new_bounded(&restored.filter, usize::MAX).ok()?;
            subscription.share?;
            let matches = subscription.filter.matches(topic);
            matches.then(|| self.groups.number(&restored.filter))?
        })
    }

    /// Puts a retained message back.
    pub fn restore_retained(&self, message: &Message) {
        if let Ok(topic) = TopicName::new_bounded(message.topic(), usize::MAX) {
            self.retained.lock().set(topic, message);
        }
    }
}
