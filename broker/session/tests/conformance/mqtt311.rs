//! Version 3.1.1, and where 3.1 differs.

use dunlin_codec::{Qos, ReasonCode};
use dunlin_session::{Farewell, Outbound, SessionState, Terms};

use crate::table::{CONNECT_311, Outcome, accept, delivery, fails, refused, sends, server, v311};

sends! {
    mqtt311_2_3_1_6_puback_has_the_id: v311(), b"\x32\x06\x00\x01t\x01\x02m" => b"\x40\x02\x01\x02";
    mqtt311_4_3_3_2_pubrec_and_pubcomp: v311(),
        b"\x34\x06\x00\x01t\x00\x05m" => b"\x50\x02\x00\x05",
        b"\x3C\x06\x00\x01t\x00\x05m" => b"\x50\x02\x00\x05",
        b"\x62\x02\x00\x05" => b"\x70\x02\x00\x05",
        b"\x62\x02\x00\x05" => b"\x70\x02\x00\x05";
    mqtt311_3_8_4_2_and_3_9_3_1_suback: v311(),
        b"\x82\x0A\x00\x07\x00\x01a\x02\x00\x01b\x00" => b"\x90\x04\x00\x07\x02\x00";
    mqtt311_3_10_4_5_unsuback: v311(), b"\xA2\x05\x00\x08\x00\x01a" => b"\xB0\x02\x00\x08";
    mqtt311_3_12_4_1_pingresp: v311(), b"\xC0\x00" => b"\xD0\x00";
}

fails! {
    mqtt311_3_1_0_2_second_connect: v311(), CONNECT_311 => ProtocolError;
    mqtt311_3_3_2_2_topic_with_wildcard: v311(), b"\x30\x03\x00\x01#" => MalformedPacket;
    mqtt311_4_7_3_1_empty_topic: v311(), b"\x30\x02\x00\x00" => MalformedPacket;
    mqtt311_4_8_0_1_connack_from_a_client: v311(), b"\x20\x02\x00\x00" => ProtocolError;
}

#[test]
fn mqtt311_3_14_4_3_disconnect_discards_the_will() {
    let farewell = Farewell {
        reason: ReasonCode::Success,
        publish_will: false,
    };
    assert_eq!(v311().outcome(b"\xE0\x00"), Outcome::Left(farewell));
}

#[test]
fn mqtt311_3_14_the_server_sends_no_disconnect() {
    let mut out = Vec::new();
    v311()
        .session
        .disconnect(ReasonCode::SessionTakenOver, "why", &mut out);
    assert_eq!(out, b"");
}

#[test]
fn mqtt311_3_1_4_4_an_accepted_connect_gets_return_code_0() {
    assert_eq!(
        accept(Terms::default(), CONNECT_311, None).1,
        b"\x20\x02\x00\x00"
    );
}

#[test]
fn mqtt311_3_2_2_2_a_session_is_session_present() {
    let state = || Some(SessionState::default());
    assert_eq!(
        accept(Terms::default(), CONNECT_311, state()).1,
        b"\x20\x02\x01\x00"
    );
    // 3.1 cannot say it.
    let connect = b"\x10\x0F\x00\x06MQIsdp\x03\x00\x00\x0A\x00\x01c";
    assert_eq!(
        accept(Terms::default(), connect, state()).1,
        b"\x20\x02\x00\x00"
    );
}

#[test]
fn mqtt311_3_1_2_4_clean_session_decides_how_long_the_session_lives() {
    assert_eq!(v311().session.session_expiry(), 0);
    let kept = server(b"\x10\x0D\x00\x04MQTT\x04\x00\x00\x0A\x00\x01c");
    assert_eq!(kept.session.session_expiry(), u32::MAX);
}

#[test]
fn mqtt311_3_1_3_8_no_client_id_without_clean_session() {
    let connect = b"\x10\x0C\x00\x04MQTT\x04\x00\x00\x0A\x00\x00";
    assert_eq!(refused(Terms::default(), connect), b"\x20\x02\x00\x02");
    let connect = b"\x10\x0C\x00\x04MQTT\x04\x02\x00\x0A\x00\x00";
    assert_eq!(
        accept(Terms::default(), connect, None).1,
        b"\x20\x02\x00\x00"
    );
    let connect = b"\x10\x0E\x00\x06MQIsdp\x03\x02\x00\x0A\x00\x00";
    assert_eq!(refused(Terms::default(), connect), b"\x20\x02\x00\x02");
}

#[test]
fn mqtt311_3_1_4_1_and_3_2_2_6_a_malformed_connect_gets_no_connack() {
    let reserved_flag = b"\x10\x0D\x00\x04MQTT\x04\x03\x00\x0A\x00\x01c";
    assert_eq!(refused(Terms::default(), reserved_flag), b"");
    let will_topic = b"\x10\x12\x00\x04MQTT\x04\x06\x00\x0A\x00\x01c\x00\x01#\x00\x00";
    assert_eq!(refused(Terms::default(), will_topic), b"");
}

#[test]
fn mqtt311_3_1_2_24_keep_alive() {
    let mut server = v311();
    assert_eq!(server.wait(14_999), Ok(()));
    assert!(server.wait(1).is_err());
}

#[test]
fn mqtt311_4_4_0_1_a_reconnect_sends_again_what_is_open() {
    let mut server = v311();
    let first = server.delivers(delivery(Qos::AtLeastOnce)).1;
    // [MQTT-4.3.2-1]
    assert_eq!(first, b"\x32\x06\x00\x01t\x00\x01m");
    server.delivers(delivery(Qos::ExactlyOnce));
    server.sends(b"\x50\x02\x00\x02", b"\x62\x02\x00\x02");
    let (_, out) = server.reconnects(CONNECT_311);
    assert_eq!(
        out,
        b"\x20\x02\x01\x00\x3A\x06\x00\x01t\x00\x01m\x62\x02\x00\x02"
    );
}

#[test]
fn mqtt311_2_3_1_4_ids_are_free_after_puback_and_pubcomp() {
    let mut server = v311();
    server.delivers(delivery(Qos::AtLeastOnce));
    server.sends(b"\x40\x02\x00\x01", b"");
    let state = server.session.into_state();
    assert_eq!(
        state.outbound.unfinished(),
        Outbound::default().unfinished()
    );
}
