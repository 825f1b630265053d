use std::collections::VecDeque;
use std::iter::repeat_n;
use std::sync::Arc;
use std::time::Duration;

use dunlin_codec::{
    Ack, AckKind, Auth, Disconnect, Packet, PacketId, PacketType, Properties, Publish, Qos,
    ReasonCode, ReasonCodesBuf, Sender, Suback, Subscribe, Unsubscribe, Version, encoded_len,
};
use dunlin_time::{Monotonic, Now, Wall};
use dunlin_topic::TopicName;

use crate::alias::{IncomingAliases, OutgoingAliases};
use crate::channel::Channel;
use crate::handshake::{challenge, write, write_with_reason_string};
use crate::incoming::{Opened, Rules};
use crate::{Acknowledgement, Delivery, Failure, Inbound, Incoming, Outbound, Sent, Terms, Ticket};

/// Who is to send the next AUTH of a re-authentication (section 4.12.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthTurn {
    /// None is under way.
    Nobody,
    Server,
    Client,
}

/// The server's end of a connection, from CONNACK to its close.
///
/// Every packet goes to [`Session::receive`]. After an `Err` the connection is over: say so with
/// [`Session::disconnect`] and close.
#[derive(Debug)]
pub struct Session {
    pub(crate) version: Version,
    pub(crate) terms: Arc<Terms>,
    pub(crate) outbound: Outbound,
    pub(crate) inbound: Inbound,
    pub(crate) incoming_aliases: Option<Box<IncomingAliases>>,
    pub(crate) outgoing_aliases: Option<Box<OutgoingAliases>>,
    pub(crate) maximum_packet_size: u32,
    pub(crate) keep_alive: u16,
    pub(crate) last_packet: Monotonic,
    pub(crate) session_expiry: u32,
    /// The client says that it is a bridge.
    pub(crate) bridge: bool,
    /// CONNECT asked for a session that outlives its connection.
    pub(crate) asked_to_persist: bool,
    /// Boxed twice: few clients have one, and a session is small.
    pub(crate) authentication_method: Option<Box<Box<str>>>,
    pub(crate) turn: AuthTurn,
}

/// What of a session outlives its connection.
#[derive(Debug, Default)]
pub struct SessionState {
    /// Messages sent and not acknowledged.
    pub outbound: Outbound,
    /// QoS 2 packet ids received and not released.
    pub received: VecDeque<PacketId>,
}

