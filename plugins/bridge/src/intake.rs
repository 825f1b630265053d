//! The source's half of a direction: from a message's arrival to its acknowledgement.
//!
//! ```text
//!  source ─PUBLISH─▶ accept ─▶ queue ──map──▶ to be carried
//!     ▲     held (ticket)                        │
//!     └───────PUBACK, PUBREC──── settle ◀── finished
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

use dunlin_codec::{PacketId, PropertiesBuf, Property, Publish, ReasonCode};
use dunlin_session::{Client, Incoming, ResolvedTopic, Ticket};
use dunlin_time::{Monotonic, Now};
use dunlin_topic::{LEVELS_CEILING, TopicName};
use foldhash::fast::RandomState;

use crate::client::Side;
use crate::map::{Fault, Map, Mapped, Origin};
use crate::status::Traffic;
use crate::topics::{Place, Topics};

/// The user property that names a bridge that a message crossed.
const CROSSED: &str = "dunlin-bridge";
/// Bridges that a message may cross.
const MAXIMUM_HOPS: usize = 16;
/// After a fault of the map.
const MAP_PAUSE: Duration = Duration::from_secs(1);

/// What a source has sent.
pub(crate) struct Intake {
    from: Place,
    /// Not seen by the map yet, in order.
    queue: VecDeque<Mapped>,
    /// Bytes of `queue`.
    bytes: usize,
    map_again: Option<Monotonic>,
    /// Messages above QoS 0 by the source's packet id.
    held: HashMap<PacketId, Held, RandomState>,
    /// Arrived: the source is to be told.
    finished: Vec<Origin>,
    hasher: RandomState,
    last_number: u64,
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
    pub now: Monotonic,
    pub topics: &'g Topics,
    pub traffic: &'g Traffic,
    /// What this bridge writes into [`CROSSED`].
    pub identity: &'g str,
    /// Look at and write [`CROSSED`].
    pub mark: bool,
    pub keep_retain: bool,
    /// Messages may wait for the destination.
    pub keep: bool,
    /// QoS 0 may, too: the destination is there, or will be.
    pub keep_qos_0: bool,
    pub pending_bytes: usize,
}

impl Intake {
    pub fn new(from: Place) -> Self {
        Intake {
            from,
            queue: VecDeque::new(),
            bytes: 0,
            map_again: None,
            held: HashMap::default(),
            finished: Vec::new(),
            hasher: RandomState::default(),
            last_number: 0,
        }
    }

