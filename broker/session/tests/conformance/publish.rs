//! PUBLISH of version 5, to the server and from it (3.3, 4.9).

use std::num::NonZeroU32;

use dunlin_codec::{Qos, ReasonCode};
use dunlin_session::{Identifiers, MessageParts, Sent, Terms};
use dunlin_time::Wall;

use crate::table::{
    CONNECT_5, connect_5, delivery, delivery_of, fails, sends, server, server_with, v5,
};

fn terms(change: impl FnOnce(&mut Terms)) -> Terms {
    let mut terms = Terms::default();
    change(&mut terms);
    terms
}

sends! {
    mqtt5_3_3_4_1_qos_0_has_no_answer: v5(), b"\x30\x05\x00\x01t\x00m" => b"";
    mqtt5_4_3_2_4_qos_1_gets_puback: v5(), b"\x32\x07\x00\x01t\x00\x05\x00m" => b"\x40\x02\x00\x05";
    mqtt5_4_3_3_8_qos_2_gets_pubrec: v5(), b"\x34\x07\x00\x01t\x00\x05\x00m" => b"\x50\x02\x00\x05";
    mqtt5_3_3_2_12_aliases_up_to_the_maximum_are_taken: v5(),
        b"\x32\x09\x00\x01t\x00\x01\x03\x23\x00\x20" => b"\x40\x02\x00\x01",
        b"\x32\x08\x00\x00\x00\x02\x03\x23\x00\x20" => b"\x40\x02\x00\x02";
    mqtt5_3_3_2_15_response_topic: v5(),
        b"\x32\x0A\x00\x01t\x00\x01\x04\x08\x00\x01r" => b"\x40\x02\x00\x01";
    mqtt5_3_3_1_4_what_is_just_within_the_terms_is_taken:
        server_with(terms(|terms| {
            terms.maximum_qos = Qos::AtLeastOnce;
            terms.maximum_topic_bytes = 3;
            terms.maximum_topic_levels = 2;
            terms.maximum_packet_size = 10;
        }), CONNECT_5),
        b"\x33\x08\x00\x03a/b\x00\x01\x00" => b"\x40\x02\x00\x01";
    mqtt5_3_2_2_14_without_retain_a_message_is_taken:
        server_with(terms(|terms| terms.retain_available = false), CONNECT_5),
        b"\x32\x06\x00\x01t\x00\x01\x00" => b"\x40\x02\x00\x01";
}

fails! {
    mqtt5_3_3_2_2_topic_with_wildcard: v5(), b"\x30\x04\x00\x01+\x00" => MalformedPacket;
    mqtt5_3_3_2_1_neither_topic_nor_alias: v5(), b"\x30\x03\x00\x00\x00" => ProtocolError;
    mqtt5_3_3_2_9_alias_above_the_maximum: v5(),
        b"\x30\x07\x00\x01t\x03\x23\x00\x21" => TopicAliasInvalid;
    mqtt5_3_3_2_3_4_alias_that_stands_for_nothing: v5(),
        b"\x30\x06\x00\x00\x03\x23\x00\x01" => ProtocolError;
    mqtt5_3_2_2_18_alias_where_none_is_offered:
        server_with(terms(|terms| terms.topic_alias_maximum = 0), CONNECT_5),
        b"\x30\x07\x00\x01t\x03\x23\x00\x01" => TopicAliasInvalid;
    mqtt5_3_3_2_14_response_topic_with_wildcard: v5(),
        b"\x30\x08\x00\x01t\x04\x08\x00\x01#" => ProtocolError;
    mqtt5_3_3_4_6_subscription_identifier_from_a_client: v5(),
        b"\x30\x06\x00\x01t\x02\x0B\x01" => ProtocolError;
    mqtt5_3_2_2_11_qos_above_the_maximum:
        server_with(terms(|terms| terms.maximum_qos = Qos::AtLeastOnce), CONNECT_5),
        b"\x34\x06\x00\x01t\x00\x01\x00" => QosNotSupported;
    mqtt5_3_2_2_14_retain_where_not_available:
        server_with(terms(|terms| terms.retain_available = false), CONNECT_5),
        b"\x31\x04\x00\x01t\x00" => RetainNotSupported;
    mqtt5_3_2_2_15_packet_above_the_maximum:
        server_with(terms(|terms| terms.maximum_packet_size = 6), CONNECT_5),
        b"\x30\x05\x00\x01t\x00m" => PacketTooLarge;
    mqtt5_4_7_topic_deeper_than_offered:
        server_with(terms(|terms| terms.maximum_topic_levels = 1), CONNECT_5),
        b"\x30\x06\x00\x03a/b\x00" => TopicNameInvalid;
    mqtt5_4_7_topic_longer_than_offered:
        server_with(terms(|terms| terms.maximum_topic_bytes = 2), CONNECT_5),
        b"\x30\x06\x00\x03abc\x00" => TopicNameInvalid;
}

