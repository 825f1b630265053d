//! The client's end of a connection: for bridges, tools and tests.
//!
//! ```text
//!  Options ──connect──▶ Connecting ──CONNACK──▶ Client ──disconnect──▶ SessionState
//!                         ▲      │ AUTH                   into_state
//!                         └──────┘ respond
//! ```
//!
//! As on the server's side the caller owns the socket and the clock: it decodes packets, gives
//! them to [`Connecting::receive`] and then [`Client::receive`], sends what is appended to `out`,
//! and calls [`Client::timeout`] at [`Client::deadline`]. To go on with a session on a new
//! connection, hand its [`SessionState`] to [`Options::connect`].

mod connecting;
mod event;
mod options;
mod requests;

pub use connecting::{Connected, Connecting, Greeting};
pub use event::{Event, NotSent};
pub use options::{Options, Will};
pub use requests::MAXIMUM_REQUESTS;

use std::time::Duration;

use dunlin_codec::{
    Auth, Disconnect, Packet, PacketId, PropertiesBuf, Property, Qos, ReasonCode, Sender, Version,
};
use dunlin_time::{Monotonic, Now, Wall};

use crate::alias::{IncomingAliases, OutgoingAliases};
use crate::channel::Channel;
use crate::handshake::{add, challenge, write};
use crate::incoming::{Opened, Rules};
use crate::{
    Acknowledgement, Delivery, Failure, Identifiers, Inbound, Incoming, Message, Outbound, Sent,
    SessionState, Ticket,
};

/// The client's end of a connection, from CONNACK to its close.
///
/// After an `Err` from [`Client::receive`] or [`Client::timeout`] the connection is over: say so
/// with [`Client::disconnect`] and close.
#[derive(Debug)]
pub struct Client {
    version: Version,
    outbound: Outbound,
    inbound: Inbound,
    incoming_aliases: Option<Box<IncomingAliases>>,
    outgoing_aliases: Option<Box<OutgoingAliases>>,
    /// What we announced.
    rules: Rules,
    /// What the server announced.
    maximum_packet_size: u32,
    maximum_qos: Qos,
    retain_available: bool,
    session_expiry: u32,
    asked_to_persist: bool,
    keep_alive: Duration,
    last_sent: Monotonic,
    /// When PINGREQ went out, while nothing has come since.
    pinged: Option<Monotonic>,
    requests: Vec<requests::OpenRequest>,
    authentication: Option<Authentication>,
}

#[derive(Debug)]
struct Authentication {
    method: Box<str>,
    /// An AUTH of ours is not answered.
    open: bool,
}

