//! One direction: from what the intake lets through to the destination's answer.
//!
//! ```text
//!  source ─PUBLISH─▶ intake ──map──▶ pending ──PUBLISH─▶ flights ─▶ destination
//!     ▲                │                                    │
//!     └─PUBACK, PUBREC─┴──────────── finished ◀────PUBACK, PUBCOMP
//! ```

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use dunlin_codec::{PacketId, PublishParts, Qos, ReasonCode};
use dunlin_session::client::NotSent;
use dunlin_session::{Client, Incoming, Message, MessageParts};
use dunlin_time::{Monotonic, Now};
use foldhash::fast::RandomState;

use crate::client::Side;
use crate::intake::{Gate, Intake};
use crate::map::{Map, Mapped, Origin};
use crate::status::Traffic;
use crate::topics::Place;

/// A message that is refused without a reason is tried so often.
const ATTEMPTS: u8 = 3;
/// Before a message that was refused is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// One direction of a bridge.
pub(crate) struct Pipe {
    intake: Intake,
    /// Not published yet, in order.
    pending: VecDeque<Parcel>,
    /// Bytes of `pending`.
    pending_bytes: usize,
    /// Published above QoS 0, by the destination's packet id.
    flights: HashMap<PacketId, Parcel, RandomState>,
    /// Refused for a while.
    later: VecDeque<(Monotonic, Parcel)>,
    scratch: Vec<u8>,
}

struct Parcel {
    origin: Origin,
    message: Message,
    attempts: u8,
    /// The state of the bridge itself.
    own: bool,
}

impl Pipe {
    pub fn new(from: Place) -> Self {
        Pipe {
            intake: Intake::new(from),
            pending: VecDeque::new(),
            pending_bytes: 0,
            flights: HashMap::default(),
            later: VecDeque::new(),
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
        let ahead = self.pending_bytes;
        self.intake.accept(incoming, gate, ahead, client, out);
    }

    /// Shows new messages to the map.
    pub fn map(&mut self, now: Now, map: &dyn Map, traffic: &Traffic) {
        for mapped in self.intake.map(now, usize::MAX, map, traffic) {
            self.wrap(now, mapped);
        }
    }

    fn wrap(&mut self, now: Now, mapped: Mapped) {
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
        self.pending_bytes = self.pending.iter().map(Parcel::bytes).sum();
    }

    fn queue(&mut self, parcel: Parcel) {
        self.pending_bytes += parcel.bytes();
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
            self.pending_bytes -= parcel.bytes();
            match sent {
                Ok(Some(id)) => {
                    self.flights.insert(id, parcel);
                }
                Ok(None) => {
                    traffic.carried(parcel.message.content_bytes());
                    self.intake.finish(parcel.origin);
                }
                Err(why) => {
                    let topic = parcel.message.topic();
                    tracing::debug!(topic, ?why, "the bridge dropped a message");
                    traffic.dropped();
                    self.intake.finish(parcel.origin);
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
            return self.intake.finish(parcel.origin);
        }
        parcel.attempts = parcel.attempts.saturating_add(1);
        let topic = parcel.message.topic();
        if may_pass(reason, parcel.attempts) {
            if parcel.attempts == 1 {
                let reason = reason.name();
                tracing::info!(topic, reason, "the other side of the bridge is asked again");
            }
            return self.later.push_back((now.monotonic + PAUSE, parcel));
        }
        tracing::warn!(
            topic,
            reason = reason.name(),
            "the other side of the bridge refused a message"
        );
        if !parcel.own {
            traffic.dropped();
        }
        self.intake.finish(parcel.origin);
    }

    /// Tells the source what has arrived.
    pub fn settle(&mut self, source: Option<&mut Side>) {
        self.intake.settle(source);
    }

    /// The source's connection is gone.
    pub fn source_lost(&mut self) {
        self.intake.source_lost();
    }

    /// The source is back; without its session it sends nothing again.
    pub fn source_back(&mut self, resumed: bool) {
        self.intake.source_back(resumed);
    }

    /// The destination is back. Without its session all that is in flight begins anew, also what it
    /// had confirmed in part: it may have lost it. With it, all but the messages with these numbers
    /// was sent again.
    pub fn destination_back(&mut self, resumed: bool, too_large: &[u64], traffic: &Traffic) {
        if !resumed {
            let mut flights: Vec<_> = self.flights.drain().map(|(_, parcel)| parcel).collect();
            flights.sort_unstable_by_key(|parcel| std::cmp::Reverse(parcel.origin.number));
            for parcel in flights {
                self.pending_bytes += parcel.bytes();
                self.pending.push_front(parcel);
            }
            return;
        }
        let intake = &mut self.intake;
        self.flights.retain(|_, parcel| {
            let gone = parcel.origin.number != 0 && too_large.contains(&parcel.origin.number);
            if gone {
                traffic.dropped();
                intake.finish(parcel.origin);
            }
            !gone
        });
    }

    /// Gives up all that has not arrived, but for what the bridge itself says.
    pub fn forget(&mut self, traffic: &Traffic) {
        let intake = &mut self.intake;
        intake.forget(traffic);
        let mut stays = |parcel: &Parcel| {
            if !parcel.own {
                traffic.dropped();
                intake.finish(parcel.origin);
            }
            parcel.own
        };
        self.pending.retain(&mut stays);
        self.later.retain(|(_, parcel)| stays(parcel));
        self.flights.retain(|_, parcel| stays(parcel));
        self.pending_bytes = self.pending.iter().map(Parcel::bytes).sum();
    }

    /// Whether an own message was sent and is not confirmed.
    pub fn announces(&self) -> bool {
        self.flights.values().any(|parcel| parcel.own)
    }

    /// Messages that wait to be published.
    pub fn waiting(&self) -> usize {
        self.intake.waiting() + self.pending.len()
    }

    /// Bytes of them.
    pub fn waiting_bytes(&self) -> usize {
        self.intake.bytes() + self.pending_bytes
    }

    /// Messages that the destination has not confirmed.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// When something is to be tried again.
    pub fn deadline(&self) -> Option<Monotonic> {
        let later = self.later.front().map(|(at, _)| *at);
        self.intake.deadline().into_iter().chain(later).min()
    }
}

/// Whether a refusal may be over at the next attempt. No room, a full disk or a plugin that fails say
/// nothing of the message: it is held for as long as that lasts.
fn may_pass(reason: ReasonCode, attempts: u8) -> bool {
    match reason {
        ReasonCode::QuotaExceeded | ReasonCode::ImplementationSpecificError => true,
        ReasonCode::UnspecifiedError => attempts < ATTEMPTS,
        _ => false,
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
