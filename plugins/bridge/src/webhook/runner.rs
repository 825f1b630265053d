//! What a [`super::Webhook`] does while it runs, in one task.
//!
//! The local side is read at all times: its window bounds what is above QoS 0, and QoS 0 is dropped
//! beyond a bound. So our broker's session is the spool, on disk if it keeps sessions there.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dunlin_codec::{ReasonCode, RetainHandling};
use dunlin_session::client::Event;
use dunlin_time::{Clock, Monotonic, Now};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::Webhook;
use super::batch::{Batch, Keys};
use super::poster::{Flight, Poster, landed};
use super::settings::WebhookSettings;
use super::verdict::Verdict;
use crate::backoff::Backoff;
use crate::greeting::{Greeted, Refused};
use crate::intake::{Gate, Intake};
use crate::link::{Link, Turn};
use crate::local::Local;
use crate::map::{Map, Mapped};
use crate::status::Status;
use crate::topics::{Place, Topics};

/// How long an open request has when the webhook stops.
const DRAIN: Duration = Duration::from_secs(5);
/// Between two lines in the log about messages that were dropped.
const SILENCE: Duration = Duration::from_secs(10);

/// A running webhook.
pub(crate) struct Runner<L> {
    settings: WebhookSettings,
    topics: Topics,
    map: Arc<dyn Map>,
    status: Arc<Status>,
    poster: Poster,
    keys: Keys,
    connect_local: L,
    clock: Clock,
    local: Link,
    intake: Intake,
    /// What was taken from the intake and is not over: one batch, or what is left of its parts. The
    /// first is on its way, or the next to go.
    batches: VecDeque<Batch>,
    flight: Option<Flight>,
    backoff: Backoff,
    /// No request before.
    again: Monotonic,
    /// The server took a batch once.
    ever: bool,
    /// No line about dropped messages before, and how many there would have been to tell of.
    silent_until: Monotonic,
    untold: usize,
    stopping: bool,
    /// Told once our broker has answered all subscriptions.
    subscribed: Option<oneshot::Sender<()>>,
}

impl<L: Fn() -> io::Result<UnixStream>> Runner<L> {
    pub fn new(webhook: Webhook, local: Local<L>) -> Self {
        let Webhook {
            settings,
            mut topics,
            poster,
            keys,
            map,
            status,
        } = webhook;
        topics.known = local.known;
        Runner {
            clock: Clock::start(),
            local: Link::to_own_broker(),
            intake: Intake::new(Place::Local),
            batches: VecDeque::new(),
            flight: None,
            backoff: Backoff::new(settings.restart),
            again: Monotonic(0),
            ever: false,
            silent_until: Monotonic(0),
            untold: 0,
            stopping: false,
            subscribed: local.subscribed,
            settings,
            topics,
            map,
            status,
            poster,
            keys,
            connect_local: local.open,
        }
    }

