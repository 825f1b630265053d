use std::num::{NonZeroU16, NonZeroU32};

use dunlin_codec::{Connect, EncodeError, Packet, PropertiesBuf, Property, Qos, Version, encode};
use dunlin_time::Now;

use crate::SessionState;
use crate::client::Connecting;

/// What a client asks for in CONNECT, and what it announces there.
#[derive(Clone, Debug)]
pub struct Options {
    /// The protocol version.
    pub version: Version,
    /// Empty lets the server assign one.
    pub client_id: String,
    /// Forget the session that the server may have.
    pub clean_start: bool,
    /// Seconds that the session outlives the connection, `u32::MAX` for ever. Only in version 5;
    /// version 3 forgets a session that starts clean and keeps others.
    pub session_expiry: u32,
    /// Seconds; 0 is none.
    pub keep_alive: u16,
    /// Published when the connection ends without DISCONNECT.
    pub will: Option<Will>,
    /// The user's name.
    pub username: Option<String>,
    /// Any bytes; version 3 takes one only beside a user name.
    pub password: Option<Vec<u8>>,
    /// Messages above QoS 0 that the server may have open towards us. Version 3 cannot announce
    /// it: there it bounds nothing.
    pub receive_maximum: NonZeroU16,
    /// Messages above QoS 0 that we have open at once, if the server's Receive Maximum is not
    /// lower; at most [`Options::MAXIMUM_INFLIGHT`].
    pub maximum_inflight: u16,
    /// Bytes of the largest packet we take, with its fixed header: for decoding, too.
    pub maximum_packet_size: NonZeroU32,
    /// Aliases that the server may use.
    pub topic_alias_maximum: u16,
    /// Further properties of CONNECT: user properties, Request Problem Information,
    /// Authentication Method and Data. None that a field above gives.
    pub properties: PropertiesBuf,
}

/// A will message, as CONNECT carries it.
#[derive(Clone, Debug, Default)]
pub struct Will {
    /// The message's QoS.
    pub qos: Qos,
    /// The message's RETAIN flag.
    pub retain: bool,
    /// A valid topic name.
    pub topic: String,
    /// The application's bytes, at most 65,535.
    pub payload: Vec<u8>,
    /// Will Delay Interval, and properties of the message.
    pub properties: PropertiesBuf,
}

impl Default for Options {
    /// A clean session of version 5 with a keep alive of a minute and a client id from the server.
    fn default() -> Self {
        Options {
            version: Version::Mqtt5,
            client_id: String::new(),
            clean_start: true,
            session_expiry: 0,
            keep_alive: 60,
            will: None,
            username: None,
            password: None,
            receive_maximum: NonZeroU16::MAX,
            maximum_inflight: 1024,
            maximum_packet_size: NonZeroU32::MAX,
            topic_alias_maximum: 0,
            properties: PropertiesBuf::new(),
        }
    }
}

impl Options {
    /// Leaves packet ids for SUBSCRIBE and UNSUBSCRIBE.
    pub const MAXIMUM_INFLIGHT: u16 = u16::MAX - super::MAXIMUM_REQUESTS as u16;

    /// Writes CONNECT. `state` is what an earlier connection of this session left. With `None` a
    /// server that has a session is an error [MQTT-3.2.2-4]; a tool that takes up a session
    /// without knowing it gives an empty state. A clean start discards the state at once
    /// ([`crate::client::Connected::discarded`] gives it back), since nobody knows how far the
    /// server came.
    ///
    /// # Errors
    /// A field is too long for CONNECT, or there is a password alone in version 3; nothing is
    /// written then.
    pub fn connect(
        &self,
        now: Now,
        state: Option<SessionState>,
        out: &mut Vec<u8>,
    ) -> Result<Connecting, EncodeError> {
        let mut properties = PropertiesBuf::new();
        if self.version.has_properties() {
            self.announce(&mut properties)?;
        }
        let connect = Connect {
            version: self.version,
            clean_start: self.clean_start,
            keep_alive: self.keep_alive,
            client_id: &self.client_id,
            will: self.will.as_ref().map(Will::as_packet),
            username: self.username.as_deref(),
            password: self.password.as_deref(),
            properties: properties.as_properties(),
            bridge: false,
        };
        encode(&Packet::Connect(connect), self.version, out)?;
        Ok(Connecting::new(self, &connect, now, state))
    }

    fn announce(&self, properties: &mut PropertiesBuf) -> Result<(), EncodeError> {
        if self.session_expiry > 0 {
            properties.push(Property::SessionExpiryInterval(self.session_expiry))?;
        }
        if self.receive_maximum != NonZeroU16::MAX {
            properties.push(Property::ReceiveMaximum(self.receive_maximum))?;
        }
        if self.maximum_packet_size != NonZeroU32::MAX {
            properties.push(Property::MaximumPacketSize(self.maximum_packet_size))?;
        }
        if self.topic_alias_maximum > 0 {
            properties.push(Property::TopicAliasMaximum(self.topic_alias_maximum))?;
        }
        for property in self.properties.as_properties().iter() {
            properties.push(property)?;
        }
        Ok(())
    }
}

impl Will {
    fn as_packet(&self) -> dunlin_codec::Will<'_> {
        dunlin_codec::Will {
            qos: self.qos,
            retain: self.retain,
            topic: &self.topic,
            payload: &self.payload,
            properties: self.properties.as_properties(),
        }
    }
}
