//! Subscriptions come and go, and retained messages follow them.

use std::num::NonZeroU32;
use std::sync::Arc;

use dunlin_codec::{Qos, RetainHandling, SubscriptionOptions};
use dunlin_metrics::{Cells, Counter};
use dunlin_session::{Delivery, Identifiers};
use dunlin_time::Wall;
use dunlin_topic::{Cursor, Subscription, TopicFilter};

use crate::ports::{Change, Queued, Retained, Urgency};
use crate::{Router, SessionTarget, Subscriber, Target, TargetOptions};

/// One filter of a SUBSCRIBE, allowed and within the terms.
#[derive(Clone, Copy, Debug)]
pub struct SubscribeRequest<'a> {
    /// The filter, with `$share/...` if it has it and below the listener's mount point.
    pub text: &'a str,
    /// The same, parsed.
    pub subscription: Subscription<'a>,
    /// As the client asked, with the QoS that is granted.
    pub options: SubscriptionOptions,
    /// The client's Subscription Identifier.
    pub identifier: Option<NonZeroU32>,
    /// The rules allow only some topics of the filter.
    pub unchecked: bool,
}

/// What became of it.
#[derive(Debug)]
pub enum Subscribed {
    /// It is there, and the retained messages of this scan are to follow the SUBACK.
    Retained(Box<Scan>),
    /// It is there.
    Done,
    /// The session has as many subscriptions as it may (0x97).
    TooMany,
}

/// A walk over retained messages for a new subscription, a bounded step at a time.
#[derive(Debug)]
pub struct Scan {
    filter: Box<str>,
    options: TargetOptions,
    identifier: Option<NonZeroU32>,
    from: Option<Cursor>,
}

impl Scan {
    /// The subscription's filter; shared ones have no scan.
    pub fn filter(&self) -> &str {
        &self.filter
    }
}

impl Router {
    /// Adds a subscription, or puts it in place of the session's earlier one to the same filter
    /// [MQTT-3.8.4-3]. From here on messages are queued.
    pub fn subscribe(
        &self,
        subscriber: &Arc<Subscriber>,
        request: SubscribeRequest<'_>,
        cells: &Cells,
    ) -> Subscribed {
        let mut subscriptions = subscriber.subscriptions.lock();
        let existed = match subscriptions.binary_search_by(|text| (**text).cmp(request.text)) {
            Ok(_) => true,
            Err(_) if subscriptions.len() >= self.settings.maximum_subscriptions => {
                return Subscribed::TooMany;
            }
            Err(at) => {
                // Most sessions have one or two.
                let more = subscriptions.len().max(1);
                if subscriptions.len() == subscriptions.capacity() {
                    subscriptions.reserve_exact(more);
                }
                subscriptions.insert(at, request.text.into());
                cells.add(Counter::SubscriptionsAdded, 1);
                false
            }
        };
        let target = SessionTarget {
            subscriber: subscriber.clone(),
            identifier: request.identifier,
            options: self.target_options(&request),
        };
        let change = Change::Subscribed {
            session: subscriber.number,
            filter: request.text,
            options: target.options,
            identifier: target.identifier,
        };
        self.record_if_stored(subscriber, change);
        let filter = request.subscription.filter;
        self.add_target(request.text, request.subscription, target);
        if request.subscription.share.is_some() {
            return Subscribed::Done;
        }
        let wanted = match request.options.retain_handling {
            RetainHandling::SendAtSubscribe => true,
            RetainHandling::SendIfNew => !existed,
            RetainHandling::DoNotSend => false,
        };
        match wanted {
            true => Subscribed::Retained(Box::new(Scan {
                filter: filter.as_str().into(),
                options: self.target_options(&request),
                identifier: request.identifier,
                from: None,
            })),
            false => Subscribed::Done,
        }
    }

    /// Leads messages to a subscription.
    pub(crate) fn add_target(
        &self,
        text: &str,
        subscription: Subscription<'_>,
        target: SessionTarget,
    ) {
        match subscription.share {
            Some(_) => self.groups.join(text, target, |group| {
                let target = Target::Group(group.clone());
                self.index.insert(subscription.filter, target);
            }),
            None => {
                let target = Target::Session(target);
                self.index.insert(subscription.filter, target);
            }
        }
    }

