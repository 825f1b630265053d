use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use dunlin_codec::{Qos, ReasonCode};
use dunlin_metrics::{Cells, Counter};
use dunlin_session::{Delivery, Identifiers, Message, MessageParts};
use dunlin_time::Wall;
use dunlin_topic::{Cache, CacheLimits, Matches, Target as _, TopicName};

use crate::groups::Group;
use crate::mailbox::Mailed;
use crate::ports::{Reply, StoreError};
use crate::retained::Kept;
use crate::{Pushed, Router, SessionTarget, Subscriber, Target};

/// One thread's way into the router: its cache of the topic index, its counts, its mailboxes.
pub struct Dispatch {
    router: Arc<Router>,
    cache: Cache<Target>,
    scratch: Vec<u8>,
    lane: Lane,
}

/// What a thread changes while it queues a message.
struct Lane {
    /// The worker's number; threads that own no connections share the number after the last.
    thread: u16,
    cells: Arc<Cells>,
    /// Workers that got mail since the last [`Dispatch::flush`].
    to_ring: Vec<u16>,
    /// Persistent sessions that a message was queued for.
    durable: Vec<Arc<Subscriber>>,
}

/// A scratch that grew above this is given back.
const SCRATCH_MAX: usize = 64 * 1024;

/// A message to be published, still in its packet.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// Where.
    pub topic: TopicName<'a>,
    /// The session's number; 0 for the server itself.
    pub publisher: u64,
    /// Its QoS.
    pub qos: Qos,
    /// Whether it becomes the topic's retained message.
    pub retain: bool,
    /// When it is dropped undelivered.
    pub expires: Option<Wall>,
    /// Encoded properties that pass through.
    pub forwarded: &'a [u8],
    /// The application's bytes.
    pub payload: &'a [u8],
}

/// Ready when a message may be acknowledged.
pub type Stored = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

/// What became of a message.
#[derive(Default)]
pub struct Published {
    /// Sessions whose subscriptions matched; a shared subscription counts once.
    pub matched: usize,
    /// Of those, the ones that have it dropped because their queue is full.
    pub full: usize,
    /// A connected session that is falling behind: reason to read the publisher less eagerly.
    pub crowded: Option<Arc<Subscriber>>,
    /// Present if the acknowledgement has to wait for a store.
    pub durable: Option<Stored>,
}

impl Published {
    /// For the PUBACK or PUBREC, once [`Published::durable`] went well.
    pub fn reason(&self) -> ReasonCode {
        match (self.matched, self.full) {
            (0, _) => ReasonCode::NoMatchingSubscribers,
            (matched, full) if full >= matched => ReasonCode::QuotaExceeded,
            _ => ReasonCode::Success,
        }
    }
}

impl Dispatch {
    pub(crate) fn new(
        router: Arc<Router>,
        worker: Option<u16>,
        cells: Arc<Cells>,
        cache: CacheLimits,
    ) -> Self {
        Dispatch {
            lane: Lane {
                thread: worker.unwrap_or(router.settings.workers),
                cells,
                to_ring: Vec::new(),
                durable: Vec::new(),
            },
            router,
            cache: Cache::new(cache),
            scratch: Vec::new(),
        }
    }

    /// The router behind.
    pub fn router(&self) -> &Arc<Router> {
        &self.router
    }

    /// This thread's counts.
    pub fn cells(&self) -> &Cells {
        &self.lane.cells
    }

    /// Queues a message for everyone who subscribed to its topic. It is copied only if somebody did.
    pub fn publish(&mut self, publication: Publication<'_>) -> Published {
        let topic = publication.topic;
        let matches = self.router.index.lookup(topic, &mut self.cache);
        if matches.is_empty() && !publication.retain {
            self.lane.cells.add(Counter::PublishesUnrouted, 1);
            return Published::default();
        }
        let parts = MessageParts {
            publisher: publication.publisher,
            qos: publication.qos,
            retain: publication.retain,
            expires: publication.expires,
            topic: topic.as_str(),
            forwarded: publication.forwarded,
            payload: publication.payload,
        };
        let message = Message::new(parts, &mut self.scratch);
        if self.scratch.capacity() > SCRATCH_MAX {
            self.scratch = Vec::new();
        }
        self.lane.route(&self.router, &message, topic, matches)
    }

