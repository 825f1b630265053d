//! A client that lives through the broker's crashes: it keeps its session state, and sends again
//! what was not acknowledged.

use std::collections::HashMap;
use std::num::NonZeroU16;

use dunlin_codec::{
    Ack, Decoded, Packet, PacketId, PropertiesBuf, Qos, ReasonCode, SubscribeFiltersBuf,
    SubscriptionOptions, UnsubscribeFiltersBuf, Version, decode,
};
use dunlin_session::client::{Connecting, Event, Greeting, Options, Will};
use dunlin_session::{Client, Message, Outbound, SessionState};
use dunlin_time::Now;
use tokio::io::DuplexStream;

use crate::messages::Number;
use crate::wire::Wire;

/// What a client is for the whole run.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    pub name: &'static str,
    pub version: Version,
    /// Seconds that its session outlives a connection; 0 starts clean every time.
    pub expiry: u32,
    pub receive_maximum: u16,
}

/// What a client hears from the broker.
#[derive(Debug)]
pub enum Heard {
    Connected {
        present: bool,
    },
    /// The connection, or the try to get one, is over.
    Closed,
    /// PUBACK or PUBREC.
    Answered {
        number: Number,
        taken: bool,
    },
    Subscribed {
        filter: &'static str,
        granted: bool,
    },
    Unsubscribed {
        filter: &'static str,
    },
    Message(Got),
    /// The broker broke the protocol.
    Broken(String),
}

/// A message that came.
#[derive(Debug)]
pub struct Got {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: Qos,
    pub retain: bool,
}

pub struct Peer {
    pub profile: Profile,
    link: Link,
    /// Between connections.
    state: Option<SessionState>,
    /// A CONNECT that begins a new session, or may, has no answer: the broker may have the old
    /// session or a new one, and only a clean start makes sure.
    must_start_clean: bool,
    /// PUBLISH packets that are not acknowledged.
    open: HashMap<PacketId, Number>,
    /// SUBSCRIBE and UNSUBSCRIBE packets of this connection.
    asked: HashMap<PacketId, &'static str>,
}

enum Link {
    Offline,
    Connecting(Connecting, Wire),
    Online(Box<Client>, Wire),
}

impl Peer {
    pub fn new(profile: Profile) -> Self {
        Peer {
            profile,
            link: Link::Offline,
            state: None,
            must_start_clean: false,
            open: HashMap::new(),
            asked: HashMap::new(),
        }
    }

    pub fn persists(&self) -> bool {
        self.profile.expiry > 0
    }

    pub fn is_offline(&self) -> bool {
        matches!(self.link, Link::Offline)
    }

    pub fn is_online(&self) -> bool {
        matches!(self.link, Link::Online(..))
    }

    /// Whether nothing that it sent waits for an answer.
    pub fn is_quiet(&self) -> bool {
        self.is_online() && self.open.is_empty() && self.asked.is_empty()
    }

    /// Whether the next connection begins a new session, wanted or not.
    pub fn starts_clean(&self, wanted: bool) -> bool {
        // Version 3 has no session that starts clean and stays.
        let can = self.profile.version.has_properties();
        !self.persists() || self.must_start_clean || (wanted && can)
    }

    /// `over` says that the session may have ended meanwhile.
    pub fn connect(
        &mut self,
        now: Now,
        stream: DuplexStream,
        (clean, over): (bool, bool),
        will: Option<Will>,
    ) {
        let clean = self.starts_clean(clean);
        let options = Options {
            version: self.profile.version,
            client_id: self.profile.name.to_owned(),
            clean_start: clean,
            session_expiry: self.profile.expiry,
            keep_alive: 0,
            receive_maximum: NonZeroU16::new(self.profile.receive_maximum).expect("not zero"),
            will,
            ..Options::default()
        };
        let state = match clean {
            true => None,
            false => Some(self.state.take().unwrap_or_default()),
        };
        if clean {
            self.open.clear();
        }
        self.must_start_clean = clean || (over && self.profile.version.has_properties());
        let mut wire = Wire::new(stream);
        let connecting = options.connect(now, state, &mut wire.output);
        self.link = Link::Connecting(connecting.expect("a short CONNECT"), wire);
    }

