//! What a row of a byte table claims.

use dunlin_codec::{
    DecodeError, Decoded, Packet, PacketId, PropertiesBuf, Property, ReasonCode, ReasonCodesBuf,
    SubscribeFiltersBuf, SubscriptionOptions, UnsubscribeFiltersBuf, Version, decode, encode,
    encoded_len,
};

pub const LIMIT: u32 = u32::MAX;

/// The bytes mean the packet, and the packet is written as these bytes.
#[track_caller]
pub fn both_ways(version: Version, bytes: &[u8], packet: &Packet<'_>) {
    decodes_as(version, bytes, packet);
    assert_eq!(encoded(version, packet), bytes);
}

/// The bytes mean the packet; each beginning of them is incomplete and without fault.
#[track_caller]
pub fn decodes_as(version: Version, bytes: &[u8], packet: &Packet<'_>) {
    let whole = Decoded::Packet {
        packet: *packet,
        length: bytes.len(),
    };
    assert_eq!(decode(bytes, version, LIMIT), Ok(whole));
    for end in 0..bytes.len() {
        match decode(&bytes[..end], version, LIMIT) {
            Ok(Decoded::Incomplete {
                needed: Some(needed),
            }) => assert_eq!(needed, bytes.len()),
            Ok(Decoded::Incomplete { needed: None }) => assert!(end < 5),
            other => panic!("{end} bytes of the packet gave {other:?}"),
        }
    }
    let mut followed = bytes.to_vec();
    followed.extend_from_slice(b"\xFF\xFF");
    assert_eq!(
        decode(&followed, version, LIMIT),
        Ok(whole),
        "what follows is left alone"
    );
}

/// The bytes are refused with this reason, and the error says `what`.
#[track_caller]
pub fn refused(version: Version, bytes: &[u8], reason: ReasonCode, what: &str) -> DecodeError {
    match decode(bytes, version, LIMIT) {
        Err(error) => {
            assert_eq!(error.reason, reason, "{error}");
            assert!(
                error.what.contains(what),
                "{:?} does not say {what:?}",
                error.what
            );
            error
        }
        Ok(decoded) => panic!("accepted as {decoded:?}"),
    }
}

/// Rows of `name: version, bytes => reason, what;`, each a test.
macro_rules! refuses {
    ($($name:ident: $version:ident, $bytes:expr => $reason:ident, $what:literal;)*) => {
        $(
            #[test]
            fn $name() {
                let version = dunlin_codec::Version::$version;
                let reason = dunlin_codec::ReasonCode::$reason;
                crate::table::refused(version, $bytes, reason, $what);
            }
        )*
    };
}
pub(crate) use refuses;

#[track_caller]
pub fn encoded(version: Version, packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode(packet, version, &mut out).expect("the packet has an encoding");
    assert_eq!(encoded_len(packet, version), out.len());
    out
}

pub fn id(id: u16) -> PacketId {
    PacketId::new(id).expect("not zero")
}

pub fn properties(list: &[Property<'_>]) -> PropertiesBuf {
    let mut properties = PropertiesBuf::new();
    for property in list {
        properties.push(*property).expect("in range");
    }
    properties
}

pub fn filters(list: &[(&str, SubscriptionOptions)]) -> SubscribeFiltersBuf {
    let mut filters = SubscribeFiltersBuf::new();
    for (filter, options) in list {
        filters.push(filter, *options).expect("short");
    }
    filters
}

pub fn names(list: &[&str]) -> UnsubscribeFiltersBuf {
    let mut filters = UnsubscribeFiltersBuf::new();
    for filter in list {
        filters.push(filter).expect("short");
    }
    filters
}

pub fn reasons(list: &[ReasonCode]) -> ReasonCodesBuf {
    list.iter().copied().collect()
}