    /// Until `stop`; an open request then has [`DRAIN`].
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        self.until(stop).await;
        self.stopping = true;
        // What has not arrived by then stays in the session.
        let _ = timeout(DRAIN, self.until(std::future::pending())).await;
        self.leave().await;
    }

    async fn until(&mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            let now = self.clock.now();
            self.tend(now);
            self.post(now);
            self.intake.settle(self.local.side());
            self.local.tell_subscribed(&mut self.subscribed);
            if self.stopping && self.flight.is_none() {
                return;
            }
            let wait = self.deadline().map(|at| at - now.monotonic);
            let wait = wait.unwrap_or(Duration::from_secs(3600));
            tokio::select! {
                () = &mut stop => return,
                turn = self.local.turn(true) => self.turned(turn),
                verdict = landed(&mut self.flight) => self.answered(verdict),
                () = sleep(wait) => {}
            }
        }
    }

    /// What time alone brings to the local side: PINGREQ, a connection to begin.
    fn tend(&mut self, now: Now) {
        self.local.keep_alive(now);
        if !self.stopping && self.local.is_due(now) {
            let stream = (self.connect_local)();
            let introduction = self.settings.introduction();
            self.local.begin_here(stream, introduction, self.clock);
        }
    }

    fn turned(&mut self, turn: Turn) {
        let now = self.clock.now();
        match turn {
            Turn::Answered(Ok(greeted)) => self.up(now, *greeted),
            Turn::Answered(Err(refused)) => self.down(refused),
            Turn::Ready(result) => {
                let result = result.map_err(|error| error.to_string());
                if let Err(why) = result.and_then(|()| self.receive(now)) {
                    self.lost(why);
                }
            }
            Turn::Overdue(why) => self.lost(why),
        }
    }

    fn up(&mut self, now: Now, greeted: Greeted) {
        let Greeted {
            mut side, resumed, ..
        } = greeted;
        let webhook = self.settings.name.as_str();
        tracing::info!(webhook, resumed, "webhook connected to its own broker");
        self.status.local_connected.store(true, Ordering::Relaxed);
        self.intake.source_back(resumed);
        // Retained messages come once: with a new session, or a filter that is new to it.
        let retained = RetainHandling::SendIfNew;
        side.subscribe(now, &self.topics, Place::Local, retained);
        side.unsubscribe(now, &self.topics, Place::Local);
        self.local.up(side);
    }

    fn lost(&mut self, why: String) {
        if let Some(side) = self.local.take() {
            self.status.local_connected.store(false, Ordering::Relaxed);
            self.intake.source_lost();
            let state = side.client.into_state();
            self.down(Refused::unreached(why, state));
        }
    }

    fn down(&mut self, refused: Refused) {
        let Refused { why, state, .. } = refused;
        let webhook = self.settings.name.as_str();
        tracing::warn!(webhook, why, "webhook is not connected to its own broker");
        self.status.failed(&format!("own broker: {why}"));
        self.local.pause(state, self.clock.now().monotonic, true);
    }

    /// Handles what was read.
    fn receive(&mut self, now: Now) -> Result<(), String> {
        let Some(side) = self.local.side() else {
            return Ok(());
        };
        let gate = Gate {
            now: now.monotonic,
            topics: &self.topics,
            traffic: &self.status.egress,
            identity: "",
            mark: false,
            keep_retain: true,
            keep: true,
            keep_qos_0: true,
            pending_bytes: self.settings.pending_bytes,
        };
        let messages = self.batches.iter().flat_map(|batch| &batch.messages);
        let ahead = messages.map(Mapped::bytes).sum();
        let intake = &mut self.intake;
        let result = side.receive(now, |event, client, output| {
            if let Event::Message(incoming) = event {
                intake.accept(incoming, &gate, ahead, client, output);
            }
        });
        for (topic, reason) in side.subscribing.refused() {
            let (webhook, reason) = (self.settings.name.as_str(), reason.name());
            let why = format!("own broker: refused the subscription to {topic:?}: {reason}");
            self.status.failed(&why);
            tracing::warn!(webhook, topic, reason, "a subscription was refused");
        }
        result
    }

    /// Begins a request, if there is something to send and nothing against it.
    fn post(&mut self, now: Now) {
        if self.stopping || self.flight.is_some() || now.monotonic < self.again {
            return;
        }
        if self.batches.is_empty()
            && let Some(count) = self.ripe(now.monotonic)
        {
            let (map, traffic) = (&*self.map, &self.status.egress);
            let messages = self.intake.map(now, count, map, traffic);
            self.wrap(messages);
        }
        if let Some(batch) = self.batches.front() {
            self.flight = Some(self.poster.begin(batch));
            let count = batch.messages.len() as u64;
            self.status.in_flight.store(count, Ordering::Relaxed);
        }
    }

    /// How many messages are to go together now.
    fn ripe(&self, now: Monotonic) -> Option<usize> {
        let most = usize::from(self.settings.batch_messages);
        let (count, is_full) = self.intake.portion(most, self.settings.batch_bytes);
        let waited = self.intake.oldest()? + self.settings.batch_delay <= now;
        (is_full || waited).then_some(count)
    }

    /// Puts messages before all others that wait.
    fn wrap(&mut self, messages: Vec<Mapped>) {
        if messages.is_empty() {
            return;
        }
        match Batch::new(messages, &mut self.keys) {
            Ok(batch) => self.batches.push_front(batch),
            Err((messages, why)) => self.give_up(messages, &why),
        }
    }

    /// A request is over.
    fn answered(&mut self, verdict: Verdict) {
        self.status.in_flight.store(0, Ordering::Relaxed);
        let Some(batch) = self.batches.pop_front() else {
            return;
        };
        match verdict {
            Verdict::Taken => self.arrived(batch),
            Verdict::Later { why, after } => {
                self.batches.push_front(batch);
                self.failed(&why, after);
            }
            Verdict::Refused { status, divisible } => {
                self.backoff.reset();
                if divisible && batch.messages.len() > 1 {
                    let [first, second] = batch.halves();
                    self.wrap(second);
                    self.wrap(first);
                } else {
                    self.give_up(batch.messages, &format!("the server answered {status}"));
                }
            }
        }
    }

    fn arrived(&mut self, batch: Batch) {
        self.backoff.reset();
        if !self.status.connected.swap(true, Ordering::Relaxed) {
            let webhook = self.settings.name.as_str();
            tracing::info!(webhook, server = self.poster.origin(), "webhook delivers");
            if std::mem::replace(&mut self.ever, true) {
                self.status.reconnects.fetch_add(1, Ordering::Relaxed);
            }
        }
        for message in batch.messages {
            self.status.egress.carried(message.content_bytes());
            self.intake.finish(message.origin);
        }
    }

    /// The server may take the batch later.
    fn failed(&mut self, why: &str, after: Option<Duration>) {
        let pause = match after {
            Some(after) => after.max(self.settings.restart.base),
            None => self.backoff.next(),
        };
        self.again = self.clock.now().monotonic + pause;
        self.status.connected.store(false, Ordering::Relaxed);
        let (webhook, server) = (self.settings.name.as_str(), self.poster.origin());
        tracing::warn!(webhook, server, why, ?pause, "webhook does not deliver");
        self.status.failed(&format!("{server}: {why}"));
    }

    /// These messages will never arrive.
    fn give_up(&mut self, messages: Vec<Mapped>, why: &str) {
        self.untold += messages.len();
        for message in messages {
            self.status.egress.dropped();
            self.intake.finish(message.origin);
        }
        let server = self.poster.origin();
        self.status.failed(&format!("{server}: {why}"));
        let now = self.clock.now().monotonic;
        if now >= self.silent_until {
            let (webhook, messages) = (self.settings.name.as_str(), self.untold);
            tracing::warn!(webhook, server, why, messages, "webhook dropped messages");
            self.silent_until = now + SILENCE;
            self.untold = 0;
        }
    }

    fn deadline(&self) -> Option<Monotonic> {
        let local = self.local.deadline(true);
        if self.stopping || self.flight.is_some() {
            return local;
        }
        let next = match self.batches.is_empty() {
            true => self.intake.oldest().map(|since| {
                let map = self.intake.deadline().unwrap_or_default();
                map.max(since + self.settings.batch_delay).max(self.again)
            }),
            false => Some(self.again),
        };
        local.into_iter().chain(next).min()
    }

    /// At the end: the session keeps what is above QoS 0, nobody keeps the rest.
    async fn leave(&mut self) {
        let waiting = self.batches.iter().flat_map(|batch| &batch.messages);
        for message in waiting.chain(self.intake.queue()) {
            if message.origin.packet_id.is_none() {
                self.status.egress.dropped();
            }
        }
        if let Some(mut side) = self.local.take() {
            let output = &mut side.wire.output;
            side.client.disconnect(ReasonCode::Success, None, output);
            side.wire.close().await;
        }
        self.status.connected.store(false, Ordering::Relaxed);
        self.status.local_connected.store(false, Ordering::Relaxed);
        tracing::info!(webhook = self.settings.name, "webhook stopped");
    }
}
