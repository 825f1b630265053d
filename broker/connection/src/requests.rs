//! What a packet asks of the broker: publishing, and what follows from it.

use dunlin_codec::{PropertiesBuf, Publish, Qos, ReasonCode};
use dunlin_metrics::Counter;
use dunlin_router::{Origin, Publication, Published};
use dunlin_session::{Acknowledgement, Failure, Incoming, MessageParts, Request, ResolvedTopic};
use dunlin_time::Now;
use dunlin_topic::TopicName;

use crate::connection::{Connection, End};
use crate::permission::{Changed, Refused};

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
        let cells = &self.worker.cells;
        cells.add(Counter::PublishesReceived, 1);
        cells.add(Counter::PublishBytesReceived, publish.payload.len() as u64);
        self.charge_message(now);
        let lasting = match self.check_publish(now, topic, is_known, publish) {
            Ok(lasting) => lasting,
            Err(refused) => return self.refuse(refused, publish, acknowledgement, out),
        };
        let changed = match self.access.filters() {
            [] => Ok(None),
            _ => self.filter(now, topic, publish),
        };
        match changed {
            Ok(None) => self.dispatch(now, topic, publish, acknowledgement, out),
            Ok(Some(changed)) => {
                self.dispatch_changed(now, topic, publish, &changed, acknowledgement, out);
            }
            Err(refused) => return self.refuse(refused, publish, acknowledgement, out),
        }
        self.settle_plugin_time(now)?;
        Ok(lasting)
    }

    #[cold]
    fn refuse(
        &mut self,
        refused: Refused,
        publish: &Publish<'_>,
        acknowledgement: Option<Acknowledgement>,
        out: &mut Vec<u8>,
    ) -> Result<bool, End> {
        self.worker.cells.add(refused.counter, 1);
        let told = self.session.version().has_reason_codes();
        if let Some(what) = refused.ours
            && publish.qos != Qos::AtMostOnce
            && !told
        {
            let failure = Failure::new(refused.reason, what);
            return Err(self.unanswered(acknowledgement, failure));
        }
        if let Some(acknowledgement) = acknowledgement {
            // Version 3 cannot be told: its message is acknowledged and dropped.
            let reason = match told {
                true => refused.reason,
                false => ReasonCode::Success,
            };
            self.session.acknowledge(acknowledgement, reason, out);
        }
        Ok(false)
    }

    #[cold]
    fn dispatch_changed(
        &mut self,
        now: Now,
        topic: TopicName<'_>,
        publish: &Publish<'_>,
        changed: &Changed,
        acknowledgement: Option<Acknowledgement>,
        out: &mut Vec<u8>,
    ) {
        let name = changed.topic.as_deref();
        let name = name.and_then(|name| TopicName::new_bounded(name, usize::MAX).ok());
        let properties = changed.properties.as_ref();
        let publish = Publish {
            payload: changed.payload.as_deref().unwrap_or(publish.payload),
            properties: properties.map_or(publish.properties, PropertiesBuf::as_properties),
            ..*publish
        };
        self.dispatch(now, name.unwrap_or(topic), &publish, acknowledgement, out);
    }

    #[inline(always)]
    fn dispatch(
        &mut self,
        now: Now,
        topic: TopicName<'_>,
        publish: &Publish<'_>,
        acknowledgement: Option<Acknowledgement>,
        out: &mut Vec<u8>,
    ) {
        let worker = self.worker.clone();
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
                .map(|interval| MessageParts::expires(interval, now.wall));
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
}