    fn target_options(&self, request: &SubscribeRequest<'_>) -> TargetOptions {
        let SubscriptionOptions {
            qos,
            no_local,
            retain_as_published,
            ..
        } = request.options;
        let options = TargetOptions::new(qos, no_local, retain_as_published, request.unchecked);
        match self.settings.upgrade_qos {
            true => options.upgrading(),
            false => options,
        }
    }

    /// Removes a subscription; whether there was one.
    pub fn unsubscribe(&self, subscriber: &Arc<Subscriber>, text: &str, cells: &Cells) -> bool {
        let mut subscriptions = subscriber.subscriptions.lock();
        let Ok(at) = subscriptions.binary_search_by(|other| (**other).cmp(text)) else {
            return false;
        };
        subscriptions.remove(at);
        self.remove_targets(subscriber, text);
        let change = Change::Unsubscribed {
            session: subscriber.number,
            filter: text,
        };
        self.record_if_stored(subscriber, change);
        cells.add(Counter::SubscriptionsRemoved, 1);
        true
    }

    /// How many filters the session has.
    pub fn subscription_count(&self, subscriber: &Subscriber) -> usize {
        subscriber.subscriptions.lock().len()
    }

    /// The session's filters, as subscribed.
    pub fn subscriptions_of(&self, subscriber: &Subscriber) -> Vec<Box<str>> {
        subscriber.subscriptions.lock().clone()
    }

    pub(crate) fn unsubscribe_all(&self, subscriber: &Arc<Subscriber>, cells: &Cells) {
        let all = std::mem::take(&mut *subscriber.subscriptions.lock());
        for text in &all {
            self.remove_targets(subscriber, text);
        }
        cells.add(Counter::SubscriptionsRemoved, all.len() as u64);
    }

    fn remove_targets(&self, subscriber: &Arc<Subscriber>, text: &str) {
        // It was parsed when it was subscribed.
        let Ok(subscription) = Subscription::new_bounded(text, usize::MAX) else {
            return;
        };
        match subscription.share {
            Some(_) => self.groups.leave(text, subscriber.number, |group| {
                self.index.remove(subscription.filter, &group.key());
            }),
            None => {
                self.index.remove(subscription.filter, &subscriber.number);
            }
        }
    }

    /// One step of a scan: queues the retained messages found for the session, unless its queue is
    /// half full. Gives the scan back while there is more to come.
    pub fn deliver_retained(
        &self,
        mut scan: Box<Scan>,
        subscriber: &Subscriber,
        wall: Wall,
    ) -> Option<Box<Scan>> {
        const STEP: usize = 64;
        let limits = &self.settings.queue;
        let room = (limits.messages / 2)
            .max(1)
            .saturating_sub(subscriber.queued());
        if room == 0 || subscriber.queued_bytes() > limits.bytes / 2 {
            return Some(scan);
        }
        let filter = TopicFilter::new_bounded(&scan.filter, usize::MAX).ok()?;
        // Held while they are queued: see `Dispatch::route`.
        let retained = self.retained.lock();
        let step = retained.scan(filter, scan.from.as_ref(), STEP.min(room));
        for (_, message) in step.matches {
            if message.expires().is_some_and(|at| at <= wall) {
                continue;
            }
            let mut delivery = Delivery {
                identifiers: scan.identifier.map_or(Identifiers::None, Identifiers::One),
                shared: None,
                qos: scan.options.delivered(message.qos()),
                retain: true,
                unchecked: scan.options.unchecked(),
                stored: false,
                message,
            };
            if !subscriber.is_stored() || delivery.qos == Qos::AtMostOnce {
                // There is room: the queue is half full at most.
                let _ = subscriber.push(delivery, limits);
            } else if subscriber.reserve(&delivery, limits).is_taken() {
                delivery.stored = true;
                self.record_retained(subscriber, delivery);
            }
        }
        drop(retained);
        scan.from = step.next;
        scan.from.is_some().then_some(scan)
    }

    fn record_retained(&self, subscriber: &Subscriber, delivery: Delivery) {
        let queued = Queued {
            session: subscriber.number,
            delivery,
        };
        let change = Change::Published {
            message: &queued.delivery.message,
            retained: Retained::Untouched,
            queued: std::slice::from_ref(&queued),
        };
        self.store.record(&[change], Urgency::Later);
        // Only the connection that we work for ends the session.
        subscriber.push_reserved(queued.delivery);
    }
}
