use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use dunlin_codec::{Ack, Packet, Publish, Qos, Version};

use crate::persistent::Persistent;
use crate::support::{Client, Frame};

/// The topic of the last message.
pub const END: &str = "load/end";

/// A client that writes down what it is delivered, and keeps its part of QoS 2 across connections.
pub struct Subscriber {
    who: Persistent,
    subscribed: bool,
    /// QoS 2 ids between PUBLISH and PUBREL: what comes under them was delivered [MQTT-4.3.3-10].
    receiving: BTreeSet<u16>,
    /// Of each topic, the numbers in the order of their delivery.
    delivered: BTreeMap<String, Vec<u32>>,
    ended: bool,
}

impl Subscriber {
    /// A client that has not connected yet.
    pub fn new(client_id: String, version: Version) -> Self {
        Subscriber {
            who: Persistent::new(client_id, version),
            subscribed: false,
            receiving: BTreeSet::new(),
            delivered: BTreeMap::new(),
            ended: false,
        }
    }

    /// Its name.
    pub fn client_id(&self) -> &str {
        &self.who.client_id
    }

    /// The numbers of a topic in the order of their delivery.
    pub fn delivered(&self, topic: &str) -> &[u32] {
        self.delivered.get(topic).map_or(&[], Vec::as_slice)
    }

    /// Begins its session, subscribes, and leaves.
    pub fn subscribe(&mut self, address: SocketAddr) {
        let mut client = self.who.connect(address).expect("the broker is there");
        client.subscribe("load/+", Qos::ExactlyOnce);
        self.subscribed = true;
        client.disconnect();
    }

    /// Connects, and takes what comes until the broker dies or the last message is there.
    pub fn run(&mut self, address: SocketAddr) {
        assert!(self.subscribed, "it would wait for nothing");
        let Some(mut client) = self.who.connect(address) else {
            return;
        };
        // To its very end: what was begun is completed.
        while !self.ended || !self.receiving.is_empty() {
            let Some(frame) = client.read_until_gone() else {
                return;
            };
            self.take(&mut client, &frame);
        }
    }

    /// Whether the last message came, and all of QoS 2 was completed.
    pub fn has_ended(&self) -> bool {
        self.ended && self.receiving.is_empty()
    }

    fn take(&mut self, client: &mut Client, frame: &Frame) {
        match frame.packet() {
            Packet::Publish(publish) => self.receive(client, publish),
            Packet::Pubrel(ack) => {
                self.receiving.remove(&ack.packet_id.get());
                client.send_if_there(&Packet::Pubcomp(Ack::success(ack.packet_id)));
            }
            other => panic!("{}: {other:?}", self.who.client_id),
        }
    }

    fn receive(&mut self, client: &mut Client, publish: Publish<'_>) {
        let ack = publish.packet_id.map(Ack::success);
        match (publish.qos, ack) {
            (Qos::AtLeastOnce, Some(ack)) => {
                self.deliver(publish);
                client.send_if_there(&Packet::Puback(ack));
            }
            (Qos::ExactlyOnce, Some(ack)) => {
                if self.receiving.insert(ack.packet_id.get()) {
                    self.deliver(publish);
                }
                client.send_if_there(&Packet::Pubrec(ack));
            }
            _ => panic!("{}: {publish:?}", self.who.client_id),
        }
    }

    fn deliver(&mut self, publish: Publish<'_>) {
        if publish.topic == END {
            self.ended = true;
            return;
        }
        let number = std::str::from_utf8(publish.payload)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        let numbers = self.delivered.entry(publish.topic.to_owned()).or_default();
        numbers.push(number.expect("a number"));
    }
}
