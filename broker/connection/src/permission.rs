//! What the client may do, and what becomes of what it publishes before it is routed.

use std::num::NonZeroU32;
use std::time::Duration;

use dunlin_auth::{
    Access, Action, Decision, DecisionMemo, Details, Filtered, Principal, Publishing, Question,
    Remembered, Replacement,
};
use dunlin_codec::{Properties, PropertiesBuf, Property, Publish, Qos, ReasonCode};
use dunlin_metrics::Counter;
use dunlin_session::{Delivery, Failure, Will};
use dunlin_time::{Monotonic, Now};
use dunlin_topic::TopicName;

use crate::connection::{Connection, End};
use crate::rate::{Bucket, RateLimit};

/// Microseconds a second that plugins may work for a client before it is read more slowly. As much
/// again, and it is closed.
const PLUGIN_TIME: RateLimit = RateLimit {
    per_second: NonZeroU32::new(10_000).expect("it is not zero"),
};

/// Why a message is not taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    pub counter: Counter,
    pub reason: ReasonCode,
    /// For a client that cannot be told, if the fault is not its own: then an acknowledgement would
    /// lie to it.
    pub ours: Option<&'static str>,
}

/// Below it bridges say how they do, as Mosquitto's.
const BRIDGE_STATES: &str = "$SYS/broker/connection/";

const TOO_LARGE: Refused = Refused {
    counter: Counter::PublishesTooLarge,
    reason: ReasonCode::QuotaExceeded,
    ours: None,
};
const DENIED: Refused = Refused {
    counter: Counter::PublishesDenied,
    reason: ReasonCode::NotAuthorized,
    ours: None,
};
const UNDECIDED: Refused = Refused {
    counter: Counter::PublishesUndecided,
    reason: ReasonCode::ImplementationSpecificError,
    ours: Some("a plugin failed: messages above QoS 0 are not taken"),
};
const STORAGE_FULL: Refused = Refused {
    counter: Counter::PublishesStorageFull,
    reason: ReasonCode::QuotaExceeded,
    ours: Some("the disk is full: messages above QoS 0 are not taken"),
};

/// What filters have put in the place of parts of a message.
#[derive(Default)]
pub(crate) struct Changed {
    pub topic: Option<String>,
    pub payload: Option<Vec<u8>>,
    pub properties: Option<PropertiesBuf>,
}

impl Connection {
    /// Whether a message is taken; and if so, whether more of the same are.
    #[inline]
    pub fn check_publish(
        &mut self,
        now: Now,
        topic: TopicName<'_>,
        is_known: bool,
        publish: &Publish<'_>,
    ) -> Result<bool, Refused> {
        if publish.payload.len() > self.session.terms().maximum_payload_bytes {
            return Err(TOO_LARGE);
        }
        if (publish.retain || publish.qos != Qos::AtMostOnce)
            && self.worker.router.is_short_of_storage()
        {
            return Err(STORAGE_FULL);
        }
        match is_known {
            true => Ok(true),
            false => self.may_publish(now, topic, publish),
        }
    }

    fn may_publish(
        &mut self,
        now: Now,
        topic: TopicName<'_>,
        publish: &Publish<'_>,
    ) -> Result<bool, Refused> {
        // `$SYS` is ours; other names with `$` are used by services that clients talk to.
        if topic.as_str().starts_with("$SYS/") {
            let state = topic.as_str().strip_prefix(BRIDGE_STATES);
            match state.and_then(|state| state.strip_suffix("/state")) {
                Some(_) if self.listener.limits.load().bridge => return Ok(true),
                // Another broker's bridge about itself.
                Some(name) if name == self.principal.client_id() => {}
                _ => return Err(DENIED),
            }
        }
        let question = Question {
            action: Action::Publish,
            topic,
            qos: publish.qos,
            retain: publish.retain,
            properties: publish.properties,
        };
        let known = self.ask(&question, now.monotonic);
        match known.decision {
            Decision::Allow => Ok(known.holds),
            Decision::Unavailable => Err(UNDECIDED),
            Decision::Deny | Decision::Next => Err(DENIED),
        }
    }

