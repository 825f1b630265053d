//! Any bytes in any version: no panic, progress through a stream of packets, and a PUBLISH is found
//! alone as among others.
#![no_main]

use dunlin_codec::{Decoded, Packet, Sender, Version, decode, decode_publish};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&selector, mut bytes)) = input.split_first() else {
        return;
    };
    let versions = [Version::Mqtt31, Version::Mqtt311, Version::Mqtt5];
    let version = versions[usize::from(selector) % 3];
    while let Ok(Decoded::Packet { packet, length }) = decode(bytes, version, 1 << 20) {
        assert!(length >= 2 && length <= bytes.len());
        let _ = packet.check_sender(Sender::Client, version);
        let _ = packet.check_sender(Sender::Server, version);
        let publish = match packet {
            Packet::Publish(publish) => Some((publish, length)),
            _ => None,
        };
        assert_eq!(decode_publish(bytes, version, 1 << 20, "t"), Ok(publish));
        bytes = &bytes[length..];
    }
    // The rest is no packet, and no PUBLISH.
    assert!(!matches!(
        decode_publish(bytes, version, 1 << 20, "t"),
        Ok(Some(_))
    ));
});
