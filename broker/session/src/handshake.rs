use std::num::NonZeroU32;
use std::sync::Arc;

use dunlin_codec::{
    Auth, Connack, Connect, MAX_REMAINING_LENGTH, Packet, PacketType, Properties, PropertiesBuf,
    Property, Qos, ReasonCode, Version, encode, encoded_len,
};
use dunlin_time::Now;

use crate::alias::OutgoingAliases;
use crate::server::AuthTurn;
use crate::will::will;
use crate::{Failure, Inbound, Session, SessionState, Terms, Will};

/// A session before its CONNECT.
///
/// ```text
///  Handshake ──CONNECT──▶ Negotiated ──┬─────────────▶ accept ─▶ Session
///                            ▲         │ challenge
///                            └── AUTH ─┘
/// ```
#[derive(Debug)]
pub struct Handshake {
    terms: Arc<Terms>,
}

/// A CONNECT that is well-formed and within the terms; authentication is still to come.
#[derive(Debug)]
pub struct Negotiated {
    /// The client's protocol version.
    pub version: Version,
    /// Empty until [`Negotiated::assign_client_id`], if the client sent none.
    pub client_id: Box<str>,
    /// Whether an earlier session of this client ends now.
    pub clean_start: bool,
    /// Seconds that the session outlives the connection; `u32::MAX` is for ever.
    pub session_expiry: u32,
    /// Seconds; 0 is none.
    pub keep_alive: u16,
    /// To be published when the connection ends without DISCONNECT.
    pub will: Option<Will>,
    /// The client says that it is a bridge: Mosquitto's bit of the 3.x protocol level.
    pub bridge: bool,
    /// Of enhanced authentication (section 4.12).
    pub authentication_method: Option<Box<str>>,
    client_id_assigned: bool,
    requested_keep_alive: u16,
    requested_session_expiry: u32,
    receive_maximum: u16,
    maximum_packet_size: u32,
    topic_alias_maximum: u16,
    terms: Arc<Terms>,
}

/// What is told to a client that is let in.
#[derive(Debug, Default)]
pub struct Accepted {
    /// What an earlier connection of the session left; `Some` sets Session Present.
    pub state: Option<SessionState>,
    /// The last step of enhanced authentication.
    pub authentication_data: Option<Vec<u8>>,
}

impl Handshake {
    /// Waits for a CONNECT under these terms.
    pub fn new(terms: Arc<Terms>) -> Self {
        Handshake { terms }
    }

    /// The first packet.
    ///
    /// # Errors
    /// It is no CONNECT, or asks for what the terms exclude; refuse with [`Handshake::refuse`].
    pub fn connect(self, packet: &Packet<'_>) -> Result<Negotiated, Failure> {
        let Packet::Connect(connect) = packet else {
            return Err(Failure::protocol(
                "the first packet is not CONNECT [MQTT-3.1.0-1]",
            ));
        };
        let terms = self.terms;
        check_client_id(connect, &terms)?;
        let will = will(connect, &terms)?;
        let properties = connect.properties;
        let method = properties.authentication_method();
        let requested_session_expiry = connect.session_expiry_interval();
        Ok(Negotiated {
            version: connect.version,
            client_id: connect.client_id.into(),
            clean_start: connect.clean_start,
            session_expiry: requested_session_expiry.min(terms.maximum_session_expiry),
            keep_alive: keep_alive(connect, &terms),
            will,
            bridge: connect.bridge,
            authentication_method: method.map(Into::into),
            client_id_assigned: false,
            requested_keep_alive: connect.keep_alive,
            requested_session_expiry,
            receive_maximum: properties.receive_maximum().map_or(u16::MAX, |n| n.get()),
            maximum_packet_size: properties
                .maximum_packet_size()
                .map_or(u32::MAX, |n| n.get()),
            topic_alias_maximum: properties.topic_alias_maximum().unwrap_or(0),
            terms,
        })
    }

    /// The CONNACK that turns a client away, if its version has one for this
    /// [MQTT-3.2.2-6 of 3.1.1]; for a client whose Maximum Packet Size is not known.
    pub fn refuse(version: Version, failure: &Failure, out: &mut Vec<u8>) {
        Handshake::refuse_within(u32::MAX, version, failure, out);
    }