#[test]
fn a_client_below_a_mount_point_does_not_see_it() {
    let terms = terms(|terms| terms.mount_point = "below/".into());
    let mut server = server_with(terms, CONNECT_5);
    let delivery = delivery_of(MessageParts {
        publisher: 0,
        qos: Qos::AtMostOnce,
        retain: false,
        expires: None,
        topic: "below/t",
        forwarded: &[],
        payload: b"m",
    });
    assert_eq!(server.delivers(delivery).1, b"\x30\x05\x00\x01t\x00m");
}

#[test]
fn mqtt5_3_3_2_7_aliases_end_with_the_connection() {
    let mut server = v5();
    server.sends(b"\x30\x07\x00\x01t\x03\x23\x00\x01", b"");
    let (mut server, _) = server.reconnects(CONNECT_5);
    server.fails(
        b"\x30\x06\x00\x00\x03\x23\x00\x01",
        ReasonCode::ProtocolError,
    );
}

#[test]
fn mqtt5_3_3_4_7_one_more_than_receive_maximum() {
    let mut server = server_with(terms(|terms| terms.receive_maximum = 2), CONNECT_5);
    for id in [1, 2] {
        let publish = [0x34, 6, 0, 1, b't', 0, id, 0];
        server.sends(&publish, &[0x50, 2, 0, id]);
    }
    server.fails(
        b"\x34\x06\x00\x01t\x00\x03\x00",
        ReasonCode::ReceiveMaximumExceeded,
    );
}

#[test]
fn mqtt5_4_9_pubcomp_and_pubrec_with_an_error_make_room_again() {
    let mut server = server_with(terms(|terms| terms.receive_maximum = 1), CONNECT_5);
    for id in [1, 2, 3] {
        server.sends(&[0x34, 6, 0, 1, b't', 0, id, 0], &[0x50, 2, 0, id]);
        server.sends(&[0x62, 2, 0, id], &[0x70, 2, 0, id]);
    }
}

#[test]
fn mqtt5_3_3_4_9_a_full_window_sends_no_more_above_qos_0() {
    let mut server = server(&connect_5(b"\x21\x00\x01"));
    server.delivers(delivery(Qos::ExactlyOnce));
    assert_eq!(server.session.room(), 0);
    // [MQTT-3.3.4-10] [MQTT-4.9.0-3]: everything else goes on.
    assert_eq!(server.delivers(delivery(Qos::AtMostOnce)).0, Sent::Yes);
    server.sends(b"\xC0\x00", b"\xD0\x00");
    server.sends(
        b"\x82\x07\x00\x01\x00\x00\x01a\x00",
        b"\x90\x04\x00\x01\x00\x00",
    );
    server.sends(b"\x50\x02\x00\x01", b"\x62\x02\x00\x01");
    // PUBREC makes no room, PUBCOMP does (4.9).
    assert_eq!(server.session.room(), 0);
    server.sends(b"\x70\x02\x00\x01", b"");
    assert_eq!(server.session.room(), 1);
}