impl Client {
    /// One packet from the server. Acknowledgements and answers are appended to `out`.
    ///
    /// # Errors
    /// The server broke the protocol or what we announced.
    pub fn receive<'p>(
        &mut self,
        now: Now,
        packet: Packet<'p>,
        out: &mut Vec<u8>,
    ) -> Result<Event<'p>, Failure> {
        packet.check_sender(Sender::Server, self.version)?;
        self.pinged = None;
        let before = out.len();
        let event = self.event(now.wall, packet, out)?;
        self.note_sent(now, before, out);
        Ok(event)
    }

    /// Publishes a message with its own QoS and RETAIN; gives the packet id of its flow, which
    /// ends with [`Event::Published`]. Above QoS 0 only while there is [`Client::room`].
    ///
    /// # Errors
    /// Nothing was sent.
    pub fn publish(
        &mut self,
        now: Now,
        message: Message,
        out: &mut Vec<u8>,
    ) -> Result<Option<PacketId>, NotSent> {
        let (qos, retain) = (message.qos(), message.retain());
        if qos > self.maximum_qos {
            return Err(NotSent::QosNotSupported);
        }
        if retain && !self.retain_available {
            return Err(NotSent::RetainNotSupported);
        }
        if qos != Qos::AtMostOnce && self.room() == 0 {
            return Err(NotSent::Full);
        }
        let delivery = Delivery {
            message,
            identifiers: Identifiers::None,
            shared: None,
            qos,
            retain,
            unchecked: false,
            stored: false,
        };
        let packet_id = (qos != Qos::AtMostOnce).then(|| self.free_packet_id());
        let before = out.len();
        let (outbound, channel) = self.outbound(now.wall);
        let sent = outbound.send(delivery, channel, out);
        self.note_sent(now, before, out);
        match sent {
            Sent::Yes => Ok(packet_id),
            Sent::Expired => Err(NotSent::Expired),
            Sent::TooLarge => Err(NotSent::TooLarge),
        }
    }

    /// How many messages above QoS 0 may be published now: what is left of the window, once all
    /// that an earlier connection left has been sent again.
    pub fn room(&self) -> usize {
        self.outbound.room()
    }

    /// Messages published above QoS 0 whose flow is not over.
    pub fn unacknowledged(&self) -> usize {
        self.outbound.unfinished()
    }

    /// Answers a message, after those of its QoS that came before.
    pub fn acknowledge(&mut self, ack: Acknowledgement, reason: ReasonCode, out: &mut Vec<u8>) {
        self.inbound.acknowledge(ack, reason, self.version, out);
    }

    /// Leaves a message open until [`Client::settle`].
    pub fn postpone(&mut self, acknowledgement: Acknowledgement) -> Ticket {
        self.inbound.postpone(acknowledgement)
    }

    /// Answers a postponed message.
    pub fn settle(&mut self, ticket: Ticket, reason: ReasonCode, out: &mut Vec<u8>) {
        self.inbound.settle(ticket, reason, self.version, out);
    }

    /// Authenticates again, with the method of CONNECT (section 4.12.1); `false`, and nothing sent,
    /// without such a method or while an AUTH of ours is not answered.
    pub fn reauthenticate(&mut self, data: &[u8], out: &mut Vec<u8>) -> bool {
        self.send_auth(ReasonCode::ReAuthenticate, data, out)
    }

    /// Answers [`Event::Challenge`]; as [`Client::reauthenticate`].
    pub fn respond(&mut self, data: &[u8], out: &mut Vec<u8>) -> bool {
        self.send_auth(ReasonCode::ContinueAuthentication, data, out)
    }

    /// When [`Client::timeout`] wants to be called next; `None` without keep alive.
    pub fn deadline(&self) -> Option<Monotonic> {
        let since = self.pinged.unwrap_or(self.last_sent);
        (!self.keep_alive.is_zero()).then(|| since + self.keep_alive)
    }

    /// Sends PINGREQ once nothing else was sent for the keep alive interval [MQTT-3.1.2-20].
    ///
    /// # Errors
    /// Nothing came for another interval after PINGREQ.
    pub fn timeout(&mut self, now: Now, out: &mut Vec<u8>) -> Result<(), Failure> {
        if self.deadline().is_none_or(|at| now.monotonic < at) {
            return Ok(());
        }
        if self.pinged.is_some() {
            return Err(Failure::new(
                ReasonCode::UnspecifiedError,
                "the server did not answer PINGREQ within the keep alive interval",
            ));
        }
        write(&Packet::Pingreq, self.version, out);
        self.last_sent = now.monotonic;
        self.pinged = Some(now.monotonic);
        Ok(())
    }

    /// Leaves, and gives what outlives the connection: close it once `out` is sent. `expiry`, in
    /// seconds, changes how long the session lives; it is left out where CONNECT asked for a
    /// session that ends with its connection.
    ///
    /// Version 3 cannot say a reason: with another than success nothing is sent, and closing has
    /// the will published.
    pub fn disconnect(
        mut self,
        reason: ReasonCode,
        expiry: Option<u32>,
        out: &mut Vec<u8>,
    ) -> SessionState {
        let mut properties = PropertiesBuf::new();
        if let Some(expiry) = expiry.filter(|_| self.asked_to_persist) {
            self.session_expiry = expiry;
            add(&mut properties, Property::SessionExpiryInterval(expiry));
        }
        if self.version.has_reason_codes() || reason == ReasonCode::Success {
            let properties = properties.as_properties();
            write(
                &Packet::Disconnect(Disconnect { reason, properties }),
                self.version,
                out,
            );
        }
        self.into_state()
    }

    /// Seconds that the session outlives the connection, as the server granted it; `u32::MAX` is
    /// for ever.
    pub fn session_expiry(&self) -> u32 {
        self.session_expiry
    }

    /// What outlives the connection: for [`Options::connect`]. Requests that were not answered are
    /// forgotten.
    pub fn into_state(self) -> SessionState {
        SessionState {
            outbound: self.outbound,
            received: self.inbound.into_received(),
        }
    }

    fn event<'p>(
        &mut self,
        wall: Wall,
        packet: Packet<'p>,
        out: &mut Vec<u8>,
    ) -> Result<Event<'p>, Failure> {
        let open = self.outbound.unfinished();
        let (packet_id, reason) = match packet {
            Packet::Publish(publish) => {
                let topic = self
                    .rules
                    .resolve(&publish, None, &mut self.incoming_aliases)?;
                return Ok(match self.rules.open(&publish, &mut self.inbound, out)? {
                    Opened::Duplicate => Event::Nothing,
                    Opened::New(acknowledgement) => Event::Message(Incoming {
                        topic,
                        publish,
                        acknowledgement,
                    }),
                });
            }
            Packet::Puback(ack) => {
                self.outbound.puback(ack.packet_id)?;
                (ack.packet_id, ack.reason)
            }
            Packet::Pubrec(ack) => {
                let version = self.version;
                self.outbound
                    .pubrec(ack.packet_id, ack.reason, version, out)?;
                (ack.packet_id, ack.reason)
            }
            Packet::Pubcomp(ack) => {
                self.outbound.pubcomp(ack.packet_id)?;
                // PUBREC said success; a PUBCOMP that does not know the id changes nothing.
                (ack.packet_id, ReasonCode::Success)
            }
            Packet::Pubrel(ack) => {
                self.inbound.release(ack.packet_id, self.version, out);
                return Ok(Event::Nothing);
            }
            Packet::Suback(ack) => {
                return self.answered(&ack, true).map(|()| Event::Subscribed(ack));
            }
            Packet::Unsuback(ack) => {
                return self
                    .answered(&ack, false)
                    .map(|()| Event::Unsubscribed(ack));
            }
            Packet::Disconnect(disconnect) => return Ok(Event::Disconnected(disconnect)),
            Packet::Auth(auth) => return self.auth(auth),
            Packet::Connack(_) => {
                return Err(Failure::protocol("a second CONNACK [MQTT-3.2.0-2]"));
            }
            // The others were refused as a client's packets.
            _ => return Ok(Event::Nothing),
        };
        let finished = self.outbound.unfinished() < open;
        self.resend(wall, out);
        Ok(match finished {
            true => Event::Published { packet_id, reason },
            false => Event::Nothing,
        })
    }

    /// Sends again what an earlier connection left; gives what is too large for this one.
    pub(crate) fn resume(
        &mut self,
        wall: Wall,
        out: &mut Vec<u8>,
    ) -> impl Iterator<Item = Delivery> + use<> {
        let (outbound, channel) = self.outbound(wall);
        let dropped = outbound.take_too_large(&channel);
        outbound.resend(channel, out);
        dropped.into_iter().map(|(_, delivery)| delivery)
    }

    fn resend(&mut self, wall: Wall, out: &mut Vec<u8>) {
        let (outbound, channel) = self.outbound(wall);
        outbound.resend(channel, out);
    }

    fn outbound(&mut self, wall: Wall) -> (&mut Outbound, Channel<'_>) {
        let channel = Channel {
            version: self.version,
            maximum_packet_size: self.maximum_packet_size,
            aliases: self.outgoing_aliases.as_deref_mut(),
            wall,
            mount_point: 0,
        };
        (&mut self.outbound, channel)
    }

    fn send_auth(&mut self, reason: ReasonCode, data: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(authentication) = self.authentication.as_mut().filter(|auth| !auth.open) else {
            return false;
        };
        authentication.open = true;
        challenge(Some(&authentication.method), reason, data, out);
        true
    }

    fn auth<'p>(&mut self, auth: Auth<'p>) -> Result<Event<'p>, Failure> {
        let method = auth.properties.authentication_method();
        let expected = self
            .authentication
            .as_mut()
            .filter(|ours| ours.open && (method == Some(&*ours.method) || is_bare_success(&auth)));
        let Some(authentication) = expected else {
            return Err(Failure::protocol(
                "AUTH that was not asked for, or with another method [MQTT-4.12.0-5]",
            ));
        };
        authentication.open = false;
        let data = auth.properties.authentication_data().unwrap_or_default();
        Ok(match auth.reason {
            ReasonCode::Success => Event::Reauthenticated(data),
            _ => Event::Challenge(data),
        })
    }

    fn note_sent(&mut self, now: Now, before: usize, out: &[u8]) {
        if out.len() > before {
            self.last_sent = now.monotonic;
        }
    }
}

/// AUTH may be shortened to nothing when it says success (3.15.2.1).
fn is_bare_success(auth: &Auth<'_>) -> bool {
    auth.reason == ReasonCode::Success && auth.properties.is_empty()
}
