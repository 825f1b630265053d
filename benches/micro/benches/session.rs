//! A PUBLISH through two sessions, from its bytes to the subscriber's output, with the
//! acknowledgements of both ends, in nanoseconds: `cargo bench -p dunlin-micro --bench session`.

use std::hint::black_box;
use std::sync::Arc;

use dunlin_codec::{
    AckKind, Connect, Decoded, Packet, PacketId, Publish, Qos, ReasonCode, Version, decode,
    decode_publish, encode, encode_ack,
};
use dunlin_micro::report;
use dunlin_session::{
    Accepted, Delivery, Handshake, Identifiers, Message, MessageParts, Session, Terms,
};
use dunlin_time::{Monotonic, Now, Wall};

const NOW: Now = Now {
    monotonic: Monotonic(1),
    wall: Wall(1),
};
const MAXIMUM: u32 = 1 << 20;

fn main() {
    for version in [Version::Mqtt311, Version::Mqtt5] {
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            let mut pair = Pair::new(version, qos);
            report(&format!("{version:?} PUBLISH {qos:?}, both ends"), || {
                pair.publish();
            });
        }
    }
}

struct Pair {
    version: Version,
    publisher: Session,
    subscriber: Session,
    packet: Vec<u8>,
    out: Vec<u8>,
    scratch: Vec<u8>,
    /// The packet id that the subscriber's session gives next.
    next: u16,
}

impl Pair {
    fn new(version: Version, qos: Qos) -> Self {
        let publish = Publish {
            qos,
            topic: "site/7/device/42/temp",
            packet_id: (qos != Qos::AtMostOnce).then_some(PacketId::MIN),
            payload: &[b'x'; 64],
            ..Publish::default()
        };
        let mut packet = Vec::new();
        encode(&Packet::Publish(publish), version, &mut packet).expect("a valid packet");
        Pair {
            version,
            publisher: session(version),
            subscriber: session(version),
            packet,
            out: Vec::new(),
            scratch: Vec::new(),
            next: 1,
        }
    }

    fn publish(&mut self) {
        self.out.clear();
        let decoded = decode_publish(black_box(&self.packet), self.version, MAXIMUM, "");
        let (publish, _) = decoded.expect("valid").expect("complete");
        let incoming = self
            .publisher
            .receive_publish(NOW, publish, None, &mut self.out)
            .expect("within the terms")
            .expect("new");
        let parts = MessageParts {
            publisher: 1,
            qos: publish.qos,
            retain: false,
            expires: None,
            topic: incoming.topic.as_str(),
            forwarded: &[],
            payload: publish.payload,
        };
        let delivery = Delivery {
            message: Message::new(parts, &mut self.scratch),
            identifiers: Identifiers::None,
            shared: None,
            qos: publish.qos,
            retain: false,
            unchecked: false,
            stored: false,
        };
        if let Some(acknowledgement) = incoming.acknowledgement {
            let reason = ReasonCode::Success;
            self.publisher
                .acknowledge(acknowledgement, reason, &mut self.out);
        }
        self.subscriber.deliver(NOW.wall, delivery, &mut self.out);
        self.acknowledge(publish.qos);
        black_box(&self.out);
    }

    /// What both clients answer.
    fn acknowledge(&mut self, qos: Qos) {
        let id = PacketId::new(self.next).expect("never 0");
        let (version, out) = (self.version, &mut self.out);
        match qos {
            Qos::AtMostOnce => return,
            Qos::AtLeastOnce => receive(&mut self.subscriber, AckKind::Puback, id, version, out),
            Qos::ExactlyOnce => {
                let released = PacketId::MIN;
                receive(&mut self.publisher, AckKind::Pubrel, released, version, out);
                receive(&mut self.subscriber, AckKind::Pubrec, id, version, out);
                receive(&mut self.subscriber, AckKind::Pubcomp, id, version, out);
            }
        }
        self.next = self.next.checked_add(1).unwrap_or(1);
    }
}

fn receive(
    session: &mut Session,
    kind: AckKind,
    id: PacketId,
    version: Version,
    out: &mut Vec<u8>,
) {
    let mut bytes = Vec::with_capacity(8);
    encode_ack(kind, id, ReasonCode::Success, version, &mut bytes);
    let Ok(Decoded::Packet { packet, .. }) = decode(&bytes, version, MAXIMUM) else {
        panic!("a valid packet");
    };
    let request = session.receive(NOW, packet, out);
    black_box(request.expect("the packet id is in use"));
}

fn session(version: Version) -> Session {
    let connect = Connect {
        version,
        client_id: "client",
        clean_start: true,
        ..Connect::default()
    };
    let terms = Arc::new(Terms::default());
    let negotiated = Handshake::new(terms).connect(&Packet::Connect(connect));
    let negotiated = negotiated.expect("within the terms");
    negotiated.accept(NOW, Accepted::default(), &mut Vec::new())
}
