//! SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT and AUTH of version 5 (3.8 to 3.15, 4.12, 4.13).

use dunlin_codec::{Decoded, ReasonCode, Version, decode};
use dunlin_session::{Farewell, Terms};

use crate::table::{Outcome, Server, connect_5, fails, sends, server, server_with, v5};

sends! {
    mqtt5_3_8_4_2_suback_has_the_id_and_3_9_3_1_the_order: v5(),
        b"\x82\x0F\x00\x07\x00\x00\x01a\x02\x00\x01b\x00\x00\x01c\x01" =>
        b"\x90\x06\x00\x07\x00\x02\x00\x01";
    mqtt5_3_10_4_5_unsuback_even_where_nothing_was_deleted: v5(),
        b"\xA2\x09\x00\x08\x00\x00\x01a\x00\x01b" => b"\xB0\x05\x00\x08\x00\x11\x11";
    mqtt5_3_12_4_1_pingreq_gets_pingresp: v5(), b"\xC0\x00" => b"\xD0\x00";
    mqtt5_4_12_1_reauthentication: authenticated(),
        b"\xF0\x0A\x19\x08\x15\x00\x01M\x16\x00\x01x" =>
        b"\xF0\x0A\x00\x08\x15\x00\x01M\x16\x00\x01x",
        b"\xF0\x06\x19\x04\x15\x00\x01M" => b"\xF0\x06\x00\x04\x15\x00\x01M";
}

fails! {
    mqtt5_4_12_0_7_auth_without_a_method_in_connect: v5(),
        b"\xF0\x06\x19\x04\x15\x00\x01M" => ProtocolError;
    mqtt5_4_12_1_1_auth_with_another_method: authenticated(),
        b"\xF0\x06\x19\x04\x15\x00\x01N" => ProtocolError;
    mqtt5_4_12_0_3_continue_without_a_challenge: authenticated(),
        b"\xF0\x06\x18\x04\x15\x00\x01M" => ProtocolError;
    mqtt5_3_15_2_1_success_from_a_client: authenticated(),
        b"\xF0\x06\x00\x04\x15\x00\x01M" => ProtocolError;
    mqtt5_3_14_2_2_2_expiry_at_disconnect_after_none_at_connect: v5(),
        b"\xE0\x07\x00\x05\x11\x00\x00\x00\x01" => ProtocolError;
    mqtt5_3_14_2_1_a_servers_reason_from_a_client: v5(), b"\xE0\x01\x8E" => ProtocolError;
    mqtt5_3_14_2_2_5_server_reference_from_a_client: v5(),
        b"\xE0\x06\x00\x04\x1C\x00\x01s" => ProtocolError;
}

fn authenticated() -> Server {
    server(&connect_5(b"\x15\x00\x01M"))
}

#[track_caller]
fn leaves(server: &mut Server, bytes: &[u8], reason: ReasonCode, publish_will: bool) {
    let farewell = Farewell {
        reason,
        publish_will,
    };
    assert_eq!(server.outcome(bytes), Outcome::Left(farewell));
}

#[test]
fn mqtt5_3_14_4_3_a_normal_disconnect_discards_the_will() {
    leaves(&mut v5(), b"\xE0\x00", ReasonCode::Success, false);
    leaves(&mut v5(), b"\xE0\x01\x00", ReasonCode::Success, false);
}

#[test]
fn mqtt5_3_1_2_8_any_other_disconnect_publishes_the_will() {
    leaves(
        &mut v5(),
        b"\xE0\x01\x04",
        ReasonCode::DisconnectWithWillMessage,
        true,
    );
    leaves(
        &mut v5(),
        b"\xE0\x01\x80",
        ReasonCode::UnspecifiedError,
        true,
    );
}

#[test]
fn mqtt5_3_14_2_2_2_disconnect_changes_the_session_expiry() {
    let expiry_9 = b"\xE0\x07\x00\x05\x11\x00\x00\x00\x09";
    let mut server = server(&connect_5(b"\x11\x00\x00\x00\x05"));
    leaves(&mut server, expiry_9, ReasonCode::Success, false);
    assert_eq!(server.session.session_expiry(), 9);
    // What CONNECT asked for counts, not what it was granted; the terms still bound it.
    let terms = Terms {
        maximum_session_expiry: 0,
        ..Terms::default()
    };
    let mut server = server_with(terms, &connect_5(b"\x11\x00\x00\x00\x05"));
    leaves(&mut server, expiry_9, ReasonCode::Success, false);
    assert_eq!(server.session.session_expiry(), 0);
}