    /// Publishes if there is room for it.
    pub fn publish(&mut self, now: Now, message: Message, number: Number) -> bool {
        let Link::Online(client, wire) = &mut self.link else {
            return false;
        };
        match client.publish(now, message, &mut wire.output) {
            Ok(packet_id) => {
                self.open.extend(packet_id.map(|id| (id, number)));
                true
            }
            Err(_) => false,
        }
    }

    pub fn subscribe(&mut self, now: Now, filter: &'static str, qos: Qos) {
        let Link::Online(client, wire) = &mut self.link else {
            return;
        };
        let mut filters = SubscribeFiltersBuf::new();
        let options = SubscriptionOptions {
            qos,
            ..SubscriptionOptions::default()
        };
        filters.push(filter, options).expect("a short filter");
        let properties = PropertiesBuf::new();
        let sent = client.subscribe(now, &filters, &properties, &mut wire.output);
        self.asked.insert(sent.expect("few requests"), filter);
    }

    pub fn unsubscribe(&mut self, now: Now, filter: &'static str) {
        let Link::Online(client, wire) = &mut self.link else {
            return;
        };
        let mut filters = UnsubscribeFiltersBuf::new();
        filters.push(filter).expect("a short filter");
        let properties = PropertiesBuf::new();
        let sent = client.unsubscribe(now, &filters, &properties, &mut wire.output);
        self.asked.insert(sent.expect("few requests"), filter);
    }

    /// DISCONNECT, as far as the pipe takes it; whether all of it went.
    pub fn disconnect(&mut self, end_session: bool) -> bool {
        match std::mem::replace(&mut self.link, Link::Offline) {
            Link::Online(client, mut wire) => {
                let expiry = end_session.then_some(0);
                let state = client.disconnect(ReasonCode::Success, expiry, &mut wire.output);
                self.keep(Some(state));
                wire.write();
                wire.output.is_empty()
            }
            link => {
                self.link = link;
                self.cut();
                false
            }
        }
    }

    /// The connection is gone, without a word to the broker; gives what is left of it.
    pub fn cut(&mut self) -> Option<Wire> {
        let (state, wire) = match std::mem::replace(&mut self.link, Link::Offline) {
            Link::Offline => return None,
            Link::Connecting(connecting, wire) => (connecting.into_state(), wire),
            Link::Online(client, wire) => (Some(client.into_state()), wire),
        };
        self.keep(state);
        Some(wire)
    }

    fn keep(&mut self, state: Option<SessionState>) {
        self.state = state.filter(|_| self.persists());
        if let Some(state) = &mut self.state
            && state.outbound.unfinished() == 0
        {
            // Packet ids that are free are used again soon, as by clients that take the lowest.
            state.outbound = Outbound::default();
        }
        if self.state.is_none() {
            self.open.clear();
        }
        self.asked.clear();
    }

    /// Reads and answers what has come; what it heard, and whether anything moved.
    pub fn turn(&mut self, now: Now, heard: &mut Vec<Heard>) -> bool {
        let (Link::Connecting(_, wire) | Link::Online(_, wire)) = &mut self.link else {
            return false;
        };
        let mut moved = wire.write();
        let stays = wire.read();
        let input = std::mem::take(&mut wire.input);
        let mut rest = &input[..];
        loop {
            match decode(rest, self.profile.version, u32::MAX) {
                Ok(Decoded::Packet { packet, length }) => {
                    rest = &rest[length..];
                    moved = true;
                    if !self.packet(now, packet, heard) {
                        break;
                    }
                }
                Ok(Decoded::Incomplete { .. }) => break,
                Err(error) => {
                    heard.push(Heard::Broken(error.to_string()));
                    break;
                }
            }
        }
        if let Link::Connecting(_, wire) | Link::Online(_, wire) = &mut self.link {
            wire.input = rest.to_vec();
            moved |= wire.write();
        }
        if !stays && self.cut().is_some() {
            heard.push(Heard::Closed);
        }
        moved
    }

