//! CONNECT (MQTT 5, 3.1): who is there, in which version, with what will.

use crate::wire::{Reader, Sink};
use crate::{
    DecodeError, Decoded, EncodeError, PacketType, Properties, PropertyPlace, Qos, ReasonCode,
    Version,
};

/// The first packet of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The version of this and all following packets.
    pub version: Version,
    /// Forget the session that the server may have (3.x: Clean Session, which also ends the new
    /// session with its connection; see [`Connect::session_expiry_interval`]).
    pub clean_start: bool,
    /// Seconds; 0 turns the check off.
    pub keep_alive: u16,
    /// May be empty; whether the server then assigns one is the session's to say.
    pub client_id: &'a str,
    /// What to publish when the connection is lost.
    pub will: Option<Will<'a>>,
    /// The user's name.
    pub username: Option<&'a str>,
    /// Any bytes; in 3.x only beside a user name.
    pub password: Option<&'a [u8]>,
    /// Empty for 3.x.
    pub properties: Properties<'a>,
    /// The client is a bridge: Mosquitto's 0x80 bit on the 3.x protocol level.
    pub bridge: bool,
}

/// What the server publishes for a client that is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Will<'a> {
    /// The QoS to publish it with.
    pub qos: Qos,
    /// Publish it retained.
    pub retain: bool,
    /// UTF-8, not yet checked as a topic name.
    pub topic: &'a str,
    /// Any bytes, at most 65,535.
    pub payload: &'a [u8],
    /// Empty for 3.x.
    pub properties: Properties<'a>,
}

const CLEAN_START: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USERNAME: u8 = 0x80;

/// What tells the version: a protocol name of at most six letters, and the level.
const VERSION_BYTES: usize = 2 + 6 + 1;

/// Mosquitto marks its bridges so; only levels 3 and 4.
const BRIDGE: u8 = 0x80;

impl<'a> Connect<'a> {
    /// Seconds that the session outlives this connection, `u32::MAX` for ever. A 3.x session
    /// lives for ever or, with Clean Session, not at all (MQTT 5, 3.1.2.11.2).
    pub fn session_expiry_interval(&self) -> u32 {
        if self.version.has_properties() {
            self.properties.session_expiry_interval().unwrap_or(0)
        } else if self.clean_start {
            0
        } else {
            u32::MAX
        }
    }

    pub(crate) fn decode(
        first_byte: u8,
        mut reader: Reader<'a>,
        overlong: bool,
    ) -> Result<Self, DecodeError> {
        let (version, bridge) = decode_version(&mut reader)?;
        if first_byte & 0x0F != 0 && !version.is_loose_about_flags() {
            return Err(crate::decode::RESERVED_FLAGS.of_connect(version));
        }
        if overlong && version.requires_shortest_lengths() {
            return Err(crate::wire::OVERLONG.of_connect(version));
        }
        Self::decode_after_version(reader, version, bridge)
            .map_err(|error| error.of_connect(version))
    }

