//! SUBSCRIBE and UNSUBSCRIBE: asked of the rules, done by the router, answered.

use dunlin_auth::{Coverage, Decision, Subscribing};
use dunlin_codec::{
    Properties, ReasonCode, ReasonCodesBuf, Subscribe, SubscriptionOptions, Unsubscribe,
};
use dunlin_metrics::Counter;
use dunlin_router::{SubscribeRequest, Subscribed};
use dunlin_session::Failure;
use dunlin_topic::{Subscription, TopicError};
use std::num::NonZeroU32;

use crate::connection::{Connection, End};

impl Connection {
    pub fn subscribe(&mut self, subscribe: Subscribe<'_>, out: &mut Vec<u8>) -> Result<(), End> {
        let identifier = subscribe
            .properties
            .subscription_identifier()
            .and_then(NonZeroU32::new);
        // All are parsed before one is made: a packet that breaks the protocol does nothing.
        let mut filters = Vec::new();
        for (text, options) in subscribe.filters.iter() {
            filters.push((self.parse(text)?, options));
        }
        let mut reasons = ReasonCodesBuf::new();
        for (text, options) in filters {
            let reason = match text {
                Some(text) => {
                    self.subscribe_to(&text, options, identifier, subscribe.properties)?
                }
                None => {
                    self.worker.cells.add(Counter::FiltersRefused, 1);
                    ReasonCode::TopicFilterInvalid
                }
            };
            reasons.push(reason);
        }
        self.hold_subscriptions();
        self.session.subscribed(subscribe.packet_id, &reasons, out);
        Ok(())
    }

    pub fn unsubscribe(
        &mut self,
        unsubscribe: Unsubscribe<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        let mut filters = Vec::new();
        for text in unsubscribe.filters.iter() {
            filters.push(self.parse(text)?);
        }
        let mut reasons = ReasonCodesBuf::new();
        for text in filters.into_iter().map(Option::unwrap_or_default) {
            self.stop_scans(&text);
            let worker = &self.worker;
            let existed = worker
                .router
                .unsubscribe(&self.subscriber, &text, &worker.cells);
            reasons.push(match existed {
                true => ReasonCode::Success,
                false => ReasonCode::NoSubscriptionExisted,
            });
        }
        self.hold_subscriptions();
        self.session
            .unsubscribed(unsubscribe.packet_id, &reasons, out);
        Ok(())
    }

    /// Nothing more is queued for a subscription that is gone [MQTT-3.10.4-2].
    fn stop_scans(&mut self, text: &str) {
        if let Some(scans) = &mut self.scans {
            scans.retain(|scan| scan.filter() != text);
            if scans.is_empty() {
                self.scans = None;
            }
        }
    }

    fn hold_subscriptions(&mut self) {
        if self.subscriber.is_stored() {
            self.hold(self.worker.router.recorded());
        }
    }

    /// The filter below the mount point; `None` if it is deeper or longer than we take.
    ///
    /// # Errors
    /// It is none at all.
    fn parse(&self, text: &str) -> Result<Option<String>, Failure> {
        let terms = self.session.terms();
        if text.len() > terms.maximum_topic_bytes {
            return Ok(None);
        }
        let subscription = match Subscription::new_bounded(text, terms.maximum_topic_levels) {
            Ok(subscription) => subscription,
            Err(TopicError::TooDeep | TopicError::TooLong) => return Ok(None),
            Err(error) => return Err(Failure::new(ReasonCode::MalformedPacket, error.to_string())),
        };
        let filter = subscription.filter.as_str();
        let mount_point = &terms.mount_point;
        Ok(Some(match subscription.share {
            Some(share) => format!("$share/{share}/{mount_point}{filter}"),
            None => format!("{mount_point}{filter}"),
        }))
    }

    fn subscribe_to(
        &mut self,
        text: &str,
        mut options: SubscriptionOptions,
        identifier: Option<NonZeroU32>,
        properties: Properties<'_>,
    ) -> Result<ReasonCode, Failure> {
        // It parsed without the mount point, which may have made it too long.
        let Ok(subscription) = Subscription::new_bounded(text, usize::MAX) else {
            return Ok(ReasonCode::TopicFilterInvalid);
        };
        if subscription.share.is_some() && options.no_local {
            return Err(Failure::protocol(
                "No Local on a shared subscription [MQTT-3.8.3-4]",
            ));
        }
        if self.session.is_bridge() {
            options.no_local = subscription.share.is_none();
            options.retain_as_published = true;
        }
        let subscribing = Subscribing {
            filter: subscription.filter,
            qos: options.qos,
            properties,
        };
        let refused = match self.access.subscribe(&self.principal, &subscribing) {
            Decision::Allow => None,
            Decision::Unavailable => Some(ReasonCode::ImplementationSpecificError),
            Decision::Deny | Decision::Next => Some(ReasonCode::NotAuthorized),
        };
        if let Some(reason) = refused {
            self.worker.cells.add(Counter::SubscribesDenied, 1);
            return Ok(reason);
        }
        options.qos = options.qos.min(self.session.terms().maximum_qos);
        let coverage = self.access.coverage(&self.principal, subscription.filter);
        let request = SubscribeRequest {
            text,
            subscription,
            options,
            identifier,
            unchecked: coverage != Coverage::All,
        };
        let worker = &self.worker;
        // One subscription, made again and again, waits as often for its retained messages.
        let scans = self.scans.as_ref().map_or(0, |scans| scans.len());
        if scans >= worker.router.settings().maximum_subscriptions {
            worker.cells.add(Counter::SubscriptionsOverLimit, 1);
            return Ok(ReasonCode::QuotaExceeded);
        }
        let subscribed = worker
            .router
            .subscribe(&self.subscriber, request, &worker.cells);
        match subscribed {
            Subscribed::TooMany => {
                worker.cells.add(Counter::SubscriptionsOverLimit, 1);
                return Ok(ReasonCode::QuotaExceeded);
            }
            Subscribed::Retained(scan) => self.scans.get_or_insert_default().push_back(scan),
            Subscribed::Done => {}
        }
        Ok(ReasonCode::granted(options.qos))
    }
}
