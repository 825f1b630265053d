use std::sync::Arc;
use std::task::{Context, Poll};

use dunlin_codec::{PacketId, Qos, ReasonCode};
use dunlin_metrics::{Cells, Counter};
use dunlin_session::{Delivery, Identifiers, Message, MessageParts};
use dunlin_time::Wall;
use dunlin_topic::{Cache, CacheLimits, Matches, Target as _, TopicName};

use crate::groups::Group;
use crate::mailbox::Mailed;
use crate::ports::{Change, Commit, Queued, Retained, Urgency};
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
    /// Deliveries to be recorded, with a place in the queues of ...
    queued: Vec<Queued>,
    /// ... these.
    queued_to: Vec<Arc<Subscriber>>,
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
    /// What else is true from then on.
    pub origin: Origin,
}

/// What is recorded together with a message, in one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nothing.
    #[default]
    Anyone,
    /// The publisher's session, which is stored, has this id in use for it.
    Received {
        /// The QoS 2 message's.
        packet_id: PacketId,
        /// Also if it is refused: version 3 cannot be told.
        always: bool,
    },
    /// It was the will of this stored session.
    Will(u64),
}

impl Origin {
    fn change(self, publisher: u64, reason: ReasonCode) -> Option<Change<'static>> {
        match self {
            Origin::Will(session) => Some(Change::WillDone { session }),
            Origin::Received { packet_id, always } if always || !reason.is_error() => {
                let session = publisher;
                Some(Change::Received { session, packet_id })
            }
            Origin::Received { .. } | Origin::Anyone => None,
        }
    }
}

/// What became of a message.
#[derive(Default)]
pub struct Published {
    /// Sessions whose subscriptions matched; a shared subscription counts once.
    pub matched: usize,
    /// Of those, the ones that have it dropped because their queue is full.
    pub full: usize,
    /// A connected session that is falling behind: reason to read the publisher less eagerly.
    pub crowded: Option<Arc<Subscriber>>,
    /// What must be committed before it is acknowledged.
    pub commit: Commit,
}

impl Published {
    /// For the PUBACK or PUBREC, which waits for [`Published::commit`].
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
                queued: Vec::new(),
                queued_to: Vec::new(),
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
            return self.lane.unrouted(&self.router, &publication);
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
        let origin = publication.origin;
        let routed = self
            .lane
            .route(&self.router, &message, topic, matches, origin);
        self.settle(routed)
    }

    /// Publishes a message that exists already: a will, or one of the server's own.
    pub fn publish_message(&mut self, message: &Message, origin: Origin) -> Published {
        let Ok(topic) = TopicName::new(message.topic()) else {
            return Published::default();
        };
        let matches = self.router.index.lookup(topic, &mut self.cache);
        let routed = self
            .lane
            .route(&self.router, message, topic, matches, origin);
        self.settle(routed)
    }

    /// Ends a stored session: what it leaves behind goes to other members of the shared
    /// subscriptions that it came by, all in one step [MQTT-4.8.2-4]; the rest is dropped.
    pub(crate) fn redistribute(
        &mut self,
        deliveries: impl IntoIterator<Item = Delivery>,
        ended: Option<u64>,
    ) {
        self.lane.share_out(&self.router, deliveries);
        let mut left = self.lane.record_moved(&self.router, ended);
        while !left.is_empty() {
            self.lane.share_out(&self.router, left);
            left = self.lane.record_moved(&self.router, None);
        }
    }

    /// Members of a shared subscription may have left while a message was recorded for them.
    fn settle(&mut self, (published, left): (Published, Vec<Delivery>)) -> Published {
        if !left.is_empty() {
            self.redistribute(left, None);
        }
        published
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
    /// Nobody wants the message, but its packet id is in use.
    fn unrouted(&self, router: &Router, publication: &Publication<'_>) -> Published {
        let mut published = Published::default();
        let change = publication.origin;
        let change = change.change(publication.publisher, published.reason());
        if let Some(change) = change.filter(|_| router.is_durable()) {
            published.commit = router.store.record(&[change], Urgency::Now);
        }
        published
    }

    /// Gives also what came too late for a session that has ended.
    fn route(
        &mut self,
        router: &Router,
        message: &Message,
        topic: TopicName<'_>,
        matches: &Matches<Target>,
        origin: Origin,
    ) -> (Published, Vec<Delivery>) {
        let mut published = Published::default();
        let left = if message.retain() {
            // Held while the targets are queued: a SUBSCRIBE reads the value either before it
            // changes and before this message is queued, or after both.
            let mut retained = router.retained.lock();
            let change = retained.set(topic, message);
            if change == Retained::Cleared && !message.payload().is_empty() {
                self.cells.add(Counter::RetainedRefused, 1);
            }
            self.queue_all(router, message, matches, &mut published);
            self.record(router, message, change, origin, &mut published)
        } else {
            self.queue_all(router, message, matches, &mut published);
            self.record(router, message, Retained::Untouched, origin, &mut published)
        };
        if published.matched == 0 {
            self.cells.add(Counter::PublishesUnrouted, 1);
        }
        (published, left)
    }

    /// Records what is to outlive the process, then queues it.
    #[inline]
    fn record(
        &mut self,
        router: &Router,
        message: &Message,
        retained: Retained,
        origin: Origin,
        published: &mut Published,
    ) -> Vec<Delivery> {
        let nothing =
            self.queued.is_empty() && retained == Retained::Untouched && origin == Origin::Anyone;
        if nothing || !router.is_durable() {
            return Vec::new();
        }
        self.record_published(router, message, retained, origin, published)
    }

    fn record_published(
        &mut self,
        router: &Router,
        message: &Message,
        retained: Retained,
        origin: Origin,
        published: &mut Published,
    ) -> Vec<Delivery> {
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
            (None, None) => return Vec::new(),
        };
        if urgency == Urgency::Now {
            published.commit = commit;
        }
        self.push_recorded()
    }

    /// Gives back those by shared subscriptions whose session has ended meanwhile.
    fn push_recorded(&mut self) -> Vec<Delivery> {
        let mut left = Vec::new();
        for (queued, subscriber) in self.queued.drain(..).zip(self.queued_to.drain(..)) {
            let back = subscriber.push_reserved(queued.delivery);
            left.extend(back.filter(|delivery| delivery.shared.is_some()));
        }
        left
    }

    /// Offers deliveries to other members of their shared subscriptions.
    fn share_out(&mut self, router: &Router, deliveries: impl IntoIterator<Item = Delivery>) {
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
    fn record_moved(&mut self, router: &Router, ended: Option<u64>) -> Vec<Delivery> {
        if self.queued.is_empty() && ended.is_none() {
            return Vec::new();
        }
        let moved = self.queued.iter().map(|queued| Change::Published {
            message: &queued.delivery.message,
            retained: Retained::Untouched,
            queued: std::slice::from_ref(queued),
        });
        let ended = ended.map(|session| Change::Ended { session });
        let changes: Vec<_> = moved.chain(ended).collect();
        router.store.record(&changes, Urgency::Now);
        self.push_recorded()
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
        if subscriber.is_stored() && self.is_stored(router, subscriber, &delivery) {
            return self.reserve(router, subscriber, delivery, published);
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
        match subscriber.reserve(&delivery, &router.settings.queue) {
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
