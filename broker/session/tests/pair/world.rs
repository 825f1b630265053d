//! A client and a server joined by a channel that loses its connection at any byte.

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use dunlin_codec::{Decoded, Packet, Qos, ReasonCode, Version, decode};
use dunlin_session::client::{Connecting, Event, Greeting, Options};
use dunlin_session::{
    Accepted, Client, Delivery, Handshake, Identifiers, Incoming, Message, MessageParts, Request,
    Sent, Session, SessionState, Terms, Ticket,
};
use dunlin_time::Now;

use crate::ledger::{Ledger, Number, topic_of};
use crate::scenario::{End, Scenario, Step};

const KEEP_ALIVE: u16 = 10;

/// Plays a scenario, then lets everything come to rest.
///
/// # Panics
/// A message above QoS 0 was lost, one of QoS 2 doubled, an order or a window broken, or either end
/// refused the other's packets.
pub fn play(scenario: &Scenario) {
    let mut world = World::new(scenario);
    for step in &scenario.steps {
        world.step(step);
    }
    world.rest();
}

struct World {
    now: Now,
    version: Version,
    terms: Terms,
    options: Options,
    /// By sender, of the current connection.
    windows: [usize; 2],
    client: ClientEnd,
    server: ServerEnd,
    /// The server's session between connections.
    stored: Option<SessionState>,
    /// The client has no session until CONNACK, and does not know which one the server has.
    unsure: bool,
    sides: [Side; 2],
    /// By sender.
    ledgers: [Ledger; 2],
    next_number: Number,
}

enum ClientEnd {
    Offline(Option<SessionState>),
    Connecting(Connecting),
    Online(Box<Client>),
}

enum ServerEnd {
    Offline,
    Handshake,
    Online(Box<Session>),
}

/// What both ends have beside their session.
#[derive(Default)]
struct Side {
    /// Messages that the session had no room for.
    backlog: VecDeque<(Number, Qos)>,
    /// Bytes under way to this side.
    pipe: VecDeque<u8>,
    /// Bytes that came, of a packet that is not complete.
    partial: Vec<u8>,
    postpones: bool,
    waiting: Vec<(Ticket, Number, Qos)>,
}

impl World {
    fn new(scenario: &Scenario) -> Self {
        let version = match scenario.mqtt5 {
            true => Version::Mqtt5,
            false => Version::Mqtt311,
        };
        let terms = Terms {
            topic_alias_maximum: u16::from(scenario.aliases % 4),
            ..Terms::default()
        };
        let options = Options {
            version,
            client_id: "pair".to_owned(),
            session_expiry: u32::MAX,
            keep_alive: KEEP_ALIVE,
            topic_alias_maximum: u16::from(scenario.aliases % 4),
            ..Options::default()
        };
        World {
            now: Now::default(),
            version,
            terms,
            options,
            windows: [1, 1],
            client: ClientEnd::Offline(None),
            server: ServerEnd::Offline,
            stored: None,
            unsure: false,
            sides: Default::default(),
            ledgers: Default::default(),
            next_number: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Publish { from, qos } => {
                let qos = Qos::from_u8(qos % 3).expect("below 3");
                let message = (self.next_number, qos);
                self.next_number += 1;
                self.sides[from as usize].backlog.push_back(message);
                self.pump(from);
            }
            Step::Carry { to, bytes } => self.carry(to, bytes.into()),
            Step::Postpone { at, yes } => self.sides[at as usize].postpones = yes,
            Step::Settle { at, which, refuse } => self.settle(at, which.into(), refuse),
            Step::Cut => self.cut(),
            Step::Connect { clean, windows } => self.connect(clean, windows),
            Step::Wait { seconds } => self.wait(Duration::from_secs(seconds.into())),
        }
    }

    /// Connects if need be, carries and answers everything, and checks what came of it.
    fn rest(&mut self) {
        self.sides
            .iter_mut()
            .for_each(|side| side.postpones = false);
        for _round in 0..10_000 {
            if matches!(self.client, ClientEnd::Offline(_)) {
                self.connect(false, [2, 2]);
            }
            for end in [End::Client, End::Server] {
                self.carry(end, usize::MAX);
                while !self.sides[end as usize].waiting.is_empty() {
                    self.settle(end, 0, false);
                }
                self.pump(end);
            }
            if self.is_at_rest() {
                self.ledgers.iter().for_each(Ledger::check_nothing_lost);
                return self.check_nothing_kept();
            }
        }
        panic!("the pair never comes to rest");
    }

    fn is_at_rest(&self) -> bool {
        let quiet = |side: &Side| side.pipe.is_empty() && side.backlog.is_empty();
        matches!(self.client, ClientEnd::Online(_)) && self.sides.iter().all(quiet)
    }

    fn check_nothing_kept(&mut self) {
        let offline = ClientEnd::Offline(None);
        let (ClientEnd::Online(client), ServerEnd::Online(session)) = (
            std::mem::replace(&mut self.client, offline),
            std::mem::replace(&mut self.server, ServerEnd::Offline),
        ) else {
            panic!("not connected");
        };
        for state in [client.into_state(), session.into_state()] {
            assert_eq!(state.outbound.unfinished(), 0);
            assert_eq!(state.received, []);
        }
    }