#[test]
fn mqtt5_3_1_2_25_a_message_too_large_for_the_client_is_dropped() {
    let mut server = server(&connect_5(b"\x27\x00\x00\x00\x09"));
    let (sent, bytes) = server.delivers(delivery(Qos::AtLeastOnce));
    assert_eq!(
        (sent, &*bytes),
        (Sent::Yes, &b"\x32\x07\x00\x01t\x00\x01\x00m"[..])
    );
    let mut longer = delivery(Qos::AtLeastOnce);
    longer.identifiers = Identifiers::One(NonZeroU32::MIN);
    assert_eq!(server.delivers(longer), (Sent::TooLarge, Vec::new()));
    assert_eq!(server.session.unacknowledged(), 1);
}

#[test]
fn mqtt5_3_1_2_26_aliases_go_out_only_up_to_the_clients_maximum() {
    let mut server = server(&connect_5(b"\x22\x00\x01"));
    let mut send = |topic| {
        let parts = MessageParts {
            publisher: 0,
            qos: Qos::AtMostOnce,
            retain: false,
            expires: None,
            topic,
            forwarded: &[],
            payload: b"",
        };
        server.delivers(delivery_of(parts)).1
    };
    assert_eq!(send("t"), b"\x30\x07\x00\x01t\x03\x23\x00\x01");
    assert_eq!(send("t"), b"\x30\x06\x00\x00\x03\x23\x00\x01");
    assert_eq!(send("u"), b"\x30\x04\x00\x01u\x00");
    assert_eq!(send("u"), b"\x30\x07\x00\x01u\x03\x23\x00\x01");
    // The only alias moved: what it stood for is named again, and gets it back at the next use.
    assert_eq!(send("t"), b"\x30\x04\x00\x01t\x00");
    assert_eq!(send("t"), b"\x30\x07\x00\x01t\x03\x23\x00\x01");
}

#[test]
fn mqtt5_3_1_2_27_without_a_maximum_no_alias_goes_out() {
    let mut server = v5();
    for _ in 0..3 {
        let (_, bytes) = server.delivers(delivery(Qos::AtMostOnce));
        assert_eq!(bytes, b"\x30\x05\x00\x01t\x00m");
    }
}

fn expiring(milliseconds: u64) -> dunlin_session::Delivery {
    delivery_of(MessageParts {
        publisher: 0,
        qos: Qos::AtMostOnce,
        retain: false,
        expires: Some(Wall(milliseconds)),
        topic: "t",
        forwarded: &[],
        payload: b"",
    })
}

#[test]
fn mqtt5_3_3_2_5_an_expired_message_is_dropped() {
    let mut server = v5();
    server.wait(5_000).expect("alive");
    assert_eq!(
        server.delivers(expiring(5_000)),
        (Sent::Expired, Vec::new())
    );
}

#[test]
fn mqtt5_3_3_2_6_the_expiry_counts_down() {
    let mut server = v5();
    server.wait(5_000).expect("alive");
    let (_, bytes) = server.delivers(expiring(8_001));
    assert_eq!(bytes, b"\x30\x09\x00\x01t\x05\x02\x00\x00\x00\x04");
}

#[test]
fn mqtt5_3_3_2_17_properties_pass_unaltered_and_in_order() {
    let mut server = v5();
    let forwarded = b"\x26\x00\x01b\x00\x01x\x01\x01\x26\x00\x01a\x00\x01y\x08\x00\x01r\x09\x00\x01c\x03\x00\x01j";
    let parts = MessageParts {
        publisher: 0,
        qos: Qos::AtMostOnce,
        retain: true,
        expires: None,
        topic: "t",
        forwarded,
        payload: b"",
    };
    let (_, bytes) = server.delivers(delivery_of(parts));
    assert_eq!(bytes[..2], [0x31, 4 + forwarded.len() as u8]);
    assert!(bytes.ends_with(forwarded));
}

#[test]
fn mqtt5_3_3_4_4_all_subscription_identifiers_go_out() {
    let mut server = v5();
    let one = |n| Identifiers::One(NonZeroU32::new(n).expect("not zero"));
    let mut delivery = delivery(Qos::AtMostOnce);
    delivery.identifiers = one(1).merge(one(200));
    let (_, bytes) = server.delivers(delivery);
    assert_eq!(bytes, b"\x30\x0A\x00\x01t\x05\x0B\x01\x0B\xC8\x01m");
}
