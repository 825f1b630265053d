//! Whatever bytes come: no panic, and what is accepted is consistent.

use dunlin_codec::{Decoded, Packet, Version, decode, decode_publish, encode, encoded_len};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::arbitrary::{material, version};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_bytes(bytes in vec(any::<u8>(), 0..200), version in version()) {
        accepts_only_what_it_can_repeat(&bytes, version);
    }

    #[test]
    fn random_bodies_of_the_right_length(
        first in any::<u8>(),
        body in vec(any::<u8>(), 0..120),
        version in version(),
    ) {
        let mut bytes = vec![first, body.len() as u8];
        bytes.extend_from_slice(&body);
        accepts_only_what_it_can_repeat(&bytes, version);
    }

    #[test]
    fn mutated_packets(
        material in material(),
        changes in vec((any::<Index>(), any::<u8>()), 1..4),
        version in version(),
    ) {
        let mut bytes = Vec::new();
        encode(&material.packet(), material.version, &mut bytes).expect("has an encoding");
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        accepts_only_what_it_can_repeat(&bytes, material.version);
        accepts_only_what_it_can_repeat(&bytes, version);
    }

    #[test]
    fn bodies_cut_short_under_a_matching_length(material in material(), cut in any::<Index>()) {
        let mut bytes = Vec::new();
        encode(&material.packet(), material.version, &mut bytes).expect("has an encoding");
        let header = 1 + bytes[1..].iter().take_while(|&&byte| byte >= 0x80).count() + 1;
        let body = &bytes[header..];
        if !body.is_empty() {
            let body = &body[..cut.index(body.len())];
            let mut shorter = vec![bytes[0], body.len() as u8 | 0x80, (body.len() >> 7) as u8];
            if body.len() < 0x80 {
                shorter = vec![bytes[0], body.len() as u8];
            }
            shorter.extend_from_slice(body);
            accepts_only_what_it_can_repeat(&shorter, material.version);
        }
    }
}

/// The claim of both fuzz targets: decoding never panics, and an accepted packet can be encoded,
/// in as many bytes as announced, to bytes that mean the same.
pub fn accepts_only_what_it_can_repeat(bytes: &[u8], version: Version) {
    takes_a_publish_as_any_packet(bytes, version);
    match decode(bytes, version, 1 << 20) {
        Ok(Decoded::Packet { packet, length }) => {
            assert!(length <= bytes.len());
            let version = match packet {
                Packet::Connect(connect) => connect.version,
                _ => version,
            };
            let mut again = Vec::new();
            encode(&packet, version, &mut again).expect("what was accepted has an encoding");
            assert_eq!(again.len(), encoded_len(&packet, version));
            let repeated = Decoded::Packet {
                packet,
                length: again.len(),
            };
            assert_eq!(decode(&again, version, u32::MAX), Ok(repeated));
            assert!(!format!("{packet:?}").is_empty()); // walks all lists
        }
        Ok(Decoded::Incomplete { needed }) => {
            assert!(needed.is_none_or(|needed| needed > bytes.len()));
        }
        Err(error) => assert!(error.reason.is_error()),
    }
}

/// `decode_publish` finds what `decode` finds, of PUBLISH alone, whatever topic is known.
fn takes_a_publish_as_any_packet(bytes: &[u8], version: Version) {
    for maximum in [1 << 20, 40, 4] {
        let decoded = decode(bytes, version, maximum);
        let topic = match &decoded {
            Ok(Decoded::Packet {
                packet: Packet::Publish(publish),
                ..
            }) => publish.topic,
            _ => "t",
        };
        for known in ["", "a", topic] {
            let publish = decode_publish(bytes, version, maximum, known);
            match (publish, &decoded) {
                (Ok(Some((publish, length))), _) => {
                    let packet = Packet::Publish(publish);
                    assert_eq!(decoded, Ok(Decoded::Packet { packet, length }));
                }
                (Ok(None), Ok(Decoded::Packet { packet, .. })) => {
                    assert!(!matches!(packet, Packet::Publish(_)));
                }
                (Ok(None), _) => {}
                (Err(error), _) => assert_eq!(decoded, Err(error)),
            }
        }
    }
}