    fn connect(&mut self, clean: bool, windows: [u8; 2]) {
        self.cut();
        self.set_windows(windows.map(|window| u16::from(window % 4) + 1));
        let state = match &mut self.client {
            ClientEnd::Offline(state) => state.take(),
            _ => None,
        };
        let clean = clean || self.unsure;
        self.unsure = clean || state.is_none();
        if clean {
            self.ledgers[End::Client as usize].forgotten();
        }
        self.options.clean_start = clean;
        let mut out = Vec::new();
        let connecting = self.options.connect(self.now, state, &mut out);
        self.client = ClientEnd::Connecting(connecting.expect("a short CONNECT"));
        self.server = ServerEnd::Handshake;
        self.send(End::Client, &out);
    }

    fn set_windows(&mut self, [client, server]: [u16; 2]) {
        // Version 3 announces no window: each end has to keep to one by itself.
        let spare = u16::from(self.version.has_properties());
        self.terms.receive_maximum = client;
        self.terms.maximum_inflight = server + spare;
        self.options.receive_maximum = NonZeroU16::new(server).expect("not zero");
        self.options.maximum_inflight = client + spare;
        self.windows = [client.into(), server.into()];
    }

    fn cut(&mut self) {
        for side in &mut self.sides {
            side.pipe.clear();
            side.partial.clear();
            side.waiting.clear();
        }
        let offline = ClientEnd::Offline(None);
        self.client = ClientEnd::Offline(match std::mem::replace(&mut self.client, offline) {
            ClientEnd::Offline(state) => state,
            ClientEnd::Connecting(connecting) => connecting.into_state(),
            ClientEnd::Online(client) if client.session_expiry() == 0 => {
                self.ledgers[End::Client as usize].forgotten();
                None
            }
            ClientEnd::Online(client) => Some(client.into_state()),
        });
        if let ServerEnd::Online(session) = std::mem::replace(&mut self.server, ServerEnd::Offline)
        {
            let persists = session.session_expiry() > 0;
            self.stored = persists.then(|| session.into_state());
            if !persists {
                self.ledgers[End::Server as usize].forgotten();
            }
        }
    }

    fn wait(&mut self, duration: Duration) {
        self.now = self.now + duration;
        let mut out = Vec::new();
        let client = match &mut self.client {
            ClientEnd::Online(client) => client.timeout(self.now, &mut out),
            _ => Ok(()),
        };
        self.send(End::Client, &out);
        let server = match &self.server {
            ServerEnd::Online(session) => session.timeout(self.now),
            _ => Ok(()),
        };
        if client.and(server).is_err() {
            self.cut();
        }
    }

    /// Gives the session what it has room for.
    fn pump(&mut self, end: End) {
        while let Some((number, qos)) = self.sides[end as usize].backlog.front().copied() {
            let mut out = Vec::new();
            let sent = match (end, &mut self.client, &mut self.server) {
                (End::Client, ClientEnd::Online(client), _) => {
                    let ready = qos == Qos::AtMostOnce || client.room() > 0;
                    ready
                        && client
                            .publish(self.now, message(number, qos), &mut out)
                            .is_ok()
                }
                (End::Server, _, ServerEnd::Online(session)) => {
                    let ready = qos == Qos::AtMostOnce || session.room() > 0;
                    let delivery = delivery(number, qos);
                    ready && session.deliver(self.now.wall, delivery, &mut out) == Sent::Yes
                }
                _ => false,
            };
            if !sent {
                return;
            }
            self.sides[end as usize].backlog.pop_front();
            self.ledgers[end as usize].submitted(number, qos);
            self.send(end, &out);
        }
    }

    fn settle(&mut self, at: End, which: usize, refuse: bool) {
        let waiting = &mut self.sides[at as usize].waiting;
        if waiting.is_empty() {
            return;
        }
        let (ticket, number, qos) = waiting.swap_remove(which % waiting.len());
        let ledger = &mut self.ledgers[at.other() as usize];
        let reason = match refuse {
            true => {
                ledger.refused(number);
                ReasonCode::QuotaExceeded
            }
            false => {
                ledger.taken(number, qos);
                ReasonCode::Success
            }
        };
        let mut out = Vec::new();
        match (at, &mut self.client, &mut self.server) {
            (End::Client, ClientEnd::Online(client), _) => client.settle(ticket, reason, &mut out),
            (End::Server, _, ServerEnd::Online(session)) => {
                session.settle(ticket, reason, &mut out);
            }
            _ => panic!("a message waits, but its connection is gone"),
        }
        self.send(at, &out);
    }

    /// Puts what an end wrote on the wire, under the eyes of both ledgers.
    fn send(&mut self, from: End, bytes: &[u8]) {
        let mut rest = bytes;
        while let Ok(Decoded::Packet { packet, length }) = decode(rest, self.version, u32::MAX) {
            self.ledgers[from as usize].sent(&packet);
            rest = &rest[length..];
        }
        assert!(rest.is_empty(), "not packets: {rest:?}");
        self.sides[from.other() as usize].pipe.extend(bytes);
    }

