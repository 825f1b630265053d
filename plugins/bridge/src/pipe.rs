//! One direction: from a message's arrival at one side to its acknowledgement there.
//!
//! ```text
//!  source ─PUBLISH─▶ batch ──map──▶ pending ──PUBLISH─▶ flights ─▶ destination
//!     ▲     held (ticket)                                  │
//!     └───────PUBACK, PUBREC──────── finished ◀──PUBACK, PUBCOMP
//! ```
//!
//! What is above QoS 0 stays in the source's session until the destination has it: this memory is
//! never the only place. It is bounded by the window at the source, and `pending_bytes`.
//!
//! When the source's connection breaks, it sends again what it has no answer for, with DUP and the
//! same packet id. `held` knows these, so that they are not carried a second time.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::time::Duration;

use dunlin_codec::{PacketId, PropertiesBuf, Property, PublishParts, Qos, ReasonCode};
use dunlin_session::client::NotSent;
use dunlin_session::{Client, Incoming, Message, MessageParts, Ticket};
use dunlin_time::{Monotonic, Now};
use dunlin_topic::{LEVELS_CEILING, TopicName};
use foldhash::fast::RandomState;

use crate::client::Side;
use crate::map::{Fault, Map, Mapped, Origin};
use crate::status::Traffic;
use crate::topics::{Place, Topics};

/// The user property that names a bridge that a message crossed.
pub(crate) const CROSSED: &str = "dunlin-bridge";
/// Bridges that a message may cross.
const MAXIMUM_HOPS: usize = 16;
/// After a refusal that may pass, a message is tried again so often, after so long.
const ATTEMPTS: u8 = 3;
const PAUSE: Duration = Duration::from_secs(5);
/// After a fault of the map.
const MAP_PAUSE: Duration = Duration::from_secs(1);

/// One direction of a bridge.
pub(crate) struct Pipe {
    from: Place,
    /// Not seen by the map yet.
    batch: Vec<Mapped>,
    map_again: Option<Monotonic>,
    /// Not published yet, in order.
    pending: VecDeque<Parcel>,
    /// Bytes of `batch` and `pending`.
    waiting_bytes: usize,
    /// Published above QoS 0, by the destination's packet id.
    flights: HashMap<PacketId, Parcel, RandomState>,
    /// Refused for a while.
    later: VecDeque<(Monotonic, Parcel)>,
    /// Messages above QoS 0 by the source's packet id.
    held: HashMap<PacketId, Held, RandomState>,
    /// Arrived: the source is to be told.
    finished: Vec<Origin>,
    hasher: RandomState,
    last_number: u64,
    scratch: Vec<u8>,
}

struct Parcel {
    origin: Origin,
    message: Message,
    attempts: u8,
    /// The state of the bridge itself.
    own: bool,
}

/// A message above QoS 0 that the source has no answer for.
struct Held {
    number: u64,
    fingerprint: u64,
    /// What to answer; `None` once the connection that it came by is gone.
    ticket: Option<Ticket>,
    /// It arrived while the source was away.
    arrived: bool,
}

/// What decides about a message's way.
pub(crate) struct Gate<'g> {
    pub topics: &'g Topics,
    pub traffic: &'g Traffic,
    /// What this bridge writes into [`CROSSED`].
    pub identity: &'g str,
    /// Look at and write [`CROSSED`].
    pub mark: bool,
    pub keep_retain: bool,
    /// QoS 0 may wait: the destination is there, or will be.
    pub keep_qos_0: bool,
    pub pending_bytes: usize,
}

impl Pipe {
    pub fn new(from: Place) -> Self {
        Pipe {
            from,
            batch: Vec::new(),
            map_again: None,
            pending: VecDeque::new(),
            waiting_bytes: 0,
            flights: HashMap::default(),
            later: VecDeque::new(),
            held: HashMap::default(),
            finished: Vec::new(),
            hasher: RandomState::default(),
            last_number: 0,
            scratch: Vec::new(),
        }
    }

