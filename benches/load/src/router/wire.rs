//! As much of MQTT 3.1.1 as the bare router needs, for peers that speak it
//! well: bounds are checked, rules are not.

/// One packet from a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// CONNECT; whatever it says is accepted.
    Connect,
    /// PUBLISH.
    Publish(Publish<'a>),
    /// PUBACK, PUBREC, PUBREL or PUBCOMP.
    Ack {
        /// The packet type, 4 to 7.
        kind: u8,
        /// Big endian, as it came.
        packet_id: [u8; 2],
    },
    /// SUBSCRIBE.
    Subscribe {
        /// Big endian, as it came.
        packet_id: [u8; 2],
        /// Filters, each followed by a byte with its QoS.
        filters: &'a [u8],
    },
    /// PINGREQ.
    Ping,
    /// DISCONNECT.
    Disconnect,
}

/// A PUBLISH and where its parts lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The whole packet.
    pub bytes: &'a [u8],
    /// Its topic name.
    pub topic: &'a [u8],
    /// 0, 1 or 2.
    pub qos: u8,
    /// Where behind the topic its packet id stands, if QoS > 0, or its payload.
    pub after_topic: usize,
}

/// The peer sent what no client of this router sends.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// Takes a packet from the front of `bytes`: it and its length, or `None` if its
/// end is missing.
#[inline]
pub fn next(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Malformed> {
    let Some((body_at, length)) = fixed_header(bytes)? else {
        return Ok(None);
    };
    let Some(packet) = bytes.get(..length) else {
        return Ok(None);
    };
    let frame = match packet[0] >> 4 {
        3 => Frame::Publish(publish(packet, body_at)?),
        kind @ 4..=7 => Frame::Ack {
            kind,
            packet_id: two(packet, body_at)?,
        },
        1 => Frame::Connect,
        8 => Frame::Subscribe {
            packet_id: two(packet, body_at)?,
            filters: &packet[body_at + 2..],
        },
        12 => Frame::Ping,
        14 => Frame::Disconnect,
        _ => return Err(Malformed),
    };
    Ok(Some((frame, length)))
}

/// The filters of a SUBSCRIBE with the QoS that each asks for.
pub fn filters(mut rest: &[u8]) -> impl Iterator<Item = Result<(&[u8], u8), Malformed>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((filter, options)) =
            text(rest, 0).and_then(|f| Some((f, *rest.get(f.len() + 2)?)))
        else {
            rest = &[];
            return Some(Err(Malformed));
        };
        rest = &rest[filter.len() + 3..];
        Some(if options > 2 {
            Err(Malformed)
        } else {
            Ok((filter, options))
        })
    })
}

/// Writes a PUBLISH of QoS 0 with the topic and payload of `publish`.
pub fn without_packet_id(publish: &Publish<'_>, out: &mut Vec<u8>) {
    let payload_at = publish.after_topic + if publish.qos == 0 { 0 } else { 2 };
    let payload = &publish.bytes[payload_at..];
    let mut remaining = 2 + publish.topic.len() + payload.len();
    out.push(0x30);
    while remaining > 127 {
        out.push(remaining as u8 | 0x80);
        remaining >>= 7;
    }
    out.push(remaining as u8);
    out.extend_from_slice(&publish.bytes[publish.after_topic - publish.topic.len() - 2..][..2]);
    out.extend_from_slice(publish.topic);
    out.extend_from_slice(payload);
}

/// Where the body starts and where the packet ends.
#[inline]
fn fixed_header(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut remaining = 0;
    for index in 1..=4 {
        let Some(&byte) = bytes.get(index) else {
            return Ok(None);
        };
        remaining |= usize::from(byte & 0x7f) << (7 * (index - 1));
        if byte < 0x80 {
            return Ok(Some((index + 1, index + 1 + remaining)));
        }
    }
    Err(Malformed)
}

#[inline]
fn publish(packet: &[u8], body_at: usize) -> Result<Publish<'_>, Malformed> {
    let topic = text(packet, body_at).ok_or(Malformed)?;
    let publish = Publish {
        bytes: packet,
        topic,
        qos: packet[0] >> 1 & 3,
        after_topic: body_at + 2 + topic.len(),
    };
    if publish.qos > 0 {
        two(packet, publish.after_topic)?;
    }
    if publish.qos > 2 {
        Err(Malformed)
    } else {
        Ok(publish)
    }
}

#[inline]
fn two(packet: &[u8], at: usize) -> Result<[u8; 2], Malformed> {
    let bytes = packet.get(at..at + 2).ok_or(Malformed)?;
    Ok([bytes[0], bytes[1]])
}

/// The length-prefixed text at `at`.
#[inline]
fn text(packet: &[u8], at: usize) -> Option<&[u8]> {
    let length = packet.get(at..at + 2)?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    packet.get(at + 2..at + 2 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_taken_from_the_front() {
        let bytes = b"\x32\x07\x00\x01a\x00\x09xy\xc0\x00";
        let publish = Publish {
            bytes: &bytes[..9],
            topic: b"a",
            qos: 1,
            after_topic: 5,
        };
        assert_eq!(next(bytes), Ok(Some((Frame::Publish(publish), 9))));
        assert_eq!(next(&bytes[9..]), Ok(Some((Frame::Ping, 2))));
        for cut in 0..9 {
            assert_eq!(next(&bytes[..cut]), Ok(None), "{cut} bytes");
        }
    }

    #[test]
    fn lengths_that_lie_are_malformed() {
        let table: &[&[u8]] = &[
            b"\x30\x02\x00\x01",             // topic longer than the packet
            b"\x32\x04\x00\x01a\x00",        // half a packet id
            b"\x36\x05\x00\x01a\x00\x01",    // QoS 3
            b"\x40\x01\x00",                 // half a packet id
            b"\x30\x80\x80\x80\x80\x01\x00", // five length bytes
            b"\x00\x00",                     // no such packet
        ];
        for bytes in table {
            assert_eq!(next(bytes), Err(Malformed), "{bytes:?}");
        }
    }

    #[test]
    fn a_subscribe_names_each_filter_with_its_qos() {
        let list: Vec<_> = filters(b"\x00\x01a\x00\x00\x03b/+\x02").collect();
        assert_eq!(list, [Ok((&b"a"[..], 0)), Ok((&b"b/+"[..], 2))]);
        let list: Vec<_> = filters(b"\x00\x01a\x01\x00\x05b").collect();
        assert_eq!(list, [Ok((&b"a"[..], 1)), Err(Malformed)]);
    }

    #[test]
    fn a_packet_id_is_cut_out() {
        let mut bytes = b"\x34\x86\x01\x00\x01a\x00\x09".to_vec();
        bytes.extend_from_slice(&[7; 129]);
        let Ok(Some((Frame::Publish(publish), _))) = next(&bytes) else {
            panic!("a good PUBLISH");
        };
        let mut out = Vec::new();
        without_packet_id(&publish, &mut out);
        assert_eq!(out[..6], *b"\x30\x84\x01\x00\x01a");
        assert_eq!(out[6..], [7; 129]);
    }
}