    fn carry(&mut self, to: End, bytes: usize) {
        let side = &mut self.sides[to as usize];
        let count = bytes.min(side.pipe.len());
        side.partial.extend(side.pipe.drain(..count));
        let partial = std::mem::take(&mut side.partial);
        let mut rest = &partial[..];
        while let Decoded::Packet { packet, length } =
            decode(rest, self.version, u32::MAX).expect("well-formed packets")
        {
            self.ledgers[to as usize].answered(&packet);
            match to {
                End::Client => self.client_receives(packet),
                End::Server => self.server_receives(packet),
            }
            rest = &rest[length..];
        }
        self.sides[to as usize].partial = rest.to_vec();
        self.pump(to);
    }

    fn client_receives(&mut self, packet: Packet<'_>) {
        let mut out = Vec::new();
        match &mut self.client {
            ClientEnd::Connecting(connecting) => {
                let greeting = connecting.receive(self.now, packet, &mut out);
                let Greeting::Connected(connected) = greeting.expect("an accepted CONNECT") else {
                    panic!("a challenge without an authentication method");
                };
                self.client = ClientEnd::Online(Box::new(connected.client));
                self.unsure = false;
                let window = self.windows[End::Client as usize];
                self.ledgers[End::Client as usize].connected(window);
            }
            ClientEnd::Online(client) => {
                let event = client
                    .receive(self.now, packet, &mut out)
                    .expect("conforms");
                if let Event::Message(incoming) = event {
                    let answer = self.answer(End::Client, &incoming);
                    if let (Some(ack), ClientEnd::Online(client)) =
                        (incoming.acknowledgement, &mut self.client)
                    {
                        match answer {
                            Answer::Now => client.acknowledge(ack, ReasonCode::Success, &mut out),
                            Answer::Later(number) => {
                                let ticket = client.postpone(ack);
                                let waits = (ticket, number, incoming.publish.qos);
                                self.sides[End::Client as usize].waiting.push(waits);
                            }
                        }
                    }
                }
            }
            ClientEnd::Offline(_) => panic!("bytes for a client that is offline"),
        }
        self.send(End::Client, &out);
    }

    fn server_receives(&mut self, packet: Packet<'_>) {
        let mut out = Vec::new();
        match &mut self.server {
            ServerEnd::Handshake => self.server_connects(&packet, &mut out),
            ServerEnd::Online(session) => {
                let request = session
                    .receive(self.now, packet, &mut out)
                    .expect("conforms");
                if let Request::Publish(incoming) = request {
                    let answer = self.answer(End::Server, &incoming);
                    if let (Some(ack), ServerEnd::Online(session)) =
                        (incoming.acknowledgement, &mut self.server)
                    {
                        match answer {
                            Answer::Now => session.acknowledge(ack, ReasonCode::Success, &mut out),
                            Answer::Later(number) => {
                                let ticket = session.postpone(ack);
                                let waits = (ticket, number, incoming.publish.qos);
                                self.sides[End::Server as usize].waiting.push(waits);
                            }
                        }
                    }
                }
            }
            ServerEnd::Offline => panic!("bytes for a server that is offline"),
        }
        self.send(End::Server, &out);
    }

    fn server_connects(&mut self, connect: &Packet<'_>, out: &mut Vec<u8>) {
        let negotiated = Handshake::new(Arc::new(self.terms.clone()))
            .connect(connect)
            .expect("conforms");
        let ledger = &mut self.ledgers[End::Server as usize];
        if negotiated.clean_start {
            self.stored = None;
            ledger.forgotten();
        }
        ledger.connected(self.windows[End::Server as usize]);
        let accepted = Accepted {
            state: self.stored.take(),
            authentication_data: None,
        };
        let mut session = negotiated.accept(self.now, accepted, out);
        session.resume(self.now.wall, out);
        self.server = ServerEnd::Online(Box::new(session));
    }

    /// What the application at this end does with a message.
    fn answer(&mut self, at: End, incoming: &Incoming<'_>) -> Answer {
        let ledger = &mut self.ledgers[at.other() as usize];
        let number = ledger.arrived(incoming.topic.as_str(), &incoming.publish);
        if self.sides[at as usize].postpones && incoming.acknowledgement.is_some() {
            return Answer::Later(number);
        }
        ledger.taken(number, incoming.publish.qos);
        Answer::Now
    }
}

enum Answer {
    Now,
    Later(Number),
}

fn message(number: Number, qos: Qos) -> Message {
    let parts = MessageParts {
        publisher: 1,
        qos,
        retain: false,
        expires: None,
        topic: &topic_of(number),
        forwarded: &[],
        payload: &number.to_be_bytes(),
    };
    Message::new(parts, &mut Vec::new())
}

fn delivery(number: Number, qos: Qos) -> Delivery {
    Delivery {
        message: message(number, qos),
        identifiers: Identifiers::None,
        shared: None,
        qos,
        retain: false,
        unchecked: false,
        stored: false,
    }
}