    /// Takes a message from the source.
    pub fn accept(
        &mut self,
        incoming: Incoming<'_>,
        gate: &Gate<'_>,
        client: &mut Client,
        out: &mut Vec<u8>,
    ) {
        let topic = match &incoming.topic {
            dunlin_session::ResolvedTopic::Packet(topic) => Ok(*topic),
            dunlin_session::ResolvedTopic::Alias(topic) => {
                TopicName::new_bounded(topic, LEVELS_CEILING)
            }
        };
        let publish = &incoming.publish;
        let renamed = topic
            .ok()
            .and_then(|topic| gate.topics.rename(self.from, topic));
        let Some(renamed) = renamed.filter(|_| !gate.has_crossed(publish)) else {
            gate.traffic.filtered();
            if let Some(acknowledgement) = incoming.acknowledgement {
                client.acknowledge(acknowledgement, ReasonCode::Success, out);
            }
            return;
        };
        let mut origin = Origin {
            number: self.last_number + 1,
            packet_id: None,
        };
        if let (Some(acknowledgement), Some(id)) = (incoming.acknowledgement, publish.packet_id) {
            let content = (incoming.topic.as_str(), publish.payload);
            let fingerprint = self.hasher.hash_one(content);
            let ticket = Some(client.postpone(acknowledgement));
            if publish.dup && self.recognize(id, fingerprint, ticket) {
                return;
            }
            origin.packet_id = Some(id);
            let held = Held {
                number: origin.number,
                fingerprint,
                ticket,
                arrived: false,
            };
            self.held.insert(id, held);
        } else if !gate.keep_qos_0 || self.waiting_bytes > gate.pending_bytes {
            return gate.traffic.dropped();
        }
        self.last_number = origin.number;
        let mapped = Mapped {
            topic: renamed.into_owned(),
            payload: publish.payload.to_vec(),
            qos: publish.qos,
            retain: publish.retain && gate.keep_retain,
            properties: gate.properties(publish),
            expiry: publish.properties.message_expiry_interval(),
            origin,
        };
        self.waiting_bytes += mapped.bytes();
        self.batch.push(mapped);
    }

    /// A message that the source sends again: whether it is on its way, or arrived.
    fn recognize(&mut self, id: PacketId, fingerprint: u64, ticket: Option<Ticket>) -> bool {
        let Some(held) = self.held.get_mut(&id) else {
            return false;
        };
        if held.fingerprint != fingerprint {
            return false;
        }
        held.ticket = ticket;
        if held.arrived {
            self.finished.push(Origin {
                number: held.number,
                packet_id: Some(id),
            });
        }
        true
    }

    /// Shows new messages to the map.
    pub fn map(&mut self, now: Now, map: &dyn Map, traffic: &Traffic) {
        if self.batch.is_empty() || self.map_again.is_some_and(|at| now.monotonic < at) {
            return;
        }
        let before: Vec<_> = self.batch.iter().map(|mapped| mapped.origin).collect();
        if let Err(Fault(fault)) = match self.from {
            Place::Local => map.egress(&mut self.batch),
            Place::Remote => map.ingress(&mut self.batch),
        } {
            if self.map_again.is_none() {
                tracing::warn!(fault, "the bridge's map failed: its messages wait");
            }
            self.map_again = Some(now.monotonic + MAP_PAUSE);
            return;
        }
        self.map_again = None;
        self.waiting_bytes = self.pending.iter().map(Parcel::bytes).sum();
        // The order is kept, or the map takes the blame for one number that it put aside.
        let mut left = before.into_iter().peekable();
        for mapped in std::mem::take(&mut self.batch) {
            let number = mapped.origin.number;
            while let Some(gone) = left.next_if(|origin| number != 0 && origin.number < number) {
                traffic.filtered();
                self.finished.push(gone);
            }
            left.next_if(|origin| origin.number == number);
            self.wrap(now, mapped, traffic);
        }
        for gone in left {
            traffic.filtered();
            self.finished.push(gone);
        }
    }

    fn wrap(&mut self, now: Now, mapped: Mapped, traffic: &Traffic) {
        if TopicName::new_bounded(&mapped.topic, LEVELS_CEILING).is_err() {
            traffic.dropped();
            return self.finished.push(mapped.origin);
        }
        let lives = |seconds: u32| now.wall + Duration::from_secs(seconds.into());
        let parts = MessageParts {
            publisher: mapped.origin.number,
            qos: mapped.qos,
            retain: mapped.retain,
            expires: mapped.expiry.map(lives),
            topic: &mapped.topic,
            forwarded: mapped.properties.as_properties().as_bytes(),
            payload: &mapped.payload,
        };
        let message = Message::new(parts, &mut self.scratch);
        self.queue(Parcel {
            origin: mapped.origin,
            message,
            attempts: 0,
            own: false,
        });
    }

