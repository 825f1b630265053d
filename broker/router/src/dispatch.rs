//! One thread's way into the router.

use std::sync::Arc;
use std::task::{Context, Poll};

use dunlin_metrics::{Cells, Counter};
use dunlin_session::{Delivery, Message, MessageParts};
use dunlin_topic::{Cache, CacheLimits, TopicName};

use crate::lane::Lane;
use crate::publication::{Origin, Publication, Published};
use crate::{Router, Target};

/// One thread's way into the router: its cache of the topic index, its counts, its mailboxes.
pub struct Dispatch {
    router: Arc<Router>,
    cache: Cache<Target>,
    scratch: Vec<u8>,
    lane: Lane,
}

/// A scratch that grew above this is given back.
const SCRATCH_MAX: usize = 64 * 1024;

impl Dispatch {
    pub(crate) fn new(
        router: Arc<Router>,
        worker: Option<u16>,
        cells: Arc<Cells>,
        cache: CacheLimits,
    ) -> Self {
        Dispatch {
            lane: Lane::new(worker.unwrap_or(router.settings.workers), cells),
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
        let published = self
            .lane
            .route(&self.router, &message, topic, matches, origin);
        if !self.lane.left.is_empty() {
            self.pass_on_left();
        }
        published
    }

    /// Publishes a message that exists already: a will, or one of the server's own.
    pub fn publish_message(&mut self, message: &Message, origin: Origin) -> Published {
        let Ok(topic) = TopicName::new_bounded(message.topic(), usize::MAX) else {
            return Published::default();
        };
        let matches = self.router.index.lookup(topic, &mut self.cache);
        let published = self
            .lane
            .route(&self.router, message, topic, matches, origin);
        if !self.lane.left.is_empty() {
            self.pass_on_left();
        }
        published
    }

    /// Ends a stored session: what it leaves behind goes to other members of the shared
    /// subscriptions that it came by, all in one step [MQTT-4.8.2-4]; the rest is dropped.
    pub(crate) fn redistribute(
        &mut self,
        deliveries: impl IntoIterator<Item = Delivery>,
        ended: Option<u64>,
    ) {
        self.lane.share_out(&self.router, deliveries);
        self.lane.record_moved(&self.router, ended);
        self.pass_on_left();
    }

    /// Members of a shared subscription may have left while a message was recorded for them.
    fn pass_on_left(&mut self) {
        while !self.lane.left.is_empty() {
            let left = std::mem::take(&mut self.lane.left);
            self.lane.share_out(&self.router, left);
            self.lane.record_moved(&self.router, None);
        }
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
            mailboxes.empty(self.lane.thread, &self.router, &self.lane.cells);
        }
        rung
    }

    /// Drops cached lookups that are out of date; now and then.
    pub fn sweep(&mut self) {
        const SLOTS: usize = 256;
        self.router.index.sweep(&mut self.cache, SLOTS);
    }
}
