use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::mpsc::Sender;

use dunlin_codec::{Ack, Packet, PacketId, Publish, Qos, ReasonCode, Version};

use crate::persistent::Persistent;
use crate::support::{Client, Frame, id};

/// Messages that it has open at once.
const WINDOW: usize = 16;

/// A client that publishes numbers, and keeps what is open across connections as the standards say.
///
/// ```text
///  PUBLISH ─▶ PUBACK: acknowledged                        (QoS 1)
///  PUBLISH ─▶ PUBREC: acknowledged ─▶ PUBREL ─▶ PUBCOMP   (QoS 2)
/// ```
pub struct Publisher {
    who: Persistent,
    qos: Qos,
    topic: String,
    payload_bytes: usize,
    /// Sent, and not answered to the end; in order.
    open: VecDeque<Open>,
    /// The next number to publish: all below it were sent at least once.
    next: u32,
    /// Numbers whose PUBACK or PUBREC came.
    acknowledged: BTreeSet<u32>,
    /// Those of which it said that there is no room.
    refused: u32,
}

#[derive(Clone, Copy)]
struct Open {
    number: u32,
    /// PUBREC came: from here on only PUBREL is sent [MQTT-4.3.3-6].
    received: bool,
}

/// When a publisher stops by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Never: the broker dies.
    Killed,
    /// All that it began is answered.
    Settled,
}

impl Publisher {
    /// A client that has published nothing; its topic is `load/` and its client id.
    pub fn new(client_id: String, version: Version, qos: Qos, payload_bytes: usize) -> Self {
        Publisher {
            topic: format!("load/{client_id}"),
            payload_bytes,
            who: Persistent::new(client_id, version),
            qos,
            open: VecDeque::new(),
            next: 0,
            acknowledged: BTreeSet::new(),
            refused: 0,
        }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The QoS of all its messages.
    pub fn qos(&self) -> Qos {
        self.qos
    }

    /// The message of a number.
    pub fn payload(&self, number: u32) -> String {
        let width = self.payload_bytes;
        format!("{number:>width$}")
    }

    /// All numbers below were published.
    pub fn published(&self) -> u32 {
        self.next
    }

    /// Those that the broker took.
    pub fn acknowledged(&self) -> &BTreeSet<u32> {
        &self.acknowledged
    }

    /// How many it refused, having no room.
    pub fn refused(&self) -> u32 {
        self.refused
    }

    /// Connects, sends again what is open, and publishes until the end; `acknowledged` hears of each
    /// acknowledgement.
    pub fn run(&mut self, address: SocketAddr, until: Until, acknowledged: &Sender<()>) {
        let Some(mut client) = self.who.connect(address) else {
            return;
        };
        // In the order of the first time [MQTT-4.6.0-1].
        for open in self.open.clone() {
            self.send(&mut client, open, true);
        }
        loop {
            while until == Until::Killed && self.open.len() < WINDOW {
                self.send_next(&mut client);
            }
            if self.open.is_empty() {
                return;
            }
            let Some(frame) = client.read_until_gone() else {
                return;
            };
            let before = self.acknowledged.len();
            self.take(&mut client, &frame);
            if self.acknowledged.len() > before {
                // The test may have seen enough.
                let _ = acknowledged.send(());
            }
        }
    }

    fn send_next(&mut self, client: &mut Client) {
        let open = Open {
            number: self.next,
            received: false,
        };
        self.next += 1;
        self.open.push_back(open);
        self.send(client, open, false);
    }

    fn send(&self, client: &mut Client, open: Open, dup: bool) {
        let packet_id = packet_id(open.number);
        if open.received {
            return client.send_if_there(&Packet::Pubrel(Ack::success(packet_id)));
        }
        client.send_if_there(&Packet::Publish(Publish {
            topic: &self.topic,
            payload: self.payload(open.number).as_bytes(),
            qos: self.qos,
            retain: true,
            dup,
            packet_id: Some(packet_id),
            ..Publish::default()
        }));
    }

    fn take(&mut self, client: &mut Client, frame: &Frame) {
        match frame.packet() {
            Packet::Puback(ack) => {
                if let Some(open) = self.answered(ack) {
                    let number = open.number;
                    self.acknowledged.insert(number);
                }
                self.close(ack.packet_id);
            }
            Packet::Pubrec(ack) => match self.answered(ack) {
                Some(open) => {
                    open.received = true;
                    let number = open.number;
                    self.acknowledged.insert(number);
                    client.send_if_there(&Packet::Pubrel(Ack::success(ack.packet_id)));
                }
                // It is over with the refusal [MQTT-4.3.3-9].
                None => self.close(ack.packet_id),
            },
            Packet::Pubcomp(ack) => self.close(ack.packet_id),
            other => panic!("{}: {other:?}", self.who.client_id),
        }
    }

    /// What an answer takes; `None` for what it refuses.
    fn answered(&mut self, ack: Ack<'_>) -> Option<&mut Open> {
        let mut open = self.open.iter_mut();
        let open = open.find(|open| packet_id(open.number) == ack.packet_id);
        let client_id = &self.who.client_id;
        match ack.reason {
            ReasonCode::Success => Some(open.unwrap_or_else(|| panic!("{client_id}: {ack:?}"))),
            ReasonCode::QuotaExceeded => {
                self.refused += 1;
                None
            }
            _ => panic!("{client_id}: {ack:?}"),
        }
    }

    fn close(&mut self, answered: PacketId) {
        self.open.retain(|open| packet_id(open.number) != answered);
    }
}

/// None of two numbers that are open at the same time.
fn packet_id(number: u32) -> PacketId {
    id((number % 65_535) as u16 + 1)
}
