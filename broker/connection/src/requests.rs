use std::task::{Context, Poll};
use std::time::Duration;

use dunlin_auth::{
    Action, ConnectRequest, Decision, EnhancedAuthentication, PeerIdentity, Verdict,
};
use dunlin_codec::{Publish, Qos, ReasonCode};
use dunlin_metrics::Counter;
use dunlin_router::{Origin, Publication, Published};
use dunlin_session::{Acknowledgement, Failure, Incoming, Request, ResolvedTopic};
use dunlin_time::Now;
use dunlin_topic::TopicName;

use crate::connection::{Connection, End, Rare};
use crate::rate::Bucket;

impl Connection {
    /// Does what a packet asks of the world.
    pub fn request(
        &mut self,
        now: Now,
        request: Request<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        match request {
            Request::Nothing => {}
            Request::Progress(progress) => self.progress(&progress),
            Request::Publish(incoming) => self.publish(now, incoming, &mut None, out)?,
            Request::Subscribe(subscribe) => self.subscribe(subscribe, out)?,
            Request::Unsubscribe(unsubscribe) => self.unsubscribe(unsubscribe, out)?,
            Request::Reauthenticate(data) => self.reauthenticate(data),
            Request::Disconnect(farewell) => return Err(End::Left(farewell)),
        }
        Ok(())
    }