#[test]
fn mqtt5_3_14_2_2_2_disconnect_may_end_the_session() {
    let mut server = server(&connect_5(b"\x11\x00\x00\x00\x05"));
    leaves(
        &mut server,
        b"\xE0\x07\x00\x05\x11\x00\x00\x00\x00",
        ReasonCode::Success,
        false,
    );
    assert_eq!(server.session.session_expiry(), 0);
}

fn disconnect(connect: &[u8], reason: ReasonCode) -> Vec<u8> {
    let mut out = Vec::new();
    server(connect).session.disconnect(reason, "why", &mut out);
    out
}

#[test]
fn mqtt5_4_13_1_1_the_server_says_why_it_closes() {
    let said = disconnect(&connect_5(b""), ReasonCode::SessionTakenOver);
    assert_eq!(said, b"\xE0\x08\x8E\x06\x1F\x00\x03why");
}

#[test]
fn mqtt5_3_14_2_3_a_reason_string_fits_the_clients_maximum_packet_size() {
    let maximum = |bytes| connect_5(&[0x27, 0, 0, 0, bytes]);
    let reason = ReasonCode::SessionTakenOver;
    assert_eq!(
        disconnect(&maximum(10), reason),
        b"\xE0\x08\x8E\x06\x1F\x00\x03why"
    );
    assert_eq!(disconnect(&maximum(9), reason), b"\xE0\x01\x8E");
    assert_eq!(disconnect(&maximum(2), reason), b"");
}

#[test]
fn mqtt5_3_1_2_24_a_request_whose_answer_is_too_large_for_the_client_is_refused() {
    let takes_20_bytes = || server(&connect_5(&[0x27, 0, 0, 0, 20]));
    let subscribe = |filters: u8| {
        let head = [0x82, 3 + 4 * filters, 0, 1, 0];
        [&head[..], &b"\x00\x01a\x00".repeat(filters.into())].concat()
    };
    let unsubscribe = |filters: u8| {
        let head = [0xA2, 3 + 3 * filters, 0, 1, 0];
        [&head[..], &b"\x00\x01a".repeat(filters.into())].concat()
    };
    let suback = [&[0x90, 18, 0, 1, 0][..], &[0; 15]].concat();
    takes_20_bytes().sends(&subscribe(15), &suback);
    takes_20_bytes().fails(&subscribe(16), ReasonCode::PacketTooLarge);
    let unsuback = [&[0xB0, 18, 0, 1, 0][..], &[0x11; 15]].concat();
    takes_20_bytes().sends(&unsubscribe(15), &unsuback);
    takes_20_bytes().fails(&unsubscribe(16), ReasonCode::PacketTooLarge);
}

#[test]
fn mqtt5_3_1_2_29_disconnect_may_have_a_reason_string_without_problem_information() {
    let said = disconnect(&connect_5(b"\x17\x00"), ReasonCode::ServerShuttingDown);
    assert_eq!(said, b"\xE0\x08\x8B\x06\x1F\x00\x03why");
}

#[test]
fn mqtt5_3_14_2_1_a_reason_that_a_server_does_not_disconnect_with_goes_out_as_0x80() {
    for reason in [ReasonCode::Success, ReasonCode::BadUserNameOrPassword] {
        assert_eq!(disconnect(&connect_5(b""), reason)[2], 0x80, "{reason:?}");
    }
}

#[test]
fn mqtt5_4_12_0_3_each_challenge_is_answered_once() {
    let mut server = authenticated();
    let asked = b"\xF0\x06\x19\x04\x15\x00\x01M";
    let answer = b"\xF0\x06\x18\x04\x15\x00\x01M";
    let receive = |server: &mut Server, bytes: &[u8]| {
        let decoded = decode(bytes, Version::Mqtt5, u32::MAX).expect("a packet");
        let Decoded::Packet { packet, .. } = decoded else {
            panic!("the packet is complete");
        };
        let request = server.session.receive(server.now, packet, &mut Vec::new());
        request.map(|_| ()).map_err(|failure| failure.reason)
    };
    assert_eq!(receive(&mut server, asked), Ok(()));
    let early = receive(&mut server, answer);
    assert_eq!(early, Err(ReasonCode::ProtocolError), "nobody has asked");
    server.session.challenge(b"?", &mut Vec::new());
    assert_eq!(receive(&mut server, answer), Ok(()));
    let again = receive(&mut server, answer);
    assert_eq!(again, Err(ReasonCode::ProtocolError), "nobody asked again");
}