/// What a packet asks of the world beyond this session.
#[derive(Debug)]
pub enum Request<'p> {
    /// Nothing: the session has answered.
    Nothing,
    /// Deliver it; answer with [`Session::acknowledge`] or [`Session::postpone`].
    Publish(Incoming<'p>),
    /// An acknowledgement came.
    Progress(Progress),
    /// Answer with [`Session::subscribed`].
    Subscribe(Subscribe<'p>),
    /// Answer with [`Session::unsubscribed`].
    Unsubscribe(Unsubscribe<'p>),
    /// Answer with [`Session::reauthenticated`] or [`Session::challenge`].
    Reauthenticate(&'p [u8]),
    /// The client leaves.
    Disconnect(Farewell),
}

/// What an acknowledgement has moved on.
#[derive(Debug)]
pub enum Progress {
    /// Nothing that a queue knows of.
    Nothing,
    /// The client took or refused this message; its queue may forget it.
    Finished(Finished),
    /// PUBCOMP: the id of a QoS 2 message is free again.
    Completed(PacketId),
    /// PUBREL: the id of a QoS 2 message from the client is free again.
    Released(PacketId),
}

/// A message that its queue may forget.
#[derive(Debug)]
pub struct Finished {
    /// The message.
    pub delivery: Delivery,
    /// What it was sent as.
    pub packet_id: PacketId,
    /// It was answered by PUBREL: the id stays in use until PUBCOMP.
    pub released: bool,
}

/// How a client left by DISCONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// Its reason; normal for version 3.
    pub reason: ReasonCode,
    /// Whether the will is published all the same (0x04, or an error).
    pub publish_will: bool,
}

impl Session {
    /// One packet from the client. Acknowledgements and answers are appended to `out`.
    ///
    /// # Errors
    /// The client broke the protocol or the terms.
    pub fn receive<'p>(
        &mut self,
        now: Now,
        packet: Packet<'p>,
        out: &mut Vec<u8>,
    ) -> Result<Request<'p>, Failure> {
        self.last_packet = now.monotonic;
        match packet {
            Packet::Publish(publish) => {
                let incoming = self.receive_publish(now, publish, None, out)?;
                Ok(incoming.map_or(Request::Nothing, Request::Publish))
            }
            Packet::Puback(ack) => self.progress(now, AckKind::Puback, ack, out),
            Packet::Pubrec(ack) => self.progress(now, AckKind::Pubrec, ack, out),
            Packet::Pubrel(ack) => self.progress(now, AckKind::Pubrel, ack, out),
            Packet::Pubcomp(ack) => self.progress(now, AckKind::Pubcomp, ack, out),
            Packet::Subscribe(subscribe) => {
                self.check_answer(subscribe.filters.iter().count())?;
                Ok(Request::Subscribe(subscribe))
            }
            Packet::Unsubscribe(unsubscribe) => {
                self.check_answer(unsubscribe.filters.iter().count())?;
                Ok(Request::Unsubscribe(unsubscribe))
            }
            Packet::Pingreq => {
                write(&Packet::Pingresp, self.version, out);
                Ok(Request::Nothing)
            }
            Packet::Disconnect(disconnect) => self.farewell(disconnect),
            Packet::Auth(auth) => self.auth(auth),
            Packet::Connect(_) => Err(Failure::protocol("a second CONNECT [MQTT-3.1.0-2]")),
            Packet::Connack(_) | Packet::Suback(_) | Packet::Unsuback(_) | Packet::Pingresp => {
                Err(Failure::protocol("a packet that only a server may send"))
            }
        }
    }

    /// A PUBLISH, as [`Session::receive`] takes it; `None` if the session has answered it. If its
    /// topic is `known` itself, which this session took before, it is not checked again. Inlined,
    /// so that the packet stays where it is.
    ///
    /// # Errors
    /// As [`Session::receive`].
    #[inline(always)]
    pub fn receive_publish<'p>(
        &mut self,
        now: Now,
        publish: Publish<'p>,
        known: Option<TopicName<'p>>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Incoming<'p>>, Failure> {
        self.last_packet = now.monotonic;
        self.check_terms(&publish)?;
        let rules = Rules {
            version: self.version,
            receive_maximum: self.receive_maximum(),
            topic_alias_maximum: self.terms.topic_alias_maximum,
            maximum_topic_levels: self.terms.maximum_topic_levels,
        };
        let topic = rules.resolve(&publish, known, &mut self.incoming_aliases)?;
        Ok(match rules.open(&publish, &mut self.inbound, out)? {
            Opened::Duplicate => None,
            Opened::New(acknowledgement) => Some(Incoming {
                topic,
                publish,
                acknowledgement,
            }),
        })
    }

    /// An acknowledgement, as [`Session::receive`] takes it.
    ///
    /// # Errors
    /// As [`Session::receive`].
    pub fn receive_ack(
        &mut self,
        now: Now,
        kind: AckKind,
        packet_id: PacketId,
        reason: ReasonCode,
        out: &mut Vec<u8>,
    ) -> Result<Progress, Failure> {
        self.last_packet = now.monotonic;
        let version = self.version;
        let finished = match kind {
            AckKind::Puback => self.outbound.puback(packet_id)?,
            AckKind::Pubrec => self.outbound.pubrec(packet_id, reason, version, out)?,
            AckKind::Pubcomp => {
                self.outbound.pubcomp(packet_id)?;
                self.resend(now.wall, out);
                return Ok(Progress::Completed(packet_id));
            }
            AckKind::Pubrel => {
                return Ok(match self.inbound.release(packet_id, version, out) {
                    true => Progress::Released(packet_id),
                    false => Progress::Nothing,
                });
            }
        };
        // It made room: what waits for that is sent again.
        self.resend(now.wall, out);
        Ok(finished.map_or(Progress::Nothing, |delivery| {
            Progress::Finished(Finished {
                released: delivery.qos == Qos::ExactlyOnce && !reason.is_error(),
                delivery,
                packet_id,
            })
        }))
    }

    fn progress<'p>(
        &mut self,
        now: Now,
        kind: AckKind,
        ack: Ack<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Request<'p>, Failure> {
        let progress = self.receive_ack(now, kind, ack.packet_id, ack.reason, out)?;
        Ok(Request::Progress(progress))
    }

    /// Whether the client is a bridge that speaks MQTT 3. Its subscriptions are as if made with No
    /// Local and Retain As Published, which it has no way to say.
    pub fn is_bridge(&self) -> bool {
        self.bridge
    }

    /// The protocol version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The terms of this connection's listener.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Answers a PUBLISH, after those of its QoS that came before.
    pub fn acknowledge(&mut self, ack: Acknowledgement, reason: ReasonCode, out: &mut Vec<u8>) {
        self.inbound.acknowledge(ack, reason, self.version, out);
    }

    /// Leaves a PUBLISH open until [`Session::settle`].
    pub fn postpone(&mut self, acknowledgement: Acknowledgement) -> Ticket {
        self.inbound.postpone(acknowledgement)
    }

    /// Answers a postponed PUBLISH.
    pub fn settle(&mut self, ticket: Ticket, reason: ReasonCode, out: &mut Vec<u8>) {
        self.inbound.settle(ticket, reason, self.version, out);
    }

    /// SUBACK: one reason code for each filter, in their order [MQTT-3.8.4-6].
    pub fn subscribed(&self, packet_id: PacketId, reasons: &ReasonCodesBuf, out: &mut Vec<u8>) {
        self.answer(Packet::Suback, packet_id, reasons, out);
    }

    /// UNSUBACK.
    pub fn unsubscribed(&self, packet_id: PacketId, reasons: &ReasonCodesBuf, out: &mut Vec<u8>) {
        self.answer(Packet::Unsuback, packet_id, reasons, out);
    }

    /// How many messages of QoS 1 or 2 may be delivered now: what is left of the client's window,
    /// once all that an earlier connection left has been sent again.
    pub fn room(&self) -> usize {
        self.outbound.room()
    }

    /// Sends a message, only while there is [`Session::room`].
    pub fn deliver(&mut self, wall: Wall, delivery: Delivery, out: &mut Vec<u8>) -> Sent {
        let (outbound, channel) = self.outbound(wall);
        outbound.send(delivery, channel, out)
    }

    /// The packet id of the last message of QoS 1 or 2 that was sent.
    pub fn last_packet_id(&self) -> PacketId {
        self.outbound.last_packet_id()
    }

    /// Takes out what an earlier connection of the session left open and this one may not have;
    /// before [`Session::resume`].
    pub fn take_out(&mut self, goes: impl FnMut(&Delivery) -> bool) -> Vec<(PacketId, Delivery)> {
        self.outbound.take_out(goes)
    }

    /// Sends again what an earlier connection of the session left open; once after CONNACK. Gives
    /// what is dropped instead, because it is too large for this connection [MQTT-3.1.2-25].
    pub fn resume(&mut self, wall: Wall, out: &mut Vec<u8>) -> Vec<(PacketId, Delivery)> {
        let (outbound, channel) = self.outbound(wall);
        let dropped = outbound.take_too_large(&channel);
        outbound.resend(channel, out);
        dropped
    }

    /// Asks for the next step of a re-authentication.
    pub fn challenge(&mut self, data: &[u8], out: &mut Vec<u8>) {
        self.turn = AuthTurn::Client;
        let method = self.method();
        challenge(method, ReasonCode::ContinueAuthentication, data, out);
    }

    /// A re-authentication succeeded.
    pub fn reauthenticated(&mut self, data: &[u8], out: &mut Vec<u8>) {
        self.turn = AuthTurn::Nobody;
        let method = self.method();
        challenge(method, ReasonCode::Success, data, out);
    }

    /// The method that the client authenticates with, if enhanced.
    pub fn authentication_method(&self) -> Option<&str> {
        self.method()
    }

    /// When [`Session::timeout`] wants to be called next; `None` without keep alive.
    pub fn deadline(&self) -> Option<Monotonic> {
        (self.keep_alive > 0).then(|| self.last_packet + self.patience())
    }

    /// Nobody has read what the client sends: its silence begins now.
    pub fn excuse(&mut self, now: Now) {
        self.last_packet = now.monotonic;
    }

    /// # Errors
    /// The client was silent for one and a half keep alive intervals [MQTT-3.1.2-22].
    pub fn timeout(&self, now: Now) -> Result<(), Failure> {
        match self.deadline() {
            Some(deadline) if deadline <= now.monotonic => Err(Failure::new(
                ReasonCode::KeepAliveTimeout,
                "nothing came for one and a half keep alive intervals",
            )),
            _ => Ok(()),
        }
    }

    /// Says why the server closes, to a client that can be told [MQTT-4.13.1-1]. A reason that has
    /// no place in a server's DISCONNECT goes out as 0x80; the reason string stays out where the
    /// client's Maximum Packet Size leaves no room for it [MQTT-3.14.2-3].
    pub fn disconnect(&self, reason: ReasonCode, what: &str, out: &mut Vec<u8>) {
        if !self.version.has_server_disconnect() {
            return;
        }
        let reason = match reason.is_error() && reason.is_valid_in(PacketType::Disconnect) {
            true => reason,
            false => ReasonCode::UnspecifiedError,
        };
        write_with_reason_string(
            what,
            self.maximum_packet_size,
            self.version,
            out,
            |properties| Packet::Disconnect(Disconnect { reason, properties }),
        );
    }

    /// Seconds that the session outlives the connection; `u32::MAX` is for ever.
    pub fn session_expiry(&self) -> u32 {
        self.session_expiry
    }

    /// Messages sent and not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.outbound.unfinished()
    }

    /// PUBLISH packets whose answer is postponed.
    pub fn postponed(&self) -> usize {
        self.inbound.waiting()
    }

    /// What outlives the connection. A postponed PUBLISH that is not settled by now counts as not
    /// taken: its sender sends it again. So settle what became durable first.
    pub fn into_state(self) -> SessionState {
        SessionState {
            outbound: self.outbound,
            received: self.inbound.into_received(),
        }
    }

    /// Version 3 cannot be told a limit: its packet ids are one.
    fn receive_maximum(&self) -> u16 {
        match self.version.has_properties() {
            true => self.terms.receive_maximum,
            false => u16::MAX,
        }
    }

    fn method(&self) -> Option<&str> {
        self.authentication_method.as_ref().map(|method| &***method)
    }

    fn check_terms(&self, publish: &Publish<'_>) -> Result<(), Failure> {
        if publish.qos > self.terms.maximum_qos {
            return Err(Failure::new(
                ReasonCode::QosNotSupported,
                "QoS above Maximum QoS [MQTT-3.2.2-11]",
            ));
        }
        if publish.retain && !self.terms.retain_available {
            return Err(Failure::new(
                ReasonCode::RetainNotSupported,
                "RETAIN is not available here [MQTT-3.2.2-14]",
            ));
        }
        self.terms.check_topic_bytes(publish.topic)?;
        if publish.properties.is_empty() {
            return Ok(());
        }
        if publish
            .properties
            .subscription_identifiers()
            .next()
            .is_some()
        {
            return Err(Failure::protocol(
                "a client's PUBLISH with a subscription identifier [MQTT-3.3.4-6]",
            ));
        }
        if let Some(topic) = publish.properties.response_topic() {
            TopicName::new_bounded(topic, self.terms.maximum_topic_levels).map_err(|_| {
                Failure::protocol("a response topic with wildcards [MQTT-3.3.2-14]")
            })?;
        }
        Ok(())
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
            mount_point: self.terms.mount_point.len(),
        };
        (&mut self.outbound, channel)
    }

    fn farewell<'p>(&mut self, disconnect: Disconnect<'_>) -> Result<Request<'p>, Failure> {
        Packet::Disconnect(disconnect).check_sender(Sender::Client, self.version)?;
        if let Some(expiry) = disconnect.properties.session_expiry_interval() {
            if !self.asked_to_persist && expiry != 0 {
                return Err(Failure::protocol(
                    "a session expiry at DISCONNECT after none at CONNECT (3.14.2.2.2)",
                ));
            }
            self.session_expiry = expiry.min(self.terms.maximum_session_expiry);
        }
        Ok(Request::Disconnect(Farewell {
            reason: disconnect.reason,
            publish_will: disconnect.reason != ReasonCode::Success,
        }))
    }

    fn auth<'p>(&mut self, auth: Auth<'p>) -> Result<Request<'p>, Failure> {
        let method = auth.properties.authentication_method();
        if self.authentication_method.is_none() || method != self.method() {
            return Err(Failure::protocol(
                "AUTH with another method than CONNECT [MQTT-4.12.1-1]",
            ));
        }
        match (auth.reason, self.turn) {
            (ReasonCode::ReAuthenticate, AuthTurn::Nobody)
            | (ReasonCode::ContinueAuthentication, AuthTurn::Client) => {
                self.turn = AuthTurn::Server;
                let data = auth.properties.authentication_data();
                Ok(Request::Reauthenticate(data.unwrap_or_default()))
            }
            _ => Err(Failure::protocol("AUTH out of order [MQTT-4.12.0-3]")),
        }
    }

    /// Refuses a request, before it has any effect, whose answer would exceed the client's Maximum
    /// Packet Size [MQTT-3.1.2-24]: it has a reason code for each filter.
    fn check_answer(&self, filters: usize) -> Result<(), Failure> {
        /// More than an answer has beside reason codes.
        const REST: usize = 16;
        if filters + REST <= self.maximum_packet_size as usize {
            return Ok(());
        }
        let reasons: ReasonCodesBuf = repeat_n(ReasonCode::Success, filters).collect();
        let answer = Packet::Suback(Suback {
            packet_id: PacketId::MIN,
            properties: Properties::EMPTY,
            reasons: reasons.as_reason_codes(),
        });
        if encoded_len(&answer, self.version) <= self.maximum_packet_size as usize {
            return Ok(());
        }
        Err(Failure::new(
            ReasonCode::PacketTooLarge,
            "the answer to so many filters exceeds the client's Maximum Packet Size [MQTT-3.1.2-24]",
        ))
    }

    fn answer<'p>(
        &self,
        packet: impl FnOnce(Suback<'p>) -> Packet<'p>,
        packet_id: PacketId,
        reasons: &'p ReasonCodesBuf,
        out: &mut Vec<u8>,
    ) {
        let suback = Suback {
            packet_id,
            properties: Properties::EMPTY,
            reasons: reasons.as_reason_codes(),
        };
        write(&packet(suback), self.version, out);
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(u64::from(self.keep_alive) * 1500)
    }
}
