//! The server's end of a connection: what it holds, and what its driver says to the client.

mod receive;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dunlin_codec::{
    Disconnect, Packet, PacketId, PacketType, Properties, ReasonCode, ReasonCodesBuf, Suback,
    Version,
};
use dunlin_time::{Monotonic, Now, Wall};

use crate::alias::{IncomingAliases, OutgoingAliases};
use crate::channel::Channel;
use crate::handshake::{challenge, write, write_with_reason_string};
use crate::{Acknowledgement, Delivery, Failure, Inbound, Outbound, Sent, Terms, Ticket};

pub use receive::{Farewell, Finished, Progress, Request};

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

impl Session {
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

    fn method(&self) -> Option<&str> {
        self.authentication_method.as_ref().map(|method| &***method)
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
