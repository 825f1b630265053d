//! An established session of the server, and what a row of a table claims about it.

use std::sync::Arc;
use std::time::Duration;

use dunlin_codec::{Decoded, Packet, Qos, ReasonCode, Version, decode};
use dunlin_session::{
    Accepted, Delivery, Failure, Farewell, Handshake, Identifiers, Message, MessageParts,
    Negotiated, Request, Sent, Session, SessionState, Terms,
};
use dunlin_time::Now;

/// CONNECT of version 5: client id `c`, clean start, keep alive of ten seconds.
pub const CONNECT_5: &[u8] = b"\x10\x0E\x00\x04MQTT\x05\x02\x00\x0A\x00\x00\x01c";
/// The same of version 3.1.1.
pub const CONNECT_311: &[u8] = b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x0A\x00\x01c";
/// CONNACK of the default terms: Receive Maximum 1,024, 1 MiB, 32 aliases.
pub const CONNACK_5: &[u8] = b"\x20\x0E\x00\x00\x0B\x21\x04\x00\x27\x00\x10\x00\x00\x22\x00\x20";

/// CONNECT of version 5 as [`CONNECT_5`], with these properties.
pub fn connect_5(properties: &[u8]) -> Vec<u8> {
    let mut connect = vec![0x10, 14 + properties.len() as u8];
    connect.extend(b"\x00\x04MQTT\x05\x02\x00\x0A");
    connect.push(properties.len() as u8);
    connect.extend(properties);
    connect.extend(b"\x00\x01c");
    connect
}

pub struct Server {
    pub session: Session,
    pub now: Now,
}

/// What came of a packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Sent(Vec<u8>),
    Left(Farewell),
    Failed(ReasonCode),
}

/// An established session on default terms.
pub fn server(connect: &[u8]) -> Server {
    server_with(Terms::default(), connect)
}

pub fn server_with(terms: Terms, connect: &[u8]) -> Server {
    accept(terms, connect, None).0
}

pub fn v5() -> Server {
    server(CONNECT_5)
}

pub fn v311() -> Server {
    server(CONNECT_311)
}

/// CONNECT up to authentication.
pub fn negotiate(terms: Terms, connect: &[u8]) -> Result<Negotiated, Failure> {
    let Decoded::Packet { packet, .. } = decode(connect, Version::Mqtt311, u32::MAX)? else {
        panic!("the packet is not complete");
    };
    Handshake::new(Arc::new(terms)).connect(&packet)
}

/// The whole handshake, with what an earlier connection left; gives the bytes sent, too.
pub fn accept(terms: Terms, connect: &[u8], state: Option<SessionState>) -> (Server, Vec<u8>) {
    let (now, mut out) = (Now::default(), Vec::new());
    let mut negotiated = negotiate(terms, connect).expect("accepted");
    if negotiated.client_id.is_empty() {
        negotiated.assign_client_id("assigned");
    }
    let accepted = Accepted {
        state,
        authentication_data: None,
    };
    let mut session = negotiated.accept(now, accepted, &mut out);
    session.resume(now.wall, &mut out);
    (Server { session, now }, out)
}

/// The CONNACK that turns this CONNECT away.
#[track_caller]
pub fn refused(terms: Terms, connect: &[u8]) -> Vec<u8> {
    let (version, failure) = match decode(connect, Version::Mqtt311, u32::MAX) {
        Ok(Decoded::Packet {
            packet: Packet::Connect(connect),
            ..
        }) => {
            let packet = Packet::Connect(connect);
            let refused = Handshake::new(Arc::new(terms)).connect(&packet);
            (connect.version, refused.expect_err("refused"))
        }
        Err(error) => (error.connect_version.expect("a version"), error.into()),
        other => panic!("{other:?}"),
    };
    let mut out = Vec::new();
    Handshake::refuse_within(30, version, &failure, &mut out);
    out
}

impl Server {
    /// The application answers at once that all went well.
    pub fn outcome(&mut self, bytes: &[u8]) -> Outcome {
        match self.handle(bytes) {
            Ok(outcome) => outcome,
            Err(failure) => Outcome::Failed(failure.reason),
        }
    }