    /// Refuses a CONNECT of `length` bytes by what it begins with.
    pub(crate) fn refuse(
        beginning: &[u8],
        length: usize,
        why: DecodeError,
    ) -> Result<Decoded<'_>, DecodeError> {
        let Some(beginning) = beginning.get(..VERSION_BYTES.min(length)) else {
            return Ok(Decoded::Incomplete { needed: None });
        };
        let (version, _) = decode_version(&mut Reader::new(beginning))?;
        Err(why.of_connect(version))
    }

    fn decode_after_version(
        mut reader: Reader<'a>,
        version: Version,
        bridge: bool,
    ) -> Result<Self, DecodeError> {
        let flags = reader.u8()?;
        check_flags(flags, version)?;
        let keep_alive = reader.u16()?;
        let properties = match version.has_properties() {
            true => reader.properties(PropertyPlace::Packet(PacketType::Connect))?,
            false => Properties::EMPTY,
        };
        let client_id = reader.text()?;
        let will = match flags & WILL != 0 {
            true => Some(Will::decode(&mut reader, flags, version)?),
            false => None,
        };
        // The 3.1 text lets a flag announce a user name or password that does not come: "the
        // Remaining Length takes precedence".
        let comes = |flag, reader: &Reader<'_>| {
            flags & flag != 0 && !(version.is_loose_about_flags() && reader.is_empty())
        };
        let username = if comes(USERNAME, &reader) {
            Some(reader.text()?)
        } else {
            None
        };
        let password = if comes(PASSWORD, &reader) {
            Some(reader.binary()?)
        } else {
            None
        };
        reader.finish()?;
        Ok(Self {
            version,
            clean_start: flags & CLEAN_START != 0,
            keep_alive,
            client_id,
            will,
            username,
            password,
            properties,
            bridge,
        })
    }

    pub(crate) fn write(&self, sink: &mut impl Sink) {
        if self.password.is_some()
            && self.username.is_none()
            && !self.version.allows_password_alone()
        {
            sink.refuse(EncodeError::NotInVersion);
        }
        let bridge = self.bridge && !self.version.has_properties();
        sink.text(self.version.protocol_name());
        sink.u8(self.version.protocol_level() | if bridge { BRIDGE } else { 0 });
        sink.u8(self.flags());
        sink.u16(self.keep_alive);
        if self.version.has_properties() {
            sink.properties(self.properties);
        }
        sink.text(self.client_id);
        if let Some(will) = &self.will {
            will.write(self.version, sink);
        }
        if let Some(username) = self.username {
            sink.text(username);
        }
        if let Some(password) = self.password {
            sink.binary(password);
        }
    }

    fn flags(&self) -> u8 {
        let will = self.will.map_or(0, |will| {
            WILL | (will.qos as u8) << 3 | if will.retain { WILL_RETAIN } else { 0 }
        });
        will | if self.clean_start { CLEAN_START } else { 0 }
            | if self.username.is_some() { USERNAME } else { 0 }
            | if self.password.is_some() { PASSWORD } else { 0 }
    }
}

impl<'a> Will<'a> {
    fn decode(reader: &mut Reader<'a>, flags: u8, version: Version) -> Result<Self, DecodeError> {
        let qos = Qos::from_u8(flags >> 3 & 3)
            .ok_or(DecodeError::malformed("Will QoS 3 [MQTT-3.1.2-12]"))?;
        let properties = match version.has_properties() {
            true => reader.properties(PropertyPlace::Will)?,
            false => Properties::EMPTY,
        };
        let (topic, payload) = (reader.text()?, reader.binary()?);
        Ok(Self {
            qos,
            retain: flags & WILL_RETAIN != 0,
            topic,
            payload,
            properties,
        })
    }

    fn write(&self, version: Version, sink: &mut impl Sink) {
        if version.has_properties() {
            sink.properties(self.properties);
        }
        sink.text(self.topic);
        sink.binary(self.payload);
    }
}

/// Protocol name and level; the level may carry Mosquitto's bridge bit.
fn decode_version(reader: &mut Reader<'_>) -> Result<(Version, bool), DecodeError> {
    const UNSUPPORTED: ReasonCode = ReasonCode::UnsupportedProtocolVersion;
    let name = reader.binary()?;
    if name != b"MQTT" && name != b"MQIsdp" {
        return Err(DecodeError::new(
            UNSUPPORTED,
            "not MQTT's protocol name [MQTT-3.1.2-1]",
        ));
    }
    let level = reader.u8()?;
    match (name, level & !BRIDGE, level & BRIDGE != 0) {
        (b"MQIsdp", 3, bridge) => Ok((Version::Mqtt31, bridge)),
        (b"MQTT", 4, bridge) => Ok((Version::Mqtt311, bridge)),
        (b"MQTT", 5, false) => Ok((Version::Mqtt5, false)),
        _ => Err(
            DecodeError::new(UNSUPPORTED, "an unknown protocol level [MQTT-3.1.2-2]")
                .of_connect(Version::Mqtt311),
        ),
    }
}

fn check_flags(flags: u8, version: Version) -> Result<(), DecodeError> {
    const RESERVED: u8 = 0x01;
    const WILL_QOS: u8 = 0x18;
    if flags & PASSWORD != 0 && flags & USERNAME == 0 && !version.allows_password_alone() {
        return Err(DecodeError::malformed(
            "a password without user name [MQTT-3.1.2-22]",
        ));
    }
    if version.is_loose_about_flags() {
        return Ok(());
    }
    if flags & RESERVED != 0 {
        return Err(DecodeError::malformed(
            "the reserved CONNECT flag is set [MQTT-3.1.2-3]",
        ));
    }
    if flags & WILL == 0 && flags & (WILL_QOS | WILL_RETAIN) != 0 {
        return Err(DecodeError::malformed(
            "Will QoS or Will Retain without a will [MQTT-3.1.2-11] [MQTT-3.1.2-13]",
        ));
    }
    Ok(())
}