    /// The same for a client that takes no packet above `maximum_packet_size` bytes: the reason
    /// string stays out where it does not fit [MQTT-3.2.2-19]. A reason that has no place in a
    /// CONNACK goes out as 0x80.
    pub fn refuse_within(
        maximum_packet_size: u32,
        version: Version,
        failure: &Failure,
        out: &mut Vec<u8>,
    ) {
        let in_connack = failure.reason.is_valid_in(PacketType::Connack);
        let reason = match failure.reason.is_error() && in_connack {
            true => failure.reason,
            false => ReasonCode::UnspecifiedError,
        };
        if !version.has_reason_codes() && failure.reason.connack_return_code().is_none() {
            return;
        }
        write_with_reason_string(
            &failure.what,
            maximum_packet_size,
            version,
            out,
            |properties| {
                Packet::Connack(Connack {
                    session_present: false,
                    reason,
                    properties,
                })
            },
        );
    }
}

impl Negotiated {
    /// The terms in force.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Bytes of the longest packet that the client takes.
    pub fn maximum_packet_size(&self) -> u32 {
        self.maximum_packet_size
    }

    /// The CONNACK that turns this client away.
    pub fn refuse(&self, failure: &Failure, out: &mut Vec<u8>) {
        Handshake::refuse_within(self.maximum_packet_size, self.version, failure, out);
    }

    /// Names a client that sent no client id [MQTT-3.1.3-6].
    pub fn assign_client_id(&mut self, client_id: &str) {
        self.client_id = client_id.into();
        self.client_id_assigned = true;
    }

    /// Asks the client for the next step of enhanced authentication.
    pub fn challenge(&self, data: &[u8], out: &mut Vec<u8>) {
        challenge(
            self.authentication_method.as_deref(),
            ReasonCode::ContinueAuthentication,
            data,
            out,
        );
    }

    /// The client's answer to a challenge.
    ///
    /// # Errors
    /// Anything but an AUTH that continues with the same method.
    pub fn response<'p>(&self, packet: &Packet<'p>) -> Result<&'p [u8], Failure> {
        match packet {
            Packet::Auth(auth)
                if auth.reason == ReasonCode::ContinueAuthentication
                    && auth.properties.authentication_method()
                        == self.authentication_method.as_deref() =>
            {
                Ok(auth.properties.authentication_data().unwrap_or_default())
            }
            Packet::Disconnect(_) => Err(Failure::new(
                ReasonCode::Success,
                "the client gave up during authentication",
            )),
            _ => Err(Failure::protocol(
                "anything but AUTH and DISCONNECT during authentication [MQTT-3.1.2-30]",
            )),
        }
    }

    /// Whether the CONNACK that [`Negotiated::accept`] would send fits the client.
    ///
    /// # Errors
    /// It exceeds the client's Maximum Packet Size [MQTT-3.1.2-24].
    pub fn check_greeting(&self, authentication_data: Option<&[u8]>) -> Result<(), Failure> {
        let mut out = Vec::new();
        self.greet(false, authentication_data, &mut out);
        match out.len() <= self.maximum_packet_size as usize {
            true => Ok(()),
            false => Err(Failure::new(
                ReasonCode::PacketTooLarge,
                "our CONNACK exceeds the client's Maximum Packet Size [MQTT-3.1.2-24]",
            )),
        }
    }

    /// Lets the client in: CONNACK, and the session.
    pub fn accept(self, now: Now, accepted: Accepted, out: &mut Vec<u8>) -> Session {
        let data = accepted.authentication_data.as_deref();
        self.greet(accepted.state.is_some(), data, out);
        self.session(now, accepted.state.unwrap_or_default())
    }

    fn greet(&self, session_present: bool, data: Option<&[u8]>, out: &mut Vec<u8>) {
        let mut properties = PropertiesBuf::new();
        if self.version.has_properties() {
            self.announce(&mut properties);
            if let Some(method) = &self.authentication_method {
                add(&mut properties, Property::AuthenticationMethod(method));
            }
            if let Some(data) = data {
                add(&mut properties, Property::AuthenticationData(data));
            }
        }
        let connack = Connack {
            session_present,
            reason: ReasonCode::Success,
            properties: properties.as_properties(),
        };
        write(&Packet::Connack(connack), self.version, out);
    }

    fn session(self, now: Now, state: SessionState) -> Session {
        let mut outbound = state.outbound;
        outbound.connect(self.receive_maximum.min(self.terms.maximum_inflight));
        Session {
            version: self.version,
            terms: self.terms,
            outbound,
            inbound: Inbound::resume(state.received),
            incoming_aliases: None,
            outgoing_aliases: OutgoingAliases::new(self.topic_alias_maximum),
            maximum_packet_size: self.maximum_packet_size,
            keep_alive: self.keep_alive,
            last_packet: now.monotonic,
            session_expiry: self.session_expiry,
            bridge: self.bridge,
            asked_to_persist: self.requested_session_expiry > 0,
            authentication_method: self.authentication_method.map(Box::new),
            turn: AuthTurn::Nobody,
        }
    }

    /// What differs from the defaults of section 3.2.2.3, or from what the client asked for.
    fn announce(&self, properties: &mut PropertiesBuf) {
        let terms = &self.terms;
        if self.session_expiry != self.requested_session_expiry {
            add(
                properties,
                Property::SessionExpiryInterval(self.session_expiry),
            );
        }
        if let Some(maximum) = std::num::NonZeroU16::new(terms.receive_maximum) {
            add(properties, Property::ReceiveMaximum(maximum));
        }
        if terms.maximum_qos != Qos::ExactlyOnce {
            add(properties, Property::MaximumQos(terms.maximum_qos));
        }
        if !terms.retain_available {
            add(properties, Property::RetainAvailable(false));
        }
        // Paho refuses a CONNACK that announces more than the largest Remaining Length.
        let is_limit = (terms.maximum_packet_size as usize) < MAX_REMAINING_LENGTH;
        if let Some(maximum) = NonZeroU32::new(terms.maximum_packet_size).filter(|_| is_limit) {
            add(properties, Property::MaximumPacketSize(maximum));
        }
        if self.client_id_assigned {
            add(
                properties,
                Property::AssignedClientIdentifier(&self.client_id),
            );
        }
        if terms.topic_alias_maximum > 0 {
            add(
                properties,
                Property::TopicAliasMaximum(terms.topic_alias_maximum),
            );
        }
        if self.keep_alive != self.requested_keep_alive {
            add(properties, Property::ServerKeepAlive(self.keep_alive));
        }
    }
}

