//! Any bytes in any version: no panic, and progress through a stream of packets.
#![no_main]

use dunlin_codec::{Decoded, Sender, Version, decode};
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
        bytes = &bytes[length..];
    }
});
