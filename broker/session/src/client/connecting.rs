use std::num::NonZeroU32;
use std::time::Duration;

use dunlin_codec::{Auth, Connack, Connect, Packet, Qos, ReasonCode, Sender, Version};
use dunlin_time::{Monotonic, Now};
use dunlin_topic::LEVELS_CEILING;

use super::{Authentication, Client, Options};
use crate::alias::OutgoingAliases;
use crate::handshake::challenge;
use crate::incoming::Rules;
use crate::{Delivery, Failure, Inbound, SessionState};

/// A client between its CONNECT and the server's CONNACK. How long that may take is the caller's
/// to decide.
#[derive(Debug)]
pub struct Connecting {
    version: Version,
    clean_start: bool,
    keep_alive: u16,
    session_expiry: u32,
    maximum_inflight: u16,
    receive_maximum: u16,
    topic_alias_maximum: u16,
    authentication_method: Option<Box<str>>,
    sent: Monotonic,
    state: Option<SessionState>,
    /// What a clean start gave up.
    given_up: Option<SessionState>,
}

/// The server's answer to CONNECT, or a step towards it.
#[derive(Debug)]
pub enum Greeting<'p> {
    /// Enhanced authentication: answer the data with [`Connecting::respond`].
    Challenge(&'p [u8]),
    /// We are in.
    Connected(Box<Connected<'p>>),
}

/// An accepted CONNECT.
#[derive(Debug)]
pub struct Connected<'p> {
    /// The connection. What an earlier one left has been sent again.
    pub client: Client,
    /// What the server said: Assigned Client Identifier, Session Present and more.
    pub connack: Connack<'p>,
    /// Messages of a session that is no more, in the order in which they were published: the
    /// server may not have taken them.
    pub discarded: Vec<Delivery>,
}

impl Connecting {
    pub(super) fn new(
        options: &Options,
        connect: &Connect<'_>,
        now: Now,
        state: Option<SessionState>,
    ) -> Self {
        let (state, given_up) = match options.clean_start {
            true => (None, state),
            false => (state, None),
        };
        Connecting {
            version: options.version,
            clean_start: options.clean_start,
            keep_alive: options.keep_alive,
            session_expiry: connect.session_expiry_interval(),
            maximum_inflight: options.maximum_inflight.min(Options::MAXIMUM_INFLIGHT),
            receive_maximum: options.receive_maximum.get(),
            topic_alias_maximum: options.topic_alias_maximum,
            authentication_method: connect.properties.authentication_method().map(Into::into),
            sent: now.monotonic,
            state,
            given_up,
        }
    }

    /// One packet from the server. What an earlier connection left is appended to `out`.
    ///
    /// # Errors
    /// The server refused us, with its reason, or broke the protocol: close, and go on from
    /// [`Connecting::into_state`].
    pub fn receive<'p>(
        &mut self,
        now: Now,
        packet: Packet<'p>,
        out: &mut Vec<u8>,
    ) -> Result<Greeting<'p>, Failure> {
        packet.check_sender(Sender::Server, self.version)?;
        match packet {
            Packet::Connack(connack) => self.connack(now, connack, out),
            Packet::Auth(auth) => self.auth(&auth),
            _ => Err(Failure::protocol(
                "the server's first packet is neither CONNACK nor AUTH [MQTT-3.2.0-1]",
            )),
        }
    }

    /// Answers a challenge.
    pub fn respond(&self, data: &[u8], out: &mut Vec<u8>) {
        let method = self.authentication_method.as_deref();
        challenge(method, ReasonCode::ContinueAuthentication, data, out);
    }

    /// What to connect with next, after a connection that ended before CONNACK. `None` after a
    /// clean start: start clean again, since the server may have the old session or a new one.
    pub fn into_state(self) -> Option<SessionState> {
        self.state
    }

    fn auth<'p>(&self, auth: &Auth<'p>) -> Result<Greeting<'p>, Failure> {
        let method = auth.properties.authentication_method();
        if auth.reason != ReasonCode::ContinueAuthentication
            || method.is_none()
            || method != self.authentication_method.as_deref()
        {
            return Err(Failure::protocol(
                "AUTH that does not continue our method [MQTT-4.12.0-2] [MQTT-4.12.0-5]",
            ));
        }
        let data = auth.properties.authentication_data().unwrap_or_default();
        Ok(Greeting::Challenge(data))
    }

    fn connack<'p>(
        &mut self,
        now: Now,
        connack: Connack<'p>,
        out: &mut Vec<u8>,
    ) -> Result<Greeting<'p>, Failure> {
        if connack.reason.is_error() {
            let said = connack.properties.reason_string();
            let what = said.unwrap_or(connack.reason.name()).to_owned();
            return Err(Failure::new(connack.reason, what));
        }
        let method = connack.properties.authentication_method();
        if method != self.authentication_method.as_deref() {
            return Err(Failure::protocol(
                "CONNACK with another authentication method [MQTT-4.12.0-5] [MQTT-4.12.0-6]",
            ));
        }
        if connack.session_present && (self.clean_start || self.state.is_none()) {
            return Err(Failure::protocol(
                "Session Present, but we have no session [MQTT-3.2.2-4]",
            ));
        }
        let known = connack.session_present || !self.version.has_session_present();
        let kept = self.state.take_if(|_| known);
        // [MQTT-3.2.2-5]
        let gone = self.state.take().or(self.given_up.take());
        let mut discarded: Vec<_> =
            gone.map_or_else(Vec::new, |state| state.outbound.into_deliveries().collect());
        let mut client = self.client(&connack, kept.unwrap_or_default());
        discarded.extend(client.resume(now.wall, out));
        client.note_sent(now, 0, out);
        Ok(Greeting::Connected(Box::new(Connected {
            client,
            connack,
            discarded,
        })))
    }

    fn client(&self, connack: &Connack<'_>, state: SessionState) -> Client {
        let properties = connack.properties;
        let receive_maximum = properties.receive_maximum().map_or(u16::MAX, |n| n.get());
        let keep_alive = properties.server_keep_alive().unwrap_or(self.keep_alive);
        let mut outbound = state.outbound;
        outbound.connect(receive_maximum.min(self.maximum_inflight));
        Client {
            version: self.version,
            outbound,
            inbound: Inbound::resume(state.received),
            incoming_aliases: None,
            outgoing_aliases: OutgoingAliases::new(properties.topic_alias_maximum().unwrap_or(0)),
            rules: Rules {
                version: self.version,
                receive_maximum: match self.version.has_properties() {
                    true => self.receive_maximum,
                    false => u16::MAX,
                },
                topic_alias_maximum: self.topic_alias_maximum,
                maximum_topic_levels: LEVELS_CEILING,
            },
            maximum_packet_size: properties
                .maximum_packet_size()
                .map_or(u32::MAX, NonZeroU32::get),
            maximum_qos: properties.maximum_qos().unwrap_or(Qos::ExactlyOnce),
            retain_available: properties.retain_available(),
            session_expiry: properties
                .session_expiry_interval()
                .unwrap_or(self.session_expiry),
            asked_to_persist: self.session_expiry > 0,
            keep_alive: Duration::from_secs(keep_alive.into()),
            last_sent: self.sent,
            pinged: None,
            requests: Vec::new(),
            authentication: self
                .authentication_method
                .clone()
                .map(|method| Authentication {
                    method,
                    open: false,
                }),
        }
    }
}
