//! What decodes can be encoded, in as many bytes as announced, and then means the same.
#![no_main]

use dunlin_codec::{Decoded, Packet, Version, decode, encode, encoded_len};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&selector, bytes)) = input.split_first() else {
        return;
    };
    let versions = [Version::Mqtt31, Version::Mqtt311, Version::Mqtt5];
    let version = versions[usize::from(selector) % 3];
    let Ok(Decoded::Packet { packet, .. }) = decode(bytes, version, 1 << 20) else {
        return;
    };
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
});
