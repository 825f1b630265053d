//! Packets to bytes.

use crate::wire::{Measure, Sink, var_int_len};
use crate::{EncodeError, MAX_REMAINING_LENGTH, Packet, Version};

/// Appends a packet to `out`, in the connection's version (a CONNECT in its own).
///
/// # Errors
/// If the packet has no encoding in this version; nothing is written then.
pub fn encode(packet: &Packet<'_>, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if let Packet::Publish(publish) = packet {
        return publish.parts().encode(version, out);
    }
    let remaining = measure(packet, version).finish()?;
    if remaining > MAX_REMAINING_LENGTH {
        return Err(EncodeError::PacketTooLarge);
    }
    out.reserve(1 + var_int_len(remaining) + remaining);
    out.u8(packet.packet_type().first_byte());
    out.var_int(remaining);
    write_body(packet, version, out);
    Ok(())
}

/// Bytes that [`encode`] would append, to compare with the receiver's Maximum Packet Size. Of no
/// meaning for a packet that it would refuse.
pub fn encoded_len(packet: &Packet<'_>, version: Version) -> usize {
    if let Packet::Publish(publish) = packet {
        return publish.parts().encoded_len(version);
    }
    let remaining = measure(packet, version).len();
    1 + var_int_len(remaining) + remaining
}

fn measure(packet: &Packet<'_>, version: Version) -> Measure {
    let mut measure = Measure::default();
    write_body(packet, version, &mut measure);
    measure
}

fn write_body(packet: &Packet<'_>, version: Version, sink: &mut impl Sink) {
    match packet {
        Packet::Connect(connect) => connect.write(sink),
        Packet::Connack(connack) => connack.write(version, sink),
        Packet::Publish(_) => {} // encoded by its parts
        Packet::Puback(ack) | Packet::Pubrec(ack) | Packet::Pubrel(ack) | Packet::Pubcomp(ack) => {
            ack.write(version, sink);
        }
        Packet::Subscribe(subscribe) => subscribe.write(version, sink),
        Packet::Suback(suback) | Packet::Unsuback(suback) => {
            suback.write(packet.packet_type(), version, sink);
        }
        Packet::Unsubscribe(unsubscribe) => unsubscribe.write(version, sink),
        Packet::Pingreq | Packet::Pingresp => {}
        Packet::Disconnect(disconnect) => disconnect.write(version, sink),
        Packet::Auth(auth) => auth.write(version, sink),
    }
}
