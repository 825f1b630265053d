//! The messages of one direction: what was sent, seen on the wire, and taken.

use std::collections::{HashMap, HashSet};

use dunlin_codec::{Packet, PacketId, Publish, Qos};

/// Every message has a number, in the order in which the application had them.
pub type Number = u32;

#[derive(Debug, Default)]
pub struct Ledger {
    /// What the receiver allows on this connection.
    window: usize,
    /// Packet ids of PUBLISH packets sent on this connection and not finished.
    open: HashSet<PacketId>,
    /// Packet ids in use, on this connection or an earlier one.
    holders: HashMap<PacketId, Number>,
    /// Messages seen on the wire.
    seen: HashMap<Number, Seen>,
    connection: u32,
    submitted: Vec<(Number, Qos)>,
    arrived: HashSet<Number>,
    last_first_arrival: [Option<Number>; 3],
    taken: HashMap<Number, u32>,
    excused: HashSet<Number>,
}

#[derive(Debug)]
struct Seen {
    connection: u32,
    packet_id: Option<PacketId>,
    /// PUBREL was sent.
    released: bool,
}

impl Ledger {
    pub fn connected(&mut self, window: usize) {
        self.window = window;
        self.connection += 1;
        self.open.clear();
    }

    pub fn submitted(&mut self, number: Number, qos: Qos) {
        self.submitted.push((number, qos));
    }

    /// The sender forgot its session: what was not taken may be lost.
    pub fn forgotten(&mut self) {
        let pending = self.submitted.iter().map(|(number, _)| *number);
        self.excused
            .extend(pending.filter(|number| !self.taken.contains_key(number)));
        self.holders.clear();
    }

    /// The sender wrote this packet.
    pub fn sent(&mut self, packet: &Packet<'_>) {
        match packet {
            Packet::Publish(publish) => self.published(publish),
            Packet::Pubrel(ack) => {
                if let Some(number) = self.holders.get(&ack.packet_id) {
                    self.seen
                        .entry(*number)
                        .and_modify(|seen| seen.released = true);
                }
            }
            _ => {}
        }
    }

    fn published(&mut self, publish: &Publish<'_>) {
        let number = number(publish.payload);
        let (connection, packet_id) = (self.connection, publish.packet_id);
        if let Some(seen) = self.seen.get_mut(&number) {
            assert!(
                publish.dup,
                "{number} sent again without DUP [MQTT-3.3.1-1]"
            );
            assert_eq!(
                seen.packet_id, packet_id,
                "{number} sent again with another id"
            );
            assert!(!seen.released, "{number} sent after PUBREL [MQTT-4.3.3-6]");
            assert_ne!(seen.connection, connection, "{number} twice [MQTT-4.4.0-1]");
            seen.connection = connection;
        } else {
            assert!(!publish.dup, "{number} sent first with DUP [MQTT-4.3.2-2]");
            let seen = Seen {
                connection,
                packet_id,
                released: false,
            };
            self.seen.insert(number, seen);
        }
        let Some(packet_id) = packet_id else {
            return;
        };
        let holder = self.holders.insert(packet_id, number);
        assert!(
            holder.is_none_or(|holder| holder == number),
            "id in use [MQTT-2.2.1-4]"
        );
        self.open.insert(packet_id);
        assert!(
            self.open.len() <= self.window,
            "window exceeded [MQTT-3.3.4-9]"
        );
    }

    /// The sender is about to get this packet.
    pub fn answered(&mut self, packet: &Packet<'_>) {
        let packet_id = match packet {
            Packet::Puback(ack) | Packet::Pubcomp(ack) => ack.packet_id,
            Packet::Pubrec(ack) if ack.reason.is_error() => ack.packet_id,
            _ => return,
        };
        self.open.remove(&packet_id);
        self.holders.remove(&packet_id);
    }

    /// The receiver's application sees the message; it may refuse or forget it.
    pub fn arrived(&mut self, topic: &str, publish: &Publish<'_>) -> Number {
        let number = number(publish.payload);
        assert_eq!(topic, topic_of(number), "the topic of {number}");
        if self.arrived.insert(number) {
            let last = &mut self.last_first_arrival[publish.qos as usize];
            assert!(
                last.is_none_or(|last| last < number),
                "{number} overtook {last:?}"
            );
            *last = Some(number);
        }
        number
    }

    /// The receiver's application took the message.
    pub fn taken(&mut self, number: Number, qos: Qos) {
        let times = self.taken.entry(number).or_default();
        *times += 1;
        assert!(
            *times == 1 || qos == Qos::AtLeastOnce,
            "{number} taken twice"
        );
    }

    pub fn refused(&mut self, number: Number) {
        self.excused.insert(number);
    }

    /// Everything came to rest.
    pub fn check_nothing_lost(&self) {
        assert!(self.open.is_empty(), "flows never ended: {:?}", self.open);
        for (number, qos) in &self.submitted {
            let may_be_lost = *qos == Qos::AtMostOnce || self.excused.contains(number);
            assert!(
                may_be_lost || self.taken.contains_key(number),
                "{number} lost"
            );
        }
    }
}

pub fn topic_of(number: Number) -> String {
    format!("topic/{}", number % 3)
}

fn number(payload: &[u8]) -> Number {
    Number::from_be_bytes(payload.try_into().expect("four bytes"))
}
