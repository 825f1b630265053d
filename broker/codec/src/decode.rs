//! Bytes to packets: the fixed header (MQTT 5, 2.1), then the packet's own file.

use crate::wire::{OVERLONG, Reader, VarInt};
use crate::{
    Ack, Auth, Connack, Connect, DecodeError, Disconnect, Packet, PacketType, Publish, ReasonCode,
    Suback, Subscribe, Unsubscribe, Version,
};

/// What stands at the front of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A whole packet.
    Packet {
        /// Borrows from the buffer.
        packet: Packet<'a>,
        /// Bytes that it took.
        length: usize,
    },
    /// The beginning of a packet, so far without fault.
    Incomplete {
        /// Bytes of the whole packet, once its length has come; never above the maximum.
        needed: Option<usize>,
    },
}

/// Takes one packet from the front of `bytes`.
///
/// `version` is the connection's; a CONNECT carries its own and ignores it. A packet longer than
/// `maximum_packet_size` bytes, fixed header included, is refused as soon as its length is known; a
/// CONNECT once it has said its version too, so that a CONNACK can tell why.
///
/// # Errors
/// Whatever MQTT calls malformed or a protocol error, if this packet alone shows it.
pub fn decode(
    bytes: &[u8],
    version: Version,
    maximum_packet_size: u32,
) -> Result<Decoded<'_>, DecodeError> {
    let Some((&first_byte, after)) = bytes.split_first() else {
        return Ok(Decoded::Incomplete { needed: None });
    };
    let packet_type = check_first_byte(first_byte, version)?;
    let Some(remaining) = VarInt::read(after)? else {
        return Ok(Decoded::Incomplete { needed: None });
    };
    if remaining.overlong
        && packet_type != PacketType::Connect
        && version.requires_shortest_lengths()
    {
        return Err(OVERLONG);
    }
    let header = 1 + remaining.len;
    let length = header + remaining.value as usize;
    if length > maximum_packet_size as usize {
        let refused = DecodeError::new(
            ReasonCode::PacketTooLarge,
            "the packet is larger than we accept [MQTT-3.2.2-15]",
        );
        return match packet_type {
            PacketType::Connect => Connect::refuse(&bytes[header..], length - header, refused),
            _ => Err(refused),
        };
    }
    let Some(body) = bytes.get(header..length) else {
        return Ok(Decoded::Incomplete {
            needed: Some(length),
        });
    };
    let reader = Reader::new(body);
    // Each packet is built where it stays: moving one costs as much as parsing it.
    let whole = |packet| Ok(Decoded::Packet { packet, length });
    let ack = || Ack::decode(packet_type, reader, version);
    let suback = || Suback::decode(packet_type, reader, version);
    match packet_type {
        PacketType::Publish => whole(Packet::Publish(Publish::decode(
            first_byte, reader, version, "",
        )?)),
        PacketType::Puback => whole(Packet::Puback(ack()?)),
        PacketType::Pubrec => whole(Packet::Pubrec(ack()?)),
        PacketType::Pubrel => whole(Packet::Pubrel(ack()?)),
        PacketType::Pubcomp => whole(Packet::Pubcomp(ack()?)),
        PacketType::Connect => whole(Packet::Connect(Connect::decode(
            first_byte,
            reader,
            remaining.overlong,
        )?)),
        PacketType::Connack => whole(Packet::Connack(Connack::decode(reader, version)?)),
        PacketType::Subscribe => whole(Packet::Subscribe(Subscribe::decode(reader, version)?)),
        PacketType::Suback => whole(Packet::Suback(suback()?)),
        PacketType::Unsubscribe => {
            whole(Packet::Unsubscribe(Unsubscribe::decode(reader, version)?))
        }
        PacketType::Unsuback => whole(Packet::Unsuback(suback()?)),
        PacketType::Pingreq => reader.finish().and_then(|()| whole(Packet::Pingreq)),
        PacketType::Pingresp => reader.finish().and_then(|()| whole(Packet::Pingresp)),
        PacketType::Disconnect => whole(Packet::Disconnect(Disconnect::decode(reader, version)?)),
        PacketType::Auth => whole(Packet::Auth(Auth::decode(reader)?)),
    }
}

/// Takes one PUBLISH from the front of `bytes`, as [`decode`] does; `None` if another packet stands
/// there, or one that is not complete. For those who get many: no other packet is moved around, and
/// a topic that spells `known`, which was checked before, is `known` itself.
///
/// # Errors
/// As [`decode`].
#[inline]
pub fn decode_publish<'a>(
    bytes: &'a [u8],
    version: Version,
    maximum_packet_size: u32,
    known: &'a str,
) -> Result<Option<(Publish<'a>, usize)>, DecodeError> {
    let Some((&first_byte, after)) = bytes.split_first() else {
        return Ok(None);
    };
    if PacketType::of_first_byte(first_byte) != Some(PacketType::Publish) {
        return Ok(None);
    }
    Publish::check_first_byte(first_byte, version)?;
    let Some(remaining) = VarInt::read(after)? else {
        return Ok(None);
    };
    let header = 1 + remaining.len;
    let length = header + remaining.value as usize;
    // What is wrong with the length, `decode` says.
    let refused = length > maximum_packet_size as usize
        || remaining.overlong && version.requires_shortest_lengths();
    let Some(body) = bytes.get(header..length).filter(|_| !refused) else {
        return Ok(None);
    };
    let publish = Publish::decode(first_byte, Reader::new(body), version, known)?;
    Ok(Some((publish, length)))
}

pub(crate) const RESERVED_FLAGS: DecodeError =
    DecodeError::malformed("reserved fixed header flags [MQTT-2.1.3-1]");

/// Type and flags, refused before the rest arrives.
fn check_first_byte(byte: u8, version: Version) -> Result<PacketType, DecodeError> {
    let packet_type = PacketType::of_first_byte(byte)
        .ok_or(DecodeError::malformed("packet type 0 (MQTT 5, 2.1.2)"))?;
    match packet_type {
        PacketType::Publish => {
            Publish::check_first_byte(byte, version)?;
            return Ok(packet_type);
        }
        // Its version, which comes later, says what they may be.
        PacketType::Connect => return Ok(packet_type),
        PacketType::Auth if !version.has_auth() => {
            return Err(DecodeError::malformed(
                "packet type 15 before version 5 (2.2.1)",
            ));
        }
        _ => {}
    }
    let mut flags = byte & 0x0F;
    if version.is_loose_about_flags() && packet_type.fixed_flags() != 0 {
        flags &= !0x08; // 3.1 repeats PUBREL, SUBSCRIBE and UNSUBSCRIBE with DUP
    }
    if flags != packet_type.fixed_flags() {
        return Err(RESERVED_FLAGS);
    }
    Ok(packet_type)
}