    /// A message of the bridge's own, at QoS 1 and retained, in the place of one that waits.
    pub fn announce(&mut self, topic: &str, payload: &[u8]) {
        self.pending.retain(|parcel| !parcel.own);
        let parts = MessageParts {
            publisher: 0,
            qos: Qos::AtLeastOnce,
            retain: true,
            expires: None,
            topic,
            forwarded: &[],
            payload,
        };
        let message = Message::new(parts, &mut self.scratch);
        self.queue(Parcel {
            origin: Origin::default(),
            message,
            attempts: 0,
            own: true,
        });
        self.waiting_bytes = self.pending.iter().map(Parcel::bytes).sum();
        self.waiting_bytes += self.batch.iter().map(Mapped::bytes).sum::<usize>();
    }

    fn queue(&mut self, parcel: Parcel) {
        self.waiting_bytes += parcel.bytes();
        self.pending.push_back(parcel);
    }

    /// Publishes what the destination has room for; `largest` is the most bytes of a packet.
    pub fn carry(&mut self, now: Now, to: &mut Side, largest: Option<u32>, traffic: &Traffic) {
        while let Some((_, parcel)) = self.later.pop_front_if(|(at, _)| *at <= now.monotonic) {
            self.queue(parcel);
        }
        while let Some(parcel) = self.pending.front_mut() {
            let message = parcel.adapt(to, &mut self.scratch);
            let above_0 = message.qos() != Qos::AtMostOnce;
            if (above_0 && to.room() == 0) || !to.wire.has_room() {
                return;
            }
            let fits = largest.is_none_or(|most| size(message, to) <= most as usize);
            let sent = match fits {
                true => to.client.publish(now, message.clone(), &mut to.wire.output),
                false => Err(NotSent::TooLarge),
            };
            if sent == Err(NotSent::Full) {
                return;
            }
            let Some(parcel) = self.pending.pop_front() else {
                return;
            };
            self.waiting_bytes -= parcel.bytes();
            match sent {
                Ok(Some(id)) => {
                    self.flights.insert(id, parcel);
                }
                Ok(None) => {
                    traffic.carried(parcel.message.content_bytes());
                    self.finished.push(parcel.origin);
                }
                Err(why) => {
                    let topic = parcel.message.topic();
                    tracing::debug!(topic, ?why, "the bridge dropped a message");
                    traffic.dropped();
                    self.finished.push(parcel.origin);
                }
            }
        }
    }

    /// The destination's answer to a message.
    pub fn answered(&mut self, now: Now, id: PacketId, reason: ReasonCode, traffic: &Traffic) {
        let Some(mut parcel) = self.flights.remove(&id) else {
            return;
        };
        if !reason.is_error() {
            if !parcel.own {
                traffic.carried(parcel.message.content_bytes());
            }
            return self.finished.push(parcel.origin);
        }
        let may_pass = matches!(
            reason,
            ReasonCode::UnspecifiedError
                | ReasonCode::ImplementationSpecificError
                | ReasonCode::QuotaExceeded
        );
        parcel.attempts += 1;
        if may_pass && parcel.attempts < ATTEMPTS {
            return self.later.push_back((now.monotonic + PAUSE, parcel));
        }
        let topic = parcel.message.topic();
        tracing::warn!(
            topic,
            reason = reason.name(),
            "the other side of the bridge refused a message"
        );
        if !parcel.own {
            traffic.dropped();
        }
        self.finished.push(parcel.origin);
    }

    /// Tells the source what has arrived.
    pub fn settle(&mut self, mut source: Option<&mut Side>) {
        for Origin { number, packet_id } in self.finished.drain(..) {
            let Some(id) = packet_id else {
                continue;
            };
            let Some(held) = self.held.get_mut(&id).filter(|held| held.number == number) else {
                continue;
            };
            match (held.ticket, source.as_deref_mut()) {
                (Some(ticket), Some(source)) => {
                    let output = &mut source.wire.output;
                    source.client.settle(ticket, ReasonCode::Success, output);
                    self.held.remove(&id);
                }
                _ => held.arrived = true,
            }
        }
    }

