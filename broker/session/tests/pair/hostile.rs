//! A peer that sends any packets it likes to an established session.

use std::sync::Arc;

use dunlin_codec::{Decoded, Packet, PacketId, Qos, ReasonCode, Version, decode};
use dunlin_session::client::{Event, Greeting, Options};
use dunlin_session::{
    Accepted, Client, Delivery, Handshake, Identifiers, Message, MessageParts, Request, Session,
    Terms, Ticket,
};
use dunlin_time::Now;

const RECEIVE_MAXIMUM: u16 = 8;
const NOW: Now = Now {
    monotonic: dunlin_time::Monotonic(0),
    wall: dunlin_time::Wall(0),
};

/// The first byte selects the version, the end under test, and whether it answers at once; the rest
/// is what it receives.
///
/// # Panics
/// The session does, its bound on open messages is passed, or it writes what is no packet.
pub fn receive(input: &[u8]) {
    let Some((selector, mut bytes)) = input.split_first() else {
        return;
    };
    let version = [Version::Mqtt31, Version::Mqtt311, Version::Mqtt5][usize::from(selector % 3)];
    let mut target = Target::new(version, selector & 0x40 != 0, selector & 0x80 != 0);
    while let Ok(Decoded::Packet { packet, length }) = decode(bytes, version, 1 << 16) {
        if !target.receive(packet) {
            return;
        }
        bytes = &bytes[length..];
    }
}

struct Target {
    version: Version,
    end: End,
    postpones: bool,
    waiting: Vec<Ticket>,
}

enum End {
    Server(Box<Session>),
    Client(Box<Client>),
}

impl Target {
    fn new(version: Version, is_client: bool, postpones: bool) -> Self {
        let end = match is_client {
            true => End::Client(client(version)),
            false => End::Server(session(version)),
        };
        Target {
            version,
            end,
            postpones,
            waiting: Vec::new(),
        }
    }

    /// Whether the connection goes on.
    fn receive(&mut self, packet: Packet<'_>) -> bool {
        let mut out = Vec::new();
        let goes_on = match &mut self.end {
            End::Server(session) => match session.receive(NOW, packet, &mut out) {
                Ok(Request::Publish(incoming)) => {
                    match incoming.acknowledgement {
                        Some(ack) if self.postpones => self.waiting.push(session.postpone(ack)),
                        Some(ack) => session.acknowledge(ack, ReasonCode::Success, &mut out),
                        None => {}
                    }
                    true
                }
                Ok(_) => true,
                Err(failure) => {
                    session.disconnect(failure.reason, &failure.what, &mut out);
                    false
                }
            },
            End::Client(client) => match client.receive(NOW, packet, &mut out) {
                Ok(Event::Message(incoming)) => {
                    match incoming.acknowledgement {
                        Some(ack) if self.postpones => self.waiting.push(client.postpone(ack)),
                        Some(ack) => client.acknowledge(ack, ReasonCode::Success, &mut out),
                        None => {}
                    }
                    true
                }
                Ok(_) => true,
                Err(_) => false,
            },
        };
        self.check(&out);
        goes_on
    }

    fn check(&mut self, out: &[u8]) {
        let mut rest = out;
        while let Ok(Decoded::Packet { length, .. }) = decode(rest, self.version, u32::MAX) {
            rest = &rest[length..];
        }
        assert!(rest.is_empty(), "not packets: {rest:?}");
        if let End::Server(session) = &self.end {
            // Version 3 cannot be told the terms' Receive Maximum.
            let open = match self.version.has_properties() {
                true => RECEIVE_MAXIMUM,
                false => u16::MAX,
            };
            assert!(session.postponed() <= open.into());
            assert!(session.unacknowledged() <= 2);
        }
        if self.waiting.len() >= 5 {
            let (ticket, mut out) = (self.waiting.remove(2), Vec::new());
            match &mut self.end {
                End::Server(session) => session.settle(ticket, ReasonCode::Success, &mut out),
                End::Client(client) => client.settle(ticket, ReasonCode::Success, &mut out),
            }
        }
    }
}

/// A session with a message of either QoS open.
fn session(version: Version) -> Box<Session> {
    let terms = Terms {
        receive_maximum: RECEIVE_MAXIMUM,
        ..Terms::default()
    };
    let (mut bytes, mut out) = (Vec::new(), Vec::new());
    options(version)
        .connect(NOW, None, &mut bytes)
        .expect("a short CONNECT");
    let Ok(Decoded::Packet { packet, .. }) = decode(&bytes, version, u32::MAX) else {
        panic!("a CONNECT of ours");
    };
    let negotiated = Handshake::new(Arc::new(terms))
        .connect(&packet)
        .expect("accepted");
    let mut session = negotiated.accept(NOW, Accepted::default(), &mut out);
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        session.deliver(NOW.wall, delivery(qos), &mut out);
    }
    Box::new(session)
}

fn client(version: Version) -> Box<Client> {
    let mut out = Vec::new();
    let mut connecting = options(version)
        .connect(NOW, None, &mut out)
        .expect("a short CONNECT");
    let connack = dunlin_codec::Connack::default();
    let greeting = connecting.receive(NOW, Packet::Connack(connack), &mut out);
    let Ok(Greeting::Connected(mut connected)) = greeting else {
        panic!("not accepted: {greeting:?}");
    };
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let id = connected
            .client
            .publish(NOW, delivery(qos).message, &mut out);
        assert_eq!(id, Ok(PacketId::new(qos as u16)));
    }
    Box::new(connected.client)
}

fn options(version: Version) -> Options {
    Options {
        version,
        client_id: "hostile".to_owned(),
        topic_alias_maximum: 4,
        ..Options::default()
    }
}

fn delivery(qos: Qos) -> Delivery {
    let parts = MessageParts {
        publisher: 1,
        qos,
        retain: false,
        expires: None,
        topic: "t",
        forwarded: &[],
        payload: b"",
    };
    Delivery {
        message: Message::new(parts, &mut Vec::new()),
        identifiers: Identifiers::None,
        shared: None,
        qos,
        retain: false,
        unchecked: false,
        stored: false,
    }
}