    /// Publishes a message that exists already: a will, or one of the server's own.
    pub fn publish_message(&mut self, message: &Message) -> Published {
        let Ok(topic) = TopicName::new(message.topic()) else {
            return Published::default();
        };
        let matches = self.router.index.lookup(topic, &mut self.cache);
        self.lane.route(&self.router, message, topic, matches)
    }

    /// Offers messages of a session that ended to the other members of their shared subscriptions
    /// [MQTT-4.8.2-4]; without members they are dropped.
    pub fn redistribute(&mut self, deliveries: impl IntoIterator<Item = Delivery>) {
        let router = &self.router;
        let mut dropped = 0;
        for delivery in deliveries {
            let group = delivery.shared.and_then(|number| router.groups.get(number));
            let mut published = Published::default();
            if let Some(group) = group {
                self.lane
                    .queue_to_group(router, &group, &delivery.message, &mut published);
            }
            dropped += u64::from(published.matched == published.full);
        }
        // They were acknowledged to their publishers before.
        self.lane.durable.clear();
        self.lane.cells.add(Counter::DroppedSessionEnded, dropped);
    }

    /// Wakes the workers that have mail; at the end of every turn.
    pub fn flush(&mut self) {
        for worker in self.lane.to_ring.drain(..) {
            self.router.mailboxes.ring(worker);
        }
    }

    /// Brings mail from other threads to the inboxes of this worker's sessions, whenever there is
    /// some: `Ready` once, then to be polled again.
    pub fn poll_mail(&self, context: &mut Context<'_>) -> Poll<()> {
        let mailboxes = &self.router.mailboxes;
        let rung = mailboxes.poll_rung(self.lane.thread, context.waker());
        if rung.is_ready() {
            mailboxes.empty(
                self.lane.thread,
                &self.router.settings.queue,
                &self.lane.cells,
            );
        }
        rung
    }

    /// Drops cached lookups that are out of date; now and then.
    pub fn sweep(&mut self) {
        const SLOTS: usize = 256;
        self.router.index.sweep(&mut self.cache, SLOTS);
    }
}

impl Lane {
    fn route(
        &mut self,
        router: &Router,
        message: &Message,
        topic: TopicName<'_>,
        matches: &Matches<Target>,
    ) -> Published {
        let mut published = Published::default();
        let mut stored = Reply::Now(Ok(()));
        if message.retain() {
            // Held while the targets are queued: a SUBSCRIBE reads the value either before it
            // changes and before this message is queued, or after both.
            let mut retained = router.retained.lock();
            match retained.set(topic, message) {
                Kept::Yes => stored = router.store.retained(message),
                Kept::No => self.cells.add(Counter::RetainedRefused, 1),
            }
            self.queue_all(router, message, matches, &mut published);
        } else {
            self.queue_all(router, message, matches, &mut published);
        }
        if published.matched == 0 {
            self.cells.add(Counter::PublishesUnrouted, 1);
        }
        self.make_durable(router, message, stored, &mut published);
        published
    }

    fn make_durable(
        &mut self,
        router: &Router,
        message: &Message,
        stored: Reply<Result<(), StoreError>>,
        published: &mut Published,
    ) {
        let queued = match self.durable.is_empty() {
            true => Reply::Now(Ok(())),
            false => router.store.enqueued(message, &self.durable),
        };
        self.durable.clear();
        if !matches!((&stored, &queued), (Reply::Now(Ok(())), Reply::Now(Ok(())))) {
            published.durable = Some(Box::pin(async {
                stored.get().await.and(queued.get().await)
            }));
        }
    }

    fn queue_all(
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

    fn queue_to_group(
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
        if delivery.qos != Qos::AtMostOnce && subscriber.is_persistent() {
            self.durable.push(subscriber.clone());
        }
        if subscriber.home() != self.thread {
            match router.mailboxes.send(self.thread, subscriber, &delivery) {
                Mailed::Here => {}
                Mailed::Full => return false,
                Mailed::To(home) => {
                    if !self.to_ring.contains(&home) {
                        self.to_ring.push(home);
                    }
                    return true;
                }
            }
        }
        match subscriber.push(delivery, &router.settings.queue) {
            Pushed::Queued | Pushed::Away => true,
            Pushed::Crowded => {
                published.crowded.get_or_insert_with(|| subscriber.clone());
                true
            }
            Pushed::Full => false,
        }
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