    /// The source's connection is gone: its tickets are void.
    pub fn source_lost(&mut self) {
        self.held.values_mut().for_each(|held| held.ticket = None);
    }

    /// The source is back; without its session it sends nothing again.
    pub fn source_back(&mut self, resumed: bool) {
        if !resumed {
            self.held.clear();
        }
    }

    /// The destination is back. Without its session all that is in flight begins anew, also what it
    /// had confirmed in part: it may have lost it. With it, all but the messages with these numbers
    /// was sent again.
    pub fn destination_back(&mut self, resumed: bool, too_large: &[u64], traffic: &Traffic) {
        if !resumed {
            let mut flights: Vec<_> = self.flights.drain().map(|(_, parcel)| parcel).collect();
            flights.sort_unstable_by_key(|parcel| std::cmp::Reverse(parcel.origin.number));
            for parcel in flights {
                self.waiting_bytes += parcel.bytes();
                self.pending.push_front(parcel);
            }
            return;
        }
        let finished = &mut self.finished;
        self.flights.retain(|_, parcel| {
            let gone = parcel.origin.number != 0 && too_large.contains(&parcel.origin.number);
            if gone {
                traffic.dropped();
                finished.push(parcel.origin);
            }
            !gone
        });
    }

    /// Whether an own message was sent and is not confirmed.
    pub fn announces(&self) -> bool {
        self.flights.values().any(|parcel| parcel.own)
    }

    /// Messages that wait to be published.
    pub fn waiting(&self) -> usize {
        self.batch.len() + self.pending.len()
    }

    /// Bytes of them.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Messages that the destination has not confirmed.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// When something is to be tried again.
    pub fn deadline(&self) -> Option<Monotonic> {
        let later = self.later.front().map(|(at, _)| *at);
        self.map_again.into_iter().chain(later).min()
    }
}

impl Parcel {
    fn bytes(&self) -> usize {
        size_of::<Parcel>() + self.message.memory()
    }

    /// Lowers the message to what the destination takes.
    fn adapt(&mut self, to: &Side, scratch: &mut Vec<u8>) -> &Message {
        let message = &self.message;
        let too_much = message.qos() > to.maximum_qos || (message.retain() && !to.retain);
        if too_much {
            let parts = MessageParts {
                publisher: message.publisher(),
                qos: message.qos().min(to.maximum_qos),
                retain: message.retain() && to.retain,
                expires: message.expires(),
                topic: message.topic(),
                forwarded: message.forwarded(),
                payload: message.payload(),
            };
            self.message = Message::new(parts, scratch);
        }
        &self.message
    }
}

/// Bytes of the packet, without an alias.
fn size(message: &Message, to: &Side) -> usize {
    let parts = PublishParts {
        qos: message.qos(),
        topic: message.topic_bytes(),
        packet_id: (message.qos() != Qos::AtMostOnce).then_some(PacketId::MIN),
        forwarded: message.forwarded(),
        message_expiry_interval: message.expires().map(|_| 0),
        payload: message.payload(),
        ..PublishParts::default()
    };
    parts.encoded_len(to.version)
}

impl Gate<'_> {
    /// Whether a message was carried by this bridge before, or by too many.
    fn has_crossed(&self, publish: &dunlin_codec::Publish<'_>) -> bool {
        if !self.mark || publish.properties.is_empty() {
            return false;
        }
        let mut hops = 0;
        for (key, bridge) in publish.properties.user_properties() {
            if key == CROSSED {
                hops += 1;
                if bridge == self.identity || hops >= MAXIMUM_HOPS {
                    return true;
                }
            }
        }
        false
    }

    fn properties(&self, publish: &dunlin_codec::Publish<'_>) -> PropertiesBuf {
        let mut properties = PropertiesBuf::new();
        let own = self
            .mark
            .then_some(Property::UserProperty(CROSSED, self.identity));
        for property in publish.properties.iter().chain(own) {
            let one_hop = matches!(
                property,
                Property::TopicAlias(_)
                    | Property::SubscriptionIdentifier(_)
                    | Property::MessageExpiryInterval(_)
            );
            if !one_hop {
                // What was decoded has an encoding; ours is as short as a client id.
                let _ = properties.push(property);
            }
        }
        properties
    }
}