    /// Takes a message from the source. `ahead` is the bytes of messages that wait elsewhere.
    pub fn accept(
        &mut self,
        incoming: Incoming<'_>,
        gate: &Gate<'_>,
        ahead: usize,
        client: &mut Client,
        out: &mut Vec<u8>,
    ) {
        let topic = match &incoming.topic {
            ResolvedTopic::Packet(topic) => Ok(*topic),
            ResolvedTopic::Alias(topic) => TopicName::new_bounded(topic, LEVELS_CEILING),
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
            arrived: gate.now,
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
        } else if !gate.keep_qos_0 || ahead + self.bytes > gate.pending_bytes {
            return gate.traffic.dropped();
        }
        self.last_number = origin.number;
        if !gate.keep {
            gate.traffic.dropped();
            return self.finish(origin);
        }
        let mapped = Mapped {
            topic: renamed.into_owned(),
            payload: publish.payload.to_vec(),
            qos: publish.qos,
            retain: publish.retain && gate.keep_retain,
            properties: gate.properties(publish),
            expiry: publish.properties.message_expiry_interval(),
            origin,
        };
        self.bytes += mapped.bytes();
        self.queue.push_back(mapped);
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
                ..Origin::default()
            });
        }
        true
    }

    /// Shows the first `count` messages to the map: what is to be carried. Nothing while the map
    /// fails.
    pub fn map(&mut self, now: Now, count: usize, map: &dyn Map, traffic: &Traffic) -> Vec<Mapped> {
        if self.queue.is_empty() || self.map_again.is_some_and(|at| now.monotonic < at) {
            return Vec::new();
        }
        let mut batch = self.take(count);
        batch.retain_mut(|mapped| {
            let alive = mapped.age(now.monotonic);
            if !alive {
                traffic.dropped();
                self.finished.push(mapped.origin);
            }
            alive
        });
        if batch.is_empty() {
            return batch;
        }
        let before: Vec<_> = batch.iter().map(|mapped| mapped.origin).collect();
        if let Err(Fault(fault)) = match self.from {
            Place::Local => map.egress(&mut batch),
            Place::Remote => map.ingress(&mut batch),
        } {
            if self.map_again.is_none() {
                tracing::warn!(fault, "the bridge's map failed: its messages wait");
            }
            self.map_again = Some(now.monotonic + MAP_PAUSE);
            self.put_back(batch);
            return Vec::new();
        }
        self.map_again = None;
        // The order is kept, or the map takes the blame for one number that it put aside.
        let mut left = before.into_iter().peekable();
        batch.retain(|mapped| {
            let number = mapped.origin.number;
            while let Some(gone) = left.next_if(|origin| number != 0 && origin.number < number) {
                traffic.filtered();
                self.finished.push(gone);
            }
            left.next_if(|origin| origin.number == number);
            let is_name = TopicName::new_bounded(&mapped.topic, LEVELS_CEILING).is_ok();
            if !is_name {
                traffic.dropped();
                self.finished.push(mapped.origin);
            }
            is_name
        });
        for gone in left {
            traffic.filtered();
            self.finished.push(gone);
        }
        batch
    }

    fn take(&mut self, count: usize) -> Vec<Mapped> {
        let batch: Vec<_> = match count >= self.queue.len() {
            true => std::mem::take(&mut self.queue).into(),
            false => self.queue.drain(..count).collect(),
        };
        self.bytes -= batch.iter().map(Mapped::bytes).sum::<usize>();
        batch
    }

    fn put_back(&mut self, batch: Vec<Mapped>) {
        self.bytes += batch.iter().map(Mapped::bytes).sum::<usize>();
        for mapped in batch.into_iter().rev() {
            self.queue.push_front(mapped);
        }
    }

    /// Gives up what waits for the map.
    pub fn forget(&mut self, traffic: &Traffic) {
        self.bytes = 0;
        for mapped in self.queue.drain(..) {
            traffic.dropped();
            self.finished.push(mapped.origin);
        }
    }

    /// A message is where it should be, or will never be.
    pub fn finish(&mut self, origin: Origin) {
        self.finished.push(origin);
    }

    /// Tells the source what has arrived.
    pub fn settle(&mut self, mut source: Option<&mut Side>) {
        for Origin {
            number, packet_id, ..
        } in self.finished.drain(..)
        {
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

    /// Messages that wait for the map.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Bytes of them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// When a map that failed is to be asked again.
    pub fn deadline(&self) -> Option<Monotonic> {
        self.map_again
    }
}

/// For a destination that takes several messages at once.
#[cfg(feature = "webhooks")]
impl Intake {
    /// How many of the first messages go together: at most `most`, with payloads of `most_bytes`
    /// or one that is larger. And whether more would not fit.
    pub fn portion(&self, most: usize, most_bytes: usize) -> (usize, bool) {
        let mut bytes = 0;
        let fits = |mapped: &&Mapped| {
            bytes += mapped.payload.len();
            bytes <= most_bytes
        };
        let fitting = self.queue.iter().take(most).take_while(fits).count();
        let count = fitting.max(1);
        (count, count == most || fitting < self.queue.len())
    }

    /// When the first message that waits came.
    pub fn oldest(&self) -> Option<Monotonic> {
        self.queue.front().map(|mapped| mapped.origin.arrived)
    }

    /// What waits for the map.
    pub fn queue(&self) -> impl Iterator<Item = &Mapped> {
        self.queue.iter()
    }
}

impl Gate<'_> {
    /// Whether a message was carried by this bridge before, or by too many.
    fn has_crossed(&self, publish: &Publish<'_>) -> bool {
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

    fn properties(&self, publish: &Publish<'_>) -> PropertiesBuf {
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

#[cfg(all(test, feature = "webhooks"))]
mod tests {
    use super::*;

    #[test]
    fn a_portion_is_closed_by_number_or_bytes() {
        let mut intake = Intake::new(Place::Local);
        let sizes = |intake: &mut Intake, sizes: &[usize]| {
            let messages = sizes.iter().map(|size| vec![0; *size]);
            let messages = messages.map(|payload| Mapped::new("t".into(), payload));
            intake.queue = messages.collect();
        };
        for (queue, expected) in [
            (&[1, 1][..], (2, false)),
            (&[1, 1, 1], (3, true)),
            (&[1, 1, 1, 1], (3, true)),
            (&[5, 5], (2, false)),
            (&[5, 5, 0], (3, true)),
            (&[5, 6], (1, true)),
            (&[10], (1, false)),
            (&[11], (1, true)),
            (&[11, 1], (1, true)),
        ] {
            sizes(&mut intake, queue);
            assert_eq!(intake.portion(3, 10), expected, "{queue:?}");
        }
    }
}