/// Writes an AUTH packet.
pub(crate) fn challenge(method: Option<&str>, reason: ReasonCode, data: &[u8], out: &mut Vec<u8>) {
    let mut properties = PropertiesBuf::new();
    if let Some(method) = method {
        add(&mut properties, Property::AuthenticationMethod(method));
    }
    if !data.is_empty() {
        add(&mut properties, Property::AuthenticationData(data));
    }
    let auth = Auth {
        reason,
        properties: properties.as_properties(),
    };
    write(&Packet::Auth(auth), Version::Mqtt5, out);
}

/// Adds a property of ours; their values are within the standard's bounds.
pub(crate) fn add(properties: &mut PropertiesBuf, property: Property<'_>) {
    let added = properties.push(property);
    debug_assert!(added.is_ok(), "{added:?}");
}

/// Encodes a packet of ours; their parts are bounded far below what encoding refuses.
pub(crate) fn write(packet: &Packet<'_>, version: Version, out: &mut Vec<u8>) {
    let written = encode(packet, version, out);
    debug_assert!(written.is_ok(), "{written:?}");
}

/// Writes a packet with a reason string, or without where that would exceed the peer's Maximum
/// Packet Size; nothing if even that would.
pub(crate) fn write_with_reason_string(
    what: &str,
    maximum_packet_size: u32,
    version: Version,
    out: &mut Vec<u8>,
    packet: impl for<'q> Fn(Properties<'q>) -> Packet<'q>,
) {
    let mut properties = PropertiesBuf::new();
    if version.has_properties() && !what.is_empty() {
        add(&mut properties, Property::ReasonString(what));
    }
    for properties in [properties.as_properties(), Properties::EMPTY] {
        let packet = packet(properties);
        if encoded_len(&packet, version) <= maximum_packet_size as usize {
            return write(&packet, version, out);
        }
    }
}

fn check_client_id(connect: &Connect<'_>, terms: &Terms) -> Result<(), Failure> {
    if !connect.client_id.is_empty() {
        return Ok(());
    }
    let may_be_empty = match connect.version {
        Version::Mqtt31 => false,
        Version::Mqtt311 => connect.clean_start,
        Version::Mqtt5 => true,
    };
    if may_be_empty && terms.assign_client_ids {
        return Ok(());
    }
    Err(Failure::new(
        ReasonCode::ClientIdentifierNotValid,
        "a client id is needed here [MQTT-3.1.3-8]",
    ))
}

fn keep_alive(connect: &Connect<'_>, terms: &Terms) -> u16 {
    let maximum = terms.maximum_keep_alive;
    if maximum > 0 && (connect.keep_alive == 0 || connect.keep_alive > maximum) {
        // Only version 5 can tell the client so; others keep what they asked for.
        if connect.version.has_properties() {
            return maximum;
        }
    }
    connect.keep_alive
}