    pub fn may_receive(&mut self, delivery: &Delivery, now: Monotonic) -> bool {
        may_receive(&mut self.memo, &self.access, &self.principal, delivery, now)
    }

    fn ask(&mut self, question: &Question<'_>, now: Monotonic) -> Remembered {
        self.memo
            .authorize(&self.access, &self.principal, question, now)
    }

    /// Shows a message to the filters; `None` if none has changed it.
    pub fn filter(
        &mut self,
        now: Now,
        topic: TopicName<'_>,
        publish: &Publish<'_>,
    ) -> Result<Option<Changed>, Refused> {
        let access = self.access.clone();
        let mut changed: Option<Changed> = None;
        for filter in access.filters() {
            let current = changed.as_ref();
            let payload = current.and_then(|changed| changed.payload.as_deref());
            let properties = current.and_then(|changed| changed.properties.as_ref());
            let name = current.and_then(|changed| changed.topic.as_deref());
            let message = Publishing {
                topic: match name {
                    Some(name) => {
                        TopicName::new_bounded(name, usize::MAX).map_err(|_| UNDECIDED)?
                    }
                    None => topic,
                },
                payload: payload.unwrap_or(publish.payload),
                qos: publish.qos,
                retain: publish.retain,
                properties: properties.map_or(publish.properties, PropertiesBuf::as_properties),
            };
            if !filter.concerns(message.topic) {
                continue;
            }
            match filter.on_publish(&self.principal, &message) {
                Filtered::Pass => {}
                Filtered::Drop(reason) => {
                    tracing::debug!(topic = %message.topic, reason, "a filter dropped a message");
                    return Err(Refused {
                        counter: Counter::PublishesFiltered,
                        ..DENIED
                    });
                }
                Filtered::Unavailable => return Err(UNDECIDED),
                Filtered::Replace(replacement) => {
                    let properties = replaced(message.properties, &replacement);
                    let changed = changed.get_or_insert_default();
                    changed.properties = properties?.or(changed.properties.take());
                    changed.topic = replacement.topic.or(changed.topic.take());
                    changed.payload = replacement.payload.or(changed.payload.take());
                }
            }
        }
        if let Some(changed) = &changed {
            self.check_changed(now, changed, publish)?;
        }
        Ok(changed)
    }

    /// A plugin does not widen what its client may do.
    fn check_changed(
        &mut self,
        now: Now,
        changed: &Changed,
        publish: &Publish<'_>,
    ) -> Result<(), Refused> {
        let terms = self.session.terms();
        let bytes = changed.payload.as_ref().map_or(0, Vec::len);
        if bytes > terms.maximum_payload_bytes {
            return Err(TOO_LARGE);
        }
        let Some(name) = &changed.topic else {
            return Ok(());
        };
        let topic = TopicName::new_bounded(name, terms.maximum_topic_levels);
        let topic = topic.map_err(|_| UNDECIDED)?;
        self.may_publish(now, topic, publish).map(drop)
    }

    /// The will as it is to be published; `None` if it may not be.
    pub fn permitted_will(&mut self, now: Now, mut will: Will) -> Option<Will> {
        let permitted = self.check_will(now, &will);
        match permitted {
            Ok(changed) => {
                if let Some(topic) = changed.topic {
                    will.topic = topic.into();
                }
                if let Some(payload) = changed.payload {
                    will.payload = payload.into();
                }
                if let Some(properties) = changed.properties {
                    will.forwarded = properties.as_properties().as_bytes().into();
                }
                Some(will)
            }
            Err(refused) => {
                self.worker.cells.add(refused.counter, 1);
                None
            }
        }
    }