    fn handle(&mut self, bytes: &[u8]) -> Result<Outcome, Failure> {
        let (version, mut out) = (self.session.version(), Vec::new());
        let maximum = self.session.terms().maximum_packet_size;
        let Decoded::Packet { packet, length } = decode(bytes, version, maximum)? else {
            panic!("the packet is not complete");
        };
        assert_eq!(length, bytes.len(), "one packet");
        let session = &mut self.session;
        match session.receive(self.now, packet, &mut out)? {
            Request::Publish(incoming) => {
                if let Some(ack) = incoming.acknowledgement {
                    session.acknowledge(ack, ReasonCode::Success, &mut out);
                }
            }
            Request::Subscribe(subscribe) => {
                let grant = |(_, options): (_, dunlin_codec::SubscriptionOptions)| {
                    ReasonCode::granted(options.qos)
                };
                let reasons = subscribe.filters.iter().map(grant).collect();
                session.subscribed(subscribe.packet_id, &reasons, &mut out);
            }
            Request::Unsubscribe(unsubscribe) => {
                let none = |_| ReasonCode::NoSubscriptionExisted;
                let reasons = unsubscribe.filters.iter().map(none).collect();
                session.unsubscribed(unsubscribe.packet_id, &reasons, &mut out);
            }
            Request::Reauthenticate(data) => session.reauthenticated(data, &mut out),
            Request::Disconnect(farewell) => return Ok(Outcome::Left(farewell)),
            Request::Nothing | Request::Progress(_) => {}
        }
        Ok(Outcome::Sent(out))
    }

    #[track_caller]
    pub fn sends(&mut self, input: &[u8], output: &[u8]) {
        assert_eq!(self.outcome(input), Outcome::Sent(output.to_vec()));
    }

    #[track_caller]
    pub fn fails(&mut self, input: &[u8], reason: ReasonCode) {
        assert_eq!(self.outcome(input), Outcome::Failed(reason));
    }

    /// Delivers a message and gives its bytes.
    pub fn delivers(&mut self, delivery: Delivery) -> (Sent, Vec<u8>) {
        let mut out = Vec::new();
        let sent = self.session.deliver(self.now.wall, delivery, &mut out);
        (sent, out)
    }

    pub fn wait(&mut self, milliseconds: u64) -> Result<(), Failure> {
        self.now = self.now + Duration::from_millis(milliseconds);
        self.session.timeout(self.now)
    }

    /// What is sent to this CONNECT after the connection broke.
    pub fn reconnects(self, connect: &[u8]) -> (Server, Vec<u8>) {
        let state = self.session.into_state();
        accept(Terms::default(), connect, Some(state))
    }
}

/// The message `m` on topic `t`.
pub fn delivery(qos: Qos) -> Delivery {
    delivery_of(MessageParts {
        publisher: 0,
        qos,
        retain: false,
        expires: None,
        topic: "t",
        forwarded: &[],
        payload: b"m",
    })
}

pub fn delivery_of(parts: MessageParts<'_>) -> Delivery {
    Delivery {
        message: Message::new(parts, &mut Vec::new()),
        identifiers: Identifiers::None,
        shared: None,
        qos: parts.qos,
        retain: parts.retain,
        unchecked: false,
        stored: false,
    }
}

/// Rows of `name: server, input => output, ..;`, each a test.
macro_rules! sends {
    ($($name:ident: $server:expr, $($input:expr => $output:expr),+;)*) => {$(
        #[test]
        fn $name() {
            let mut server = $server;
            $(server.sends($input, $output);)+
        }
    )*};
}
pub(crate) use sends;

/// Rows of `name: server, input => reason;`, each a test.
macro_rules! fails {
    ($($name:ident: $server:expr, $input:expr => $reason:ident;)*) => {$(
        #[test]
        fn $name() {
            $server.fails($input, dunlin_codec::ReasonCode::$reason);
        }
    )*};
}
pub(crate) use fails;
