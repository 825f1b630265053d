//! Packets that only one side may send.

use dunlin_codec::{Decoded, Packet, ReasonCode, Sender, Version, decode};

use crate::table::LIMIT;

const V5: Version = Version::Mqtt5;

fn packet(version: Version, bytes: &[u8]) -> Packet<'_> {
    match decode(bytes, version, LIMIT) {
        Ok(Decoded::Packet { packet, .. }) => packet,
        other => panic!("{other:?}"),
    }
}

/// One side may send it, the other may not.
#[track_caller]
fn only_from(sender: Sender, version: Version, bytes: &[u8]) {
    let packet = packet(version, bytes);
    let other = match sender {
        Sender::Client => Sender::Server,
        Sender::Server => Sender::Client,
    };
    assert_eq!(packet.check_sender(sender, version), Ok(()));
    let error = packet
        .check_sender(other, version)
        .expect_err("from the wrong side");
    assert_eq!(error.reason, ReasonCode::ProtocolError);
}

#[test]
fn mqtt5_2_1_2_packets_of_clients() {
    let rows: [&[u8]; 4] = [
        b"\x10\x0D\x00\x04MQTT\x05\x02\x00\x3C\x00\x00\x00",
        b"\x82\x07\x00\x01\x00\x00\x01a\x00",
        b"\xA2\x06\x00\x01\x00\x00\x01a",
        b"\xC0\x00",
    ];
    for bytes in rows {
        only_from(Sender::Client, V5, bytes);
    }
}

#[test]
fn mqtt5_2_1_2_packets_of_servers() {
    let rows: [&[u8]; 4] = [
        b"\x20\x03\x00\x00\x00",
        b"\x90\x04\x00\x01\x00\x00",
        b"\xB0\x04\x00\x01\x00\x00",
        b"\xD0\x00",
    ];
    for bytes in rows {
        only_from(Sender::Server, V5, bytes);
    }
}

#[test]
fn mqtt5_3_3_4_6_subscription_identifiers_come_from_servers() {
    only_from(Sender::Server, V5, b"\x30\x06\x00\x01t\x02\x0B\x01");
}

#[test]
fn mqtt5_3_14_2_1_disconnect_reasons_of_each_side() {
    only_from(Sender::Client, V5, b"\xE0\x00");
    only_from(Sender::Client, V5, b"\xE0\x01\x04");
    for reason in [0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F]
        .into_iter()
        .chain(0x9A..=0xA2)
    {
        only_from(Sender::Server, V5, &[0xE0, 1, reason]);
    }
    for reason in [0x80, 0x81, 0x82, 0x83, 0x90]
        .into_iter()
        .chain(0x93..=0x99)
    {
        let bytes = [0xE0, 1, reason];
        assert_eq!(packet(V5, &bytes).check_sender(Sender::Client, V5), Ok(()));
        assert_eq!(packet(V5, &bytes).check_sender(Sender::Server, V5), Ok(()));
    }
}

#[test]
fn mqtt5_3_14_2_2_session_expiry_comes_from_clients() {
    let bytes = b"\xE0\x07\x04\x05\x11\x00\x00\x00\x09";
    only_from(Sender::Client, V5, bytes);
    let with_error = b"\xE0\x07\x80\x05\x11\x00\x00\x00\x09";
    only_from(Sender::Client, V5, with_error);
}

#[test]
fn mqtt5_3_14_2_2_5_server_reference_comes_from_servers() {
    only_from(Sender::Server, V5, b"\xE0\x06\x80\x04\x1C\x00\x01s");
}

#[test]
fn mqtt5_3_15_2_1_auth_reasons_of_each_side() {
    only_from(Sender::Server, V5, b"\xF0\x06\x00\x04\x15\x00\x01m");
    only_from(Sender::Client, V5, b"\xF0\x06\x19\x04\x15\x00\x01m");
    let auth = packet(V5, b"\xF0\x06\x18\x04\x15\x00\x01m");
    assert_eq!(auth.check_sender(Sender::Client, V5), Ok(()));
    assert_eq!(auth.check_sender(Sender::Server, V5), Ok(()));
}

#[test]
fn mqtt311_3_14_disconnect_comes_from_clients() {
    only_from(Sender::Client, Version::Mqtt311, b"\xE0\x00");
}