    fn check_will(&mut self, now: Now, will: &Will) -> Result<Changed, Refused> {
        let topic = TopicName::new_bounded(&will.topic, usize::MAX).map_err(|_| DENIED)?;
        let publish = Publish {
            qos: will.qos,
            retain: will.retain,
            topic: &will.topic,
            properties: will.properties(),
            payload: &will.payload,
            ..Publish::default()
        };
        self.may_publish(now, topic, &publish)?;
        Ok(self.filter(now, topic, &publish)?.unwrap_or_default())
    }

    /// Takes the rules of this turn, and with them what else a reload may have changed.
    pub fn refresh_access(&mut self, now: Now) {
        let current = self.listener.access.load();
        if std::sync::Arc::ptr_eq(&current, &self.access) {
            return;
        }
        self.access = current.clone();
        self.take_rates(now);
        if self.access.wants_details() && self.principal.details().is_none() {
            let details = Details {
                address: self.address,
                listener: self.listener.name.clone(),
                ..Details::default()
            };
            self.principal = self.principal.clone().with_details(details);
        }
    }

    /// Puts the time that plugins have worked for the client on its account.
    ///
    /// # Errors
    /// It is far overdrawn.
    #[inline]
    pub fn settle_plugin_time(&mut self, now: Now) -> Result<(), End> {
        match self.principal.take_charge() {
            Duration::ZERO => Ok(()),
            time => self.charge_plugin_time(now, time),
        }
    }

    fn charge_plugin_time(&mut self, now: Now, time: Duration) -> Result<(), End> {
        let account = &mut self.rare().plugin_time;
        let account = account.get_or_insert_with(|| Bucket::new(PLUGIN_TIME, now.monotonic));
        account.take(
            u64::try_from(time.as_micros()).unwrap_or(u64::MAX),
            now.monotonic,
        );
        if !account.is_overdrawn() {
            return Ok(());
        }
        self.worker.cells.add(Counter::PluginTimeExceeded, 1);
        Err(End::Failed(Failure::new(
            ReasonCode::QuotaExceeded,
            "plugins worked more than 20 ms in a second for this client",
        )))
    }
}

/// Whether a client may have a message.
pub(crate) fn may_receive(
    memo: &mut DecisionMemo,
    access: &Access,
    who: &Principal,
    delivery: &Delivery,
    now: Monotonic,
) -> bool {
    let topic = delivery.message.topic_bytes();
    if let Some(allowed) = memo.recall_bytes(access, Action::Receive, topic, now) {
        return allowed;
    }
    let Ok(topic) = TopicName::new_bounded(delivery.message.topic(), usize::MAX) else {
        return false;
    };
    let question = Question {
        qos: delivery.qos,
        retain: delivery.retain,
        ..Question::new(Action::Receive, topic)
    };
    memo.authorize(access, who, &question, now).decision == Decision::Allow
}

/// Whether anybody is to be told this of a client.
pub(crate) fn details_wanted(access: &Access, found: &Details) -> bool {
    access.wants_details() || found.rules.is_some() || !found.attributes.is_empty()
}

/// The properties with the replacement's in the place of their like.
fn replaced(
    properties: Properties<'_>,
    replacement: &Replacement,
) -> Result<Option<PropertiesBuf>, Refused> {
    let (users, content_type) = (&replacement.user_properties, &replacement.content_type);
    if users.is_none() && content_type.is_none() {
        return Ok(None);
    }
    let kept = properties.iter().filter(|property| match property {
        Property::UserProperty(..) => users.is_none(),
        Property::ContentType(_) => content_type.is_none(),
        _ => true,
    });
    let users = users.iter().flatten();
    let users = users.map(|(name, value)| Property::UserProperty(name, value));
    let content_type = content_type.as_deref().map(Property::ContentType);
    let mut all = PropertiesBuf::new();
    for property in kept.chain(users).chain(content_type) {
        all.push(property).map_err(|_| UNDECIDED)?;
    }
    Ok(Some(all))
}
