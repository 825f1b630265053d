//! Who gets a message, and how: by each subscription, or one member of a group.

use std::sync::Arc;

use dunlin_codec::Qos;
use dunlin_metrics::Counter;
use dunlin_session::{Delivery, Identifiers, Message};
use dunlin_topic::{Matches, Target as _};

use crate::groups::Group;
use crate::lane::Lane;
use crate::mailbox::Mailed;
use crate::ports::Queued;
use crate::publication::Published;
use crate::{Pushed, Router, SessionTarget, Subscriber, Target};

impl Lane {
    pub fn queue_all(
        &mut self,
        router: &Router,
        message: &Message,
        matches: &Matches<Target>,
        published: &mut Published,
    ) {
        let exact = matches.exact.as_deref().unwrap_or_default();
        let wildcard = matches.wildcard.as_deref().unwrap_or_default();
        if matches.repeats {
            return self.queue_merged(router, message, exact, wildcard, published);
        }
        for target in exact.iter().chain(wildcard) {
            match target {
                Target::Session(target) => self.queue_one(router, target, message, published),
                Target::Group(group) => self.queue_to_group(router, group, message, published),
            }
        }
    }

    /// A session whose subscriptions overlap gets the message once, with the highest QoS and all
    /// identifiers [MQTT-3.3.4-2] [MQTT-3.3.4-4].
    fn queue_merged(
        &mut self,
        router: &Router,
        message: &Message,
        exact: &[Target],
        wildcard: &[Target],
        published: &mut Published,
    ) {
        let mut all: Vec<&Target> = exact.iter().chain(wildcard).collect();
        all.sort_by_key(|target| target.key());
        for same in all.chunk_by(|one, other| one.key() == other.key()) {
            match same[0] {
                Target::Group(group) => self.queue_to_group(router, group, message, published),
                Target::Session(first) => {
                    let targets = same.iter().filter_map(|target| match target {
                        Target::Session(target) => Some(target),
                        Target::Group(_) => None,
                    });
                    let merged = targets
                        .filter_map(|target| delivery(target, message))
                        .reduce(merge);
                    self.queue(router, &first.subscriber, merged, published);
                }
            }
        }
    }

    fn queue_one(
        &mut self,
        router: &Router,
        target: &SessionTarget,
        message: &Message,
        published: &mut Published,
    ) {
        self.queue(
            router,
            &target.subscriber,
            delivery(target, message),
            published,
        );
    }

    pub fn queue_to_group(
        &mut self,
        router: &Router,
        group: &Arc<Group>,
        message: &Message,
        published: &mut Published,
    ) {
        published.matched += 1;
        let others = || group.others().into_iter();
        if !self.offer_to_one(router, group, group.choose(), message, published)
            && !self.offer_to_one(router, group, others(), message, published)
        {
            published.full += 1;
            self.cells.add(Counter::DroppedQueueFull, 1);
        }
    }

    /// Whether one of the members took it.
    fn offer_to_one(
        &mut self,
        router: &Router,
        group: &Group,
        mut members: impl Iterator<Item = SessionTarget>,
        message: &Message,
        published: &mut Published,
    ) -> bool {
        members.any(|member| {
            delivery(&member, message).is_some_and(|mut delivery| {
                delivery.shared = Some(group.number());
                self.offer(router, &member.subscriber, delivery, published)
            })
        })
    }

    fn queue(
        &mut self,
        router: &Router,
        subscriber: &Arc<Subscriber>,
        delivery: Option<Delivery>,
        published: &mut Published,
    ) {
        published.matched += 1;
        if let Some(delivery) = delivery
            && !self.offer(router, subscriber, delivery, published)
        {
            published.full += 1;
            self.cells.add(Counter::DroppedQueueFull, 1);
        }
    }

    /// Puts a delivery into the inbox, or the mail to its worker; whether there was room.
    #[inline]
    fn offer(
        &mut self,
        router: &Router,
        subscriber: &Arc<Subscriber>,
        delivery: Delivery,
        published: &mut Published,
    ) -> bool {
        if router.is_short_of_memory() {
            self.cells.add(Counter::DroppedMemory, 1);
            return false;
        }
        if subscriber.is_stored() && self.is_stored(router, subscriber, &delivery) {
            return self.reserve(router, subscriber, delivery, published);
        }
        if subscriber.home() != self.thread {
            let send = || router.mailboxes.send(self.thread, subscriber, &delivery);
            let mut mailed = send();
            if matches!(mailed, Mailed::Full) && router.make_room(subscriber, &self.cells) {
                mailed = send();
            }
            match mailed {
                Mailed::Here => {}
                Mailed::Full => return false,
                Mailed::To(home) => {
                    if !self.to_ring.contains(&home) {
                        self.to_ring.push(home);
                    }
                    if subscriber.is_waited_for() {
                        published.crowded.get_or_insert_with(|| subscriber.clone());
                    }
                    return true;
                }
            }
        }
        match router.push(subscriber, delivery, &self.cells) {
            Pushed::Queued | Pushed::Away => true,
            Pushed::Crowded => {
                published.crowded.get_or_insert_with(|| subscriber.clone());
                true
            }
            Pushed::Full => false,
        }
    }

    /// QoS 0 gates nothing, and is kept only where it waits for a client that is away.
    fn is_stored(&self, router: &Router, subscriber: &Subscriber, delivery: &Delivery) -> bool {
        delivery.qos != Qos::AtMostOnce
            || router.settings.queue.keep_qos_0 && !subscriber.is_attached()
    }

    /// Gives a delivery a place in the queue of a stored session, whatever thread that is on.
    fn reserve(
        &mut self,
        router: &Router,
        subscriber: &Arc<Subscriber>,
        mut delivery: Delivery,
        published: &mut Published,
    ) -> bool {
        match router.reserve(subscriber, &delivery, &self.cells) {
            Pushed::Full => return false,
            Pushed::Away => return true,
            Pushed::Queued => {}
            Pushed::Crowded => {
                published.crowded.get_or_insert_with(|| subscriber.clone());
            }
        }
        delivery.stored = true;
        self.queued.push(Queued {
            session: subscriber.number,
            delivery,
        });
        self.queued_to.push(subscriber.clone());
        true
    }
}

/// What this subscription delivers; nothing of its own session's messages if No Local is set
/// [MQTT-3.8.3-3].
fn delivery(target: &SessionTarget, message: &Message) -> Option<Delivery> {
    let options = target.options;
    if options.no_local() && message.publisher() == target.subscriber.number {
        return None;
    }
    Some(Delivery {
        message: message.clone(),
        identifiers: target
            .identifier
            .map_or(Identifiers::None, Identifiers::One),
        shared: None,
        qos: options.delivered(message.qos()),
        retain: message.retain() && options.retain_as_published(),
        unchecked: options.unchecked(),
        stored: false,
    })
}

fn merge(one: Delivery, other: Delivery) -> Delivery {
    Delivery {
        identifiers: one.identifiers.merge(other.identifiers),
        qos: one.qos.max(other.qos),
        retain: one.retain || other.retain,
        unchecked: one.unchecked && other.unchecked,
        ..one
    }
}