    /// False once the connection is over.
    fn packet(&mut self, now: Now, packet: Packet<'_>, heard: &mut Vec<Heard>) -> bool {
        match std::mem::replace(&mut self.link, Link::Offline) {
            Link::Offline => false,
            Link::Connecting(connecting, wire) => {
                self.greeted(now, connecting, wire, packet, heard)
            }
            Link::Online(mut client, mut wire) => {
                self.answered(&packet, heard);
                let event = client.receive(now, packet, &mut wire.output);
                let outcome = self.event(event, &mut client, &mut wire, heard);
                self.link = Link::Online(client, wire);
                outcome
            }
        }
    }

    fn greeted(
        &mut self,
        now: Now,
        mut connecting: Connecting,
        mut wire: Wire,
        packet: Packet<'_>,
        heard: &mut Vec<Heard>,
    ) -> bool {
        match connecting.receive(now, packet, &mut wire.output) {
            Ok(Greeting::Connected(connected)) => {
                let present = connected.connack.session_present;
                if !present {
                    self.open.clear();
                }
                self.must_start_clean = false;
                self.link = Link::Online(Box::new(connected.client), wire);
                heard.push(Heard::Connected { present });
                true
            }
            Ok(Greeting::Challenge(_)) => unreachable!("no method was asked for"),
            Err(failure) => {
                self.keep(connecting.into_state());
                // A refusal leaves nothing. 0x88 says that the disk is full.
                let refusals = [ReasonCode::ServerBusy, ReasonCode::ServerUnavailable];
                if !refusals.contains(&failure.reason) {
                    heard.push(Heard::Broken(failure.to_string()));
                }
                heard.push(Heard::Closed);
                false
            }
        }
    }

    fn answered(&mut self, packet: &Packet<'_>, heard: &mut Vec<Heard>) {
        let (Packet::Puback(ack) | Packet::Pubrec(ack)) = packet else {
            return;
        };
        let Ack {
            packet_id, reason, ..
        } = *ack;
        if let Some(&number) = self.open.get(&packet_id) {
            let taken = !reason.is_error();
            heard.push(Heard::Answered { number, taken });
        }
    }

    fn event(
        &mut self,
        event: Result<Event<'_>, dunlin_session::Failure>,
        client: &mut Client,
        wire: &mut Wire,
        heard: &mut Vec<Heard>,
    ) -> bool {
        match event {
            Ok(Event::Message(incoming)) => {
                heard.push(Heard::Message(Got {
                    topic: incoming.topic.as_str().to_owned(),
                    payload: incoming.publish.payload.to_vec(),
                    qos: incoming.publish.qos,
                    retain: incoming.publish.retain,
                }));
                if let Some(acknowledgement) = incoming.acknowledgement {
                    client.acknowledge(acknowledgement, ReasonCode::Success, &mut wire.output);
                }
            }
            Ok(Event::Published { packet_id, .. }) => {
                self.open.remove(&packet_id);
            }
            Ok(Event::Subscribed(ack)) => {
                let granted = ack.reasons.iter().all(|reason| !reason.is_error());
                if let Some(filter) = self.asked.remove(&ack.packet_id) {
                    heard.push(Heard::Subscribed { filter, granted });
                }
            }
            Ok(Event::Unsubscribed(ack)) => {
                if let Some(filter) = self.asked.remove(&ack.packet_id) {
                    heard.push(Heard::Unsubscribed { filter });
                }
            }
            // The end of the stream follows.
            Ok(_) => {}
            Err(failure) => {
                heard.push(Heard::Broken(failure.to_string()));
                return false;
            }
        }
        true
    }
}