    /// `known` is a topic that it may publish to, and becomes this one if it may. Inlined, so that
    /// the packet stays where it is.
    #[inline(always)]
    pub(crate) fn publish<'p>(
        &mut self,
        now: Now,
        incoming: Incoming<'p>,
        known: &mut Option<TopicName<'p>>,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        let Incoming {
            topic,
            publish,
            acknowledgement,
        } = incoming;
        let mount_point = &self.session.terms().mount_point;
        if let ResolvedTopic::Packet(topic) = topic
            && mount_point.is_empty()
        {
            let is_known = known.is_some_and(|known| topic.is(known));
            if self.publish_to(now, topic, is_known, &publish, acknowledgement, out)? {
                *known = Some(topic);
            }
            return Ok(());
        }
        let mounted;
        let name = match mount_point.is_empty() {
            true => topic.as_str(),
            false => {
                mounted = format!("{mount_point}{}", topic.as_str());
                &mounted
            }
        };
        match TopicName::new_bounded(name, usize::MAX) {
            Ok(topic) => {
                self.publish_to(now, topic, false, &publish, acknowledgement, out)?;
                Ok(())
            }
            // Only a mount point can have made it too long.
            Err(error) => Err(self.unanswered(acknowledgement, Failure::topic_name(error))),
        }
    }

    /// Whether the client may publish to the topic, and more of the same.
    fn publish_to(
        &mut self,
        now: Now,
        topic: TopicName<'_>,
        is_known: bool,
        publish: &Publish<'_>,
        acknowledgement: Option<Acknowledgement>,
        out: &mut Vec<u8>,
    ) -> Result<bool, End> {
        let worker = self.worker.clone();
        let payload_bytes = publish.payload.len();
        worker.cells.add(Counter::PublishesReceived, 1);
        worker
            .cells
            .add(Counter::PublishBytesReceived, payload_bytes as u64);
        self.charge_message(now);
        let refused = if payload_bytes > self.session.terms().maximum_payload_bytes {
            Some((Counter::PublishesTooLarge, ReasonCode::QuotaExceeded))
        } else if !is_known && !self.may_publish(topic) {
            Some((Counter::PublishesDenied, ReasonCode::NotAuthorized))
        } else if (publish.retain || publish.qos != Qos::AtMostOnce)
            && worker.router.is_short_of_storage()
        {
            if let Err(failure) = self.check_storage(publish.qos) {
                return Err(self.unanswered(acknowledgement, failure));
            }
            Some((Counter::PublishesStorageFull, ReasonCode::QuotaExceeded))
        } else {
            None
        };
        if let Some((counter, reason)) = refused {
            worker.cells.add(counter, 1);
            if let Some(acknowledgement) = acknowledgement {
                let reason = self.refusal(reason);
                self.session.acknowledge(acknowledgement, reason, out);
            }
            return Ok(false);
        }
        let mut dispatch = worker.dispatch.borrow_mut();
        let mut publication = Publication {
            topic,
            publisher: self.subscriber.number,
            qos: publish.qos,
            retain: publish.retain,
            expires: None,
            forwarded: &[],
            payload: publish.payload,
            origin: self.origin(acknowledgement),
        };
        let mut forwarded = Vec::new();
        let properties = publish.properties;
        if !properties.is_empty() {
            let summary = properties.publish_summary();
            publication.expires = summary
                .message_expiry_interval
                .map(|seconds| now.wall + Duration::from_secs(seconds.into()));
            publication.forwarded = match summary.all_forwardable {
                true => properties.as_bytes(),
                false => {
                    properties.copy_forwarded(&mut forwarded);
                    &forwarded
                }
            };
        }
        let published = dispatch.publish(publication);
        drop(dispatch);
        self.published(now, published, acknowledgement, out);
        Ok(true)
    }

    /// A QoS 2 packet id of a session that outlives the process is recorded with its message.
    fn origin(&self, acknowledgement: Option<Acknowledgement>) -> Origin {
        let received = acknowledgement.and_then(|acknowledgement| acknowledgement.received());
        match received.filter(|_| self.subscriber.is_stored()) {
            Some(packet_id) => Origin::Received {
                packet_id,
                always: !self.session.version().has_reason_codes(),
            },
            None => Origin::Anyone,
        }
    }

    fn published(
        &mut self,
        now: Now,
        mut published: Published,
        acknowledgement: Option<Acknowledgement>,
        out: &mut Vec<u8>,
    ) {
        if let Some(subscriber) = published.crowded.take() {
            self.enter_crowd(subscriber, now);
        }
        let Some(acknowledgement) = acknowledgement else {
            return;
        };
        let reason = published.reason();
        self.hold(published.commit);
        self.session.acknowledge(acknowledgement, reason, out);
    }

    /// The connection ends over a PUBLISH: its packet id is not in use, for the client may send it
    /// again.
    fn unanswered(&mut self, acknowledgement: Option<Acknowledgement>, failure: Failure) -> End {
        if let Some(acknowledgement) = acknowledgement {
            self.session.postpone(acknowledgement);
        }
        failure.into()
    }

    /// # Errors
    /// The store has no room for a message, and version 3 cannot be told.
    fn check_storage(&self, qos: Qos) -> Result<(), Failure> {
        match qos == Qos::AtMostOnce || self.session.version().has_reason_codes() {
            true => Ok(()),
            false => Err(Failure::new(
                ReasonCode::QuotaExceeded,
                "the disk is full: messages above QoS 0 are not taken",
            )),
        }
    }

    /// A refusal that the client can understand: version 3 has none, its message is acknowledged
    /// and dropped.
    fn refusal(&self, reason: ReasonCode) -> ReasonCode {
        match self.session.version().has_reason_codes() {
            true => reason,
            false => ReasonCode::Success,
        }
    }

    pub(crate) fn may_publish(&mut self, topic: TopicName<'_>) -> bool {
        // A decision that is pending is none: no authorizer of ours gives one.
        let decision = self
            .memo
            .authorize(&self.access, &self.principal, Action::Publish, topic);
        // `$SYS` is ours; other names with `$` are used by services that clients talk to.
        decision == Decision::Allow && !topic.as_str().starts_with("$SYS/")
    }

    fn reauthenticate(&mut self, data: &[u8]) {
        let access = self.access.clone();
        let data = bytes::Bytes::copy_from_slice(data);
        let request = ConnectRequest {
            client_id: self.principal.client_id().to_owned(),
            username: self.principal.username().map(str::to_owned),
            password: None,
            peer: PeerIdentity {
                address: self.address,
                loopback: false,
                listener: self.listener.name.clone(),
                certificate: None,
            },
            authentication: self.session.authentication_method().map(|method| {
                EnhancedAuthentication {
                    method: method.to_owned(),
                    data: data.clone(),
                }
            }),
            user_properties: Vec::new(),
        };
        let rare = self.rare();
        let exchange = rare.exchange.take();
        rare.reauthentication = Some(Box::pin(async move {
            match exchange {
                Some(exchange) => exchange.resume(&request, data).await,
                None => access.authenticate(&request).await,
            }
        }));
    }

    /// Goes on with a re-authentication, if one is under way (section 4.12.1).
    pub fn reauthentication(
        &mut self,
        context: &mut Context<'_>,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        let Some(rare) = &mut self.rare else {
            return Ok(());
        };
        let Some(future) = &mut rare.reauthentication else {
            return Ok(());
        };
        let Poll::Ready(verdict) = future.as_mut().poll(context) else {
            return Ok(());
        };
        rare.reauthentication = None;
        match verdict {
            Verdict::Continue(exchange) => {
                self.session.challenge(&exchange.data, out);
                rare.exchange = Some(exchange);
            }
            Verdict::Granted(grant) => {
                rare.grant_ends = grant.expires.map(|expires| now.monotonic + expires);
                self.session
                    .reauthenticated(&grant.data.unwrap_or_default(), out);
            }
            Verdict::Denied(_) => {
                return Err(End::Failed(Failure::new(
                    ReasonCode::NotAuthorized,
                    "re-authentication failed",
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn charge_bytes(&mut self, count: usize, now: Now) {
        if let Some(rare) = &mut self.rare
            && let Some(bucket) = &mut rare.bytes
        {
            bucket.take(count as u64, now.monotonic);
        }
    }

    fn charge_message(&mut self, now: Now) {
        if let Some(rare) = &mut self.rare
            && let Some(bucket) = &mut rare.messages
        {
            bucket.take(1, now.monotonic);
        }
    }

    /// Whether a rate limit keeps the client from being read.
    pub(crate) fn rate_blocks(&mut self, now: Now) -> bool {
        let Some(rare) = &mut self.rare else {
            return false;
        };
        for bucket in [&mut rare.messages, &mut rare.bytes].into_iter().flatten() {
            bucket.take(0, now.monotonic);
        }
        let blocked = rare.blocked_until().is_some();
        if blocked {
            self.worker.cells.add(Counter::ThrottledPublishers, 1);
        }
        blocked
    }
}

impl Rare {
    pub fn blocked_until(&self) -> Option<dunlin_time::Monotonic> {
        [&self.messages, &self.bytes]
            .into_iter()
            .flatten()
            .filter_map(Bucket::blocked_until)
            .max()
    }
}
