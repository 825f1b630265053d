//! The QoS flows of version 5, and what a reconnect does to them (4.3, 4.4, 4.6).

use dunlin_codec::{Packet, Qos, ReasonCode};
use dunlin_session::Request;

use crate::table::{CONNACK_5, CONNECT_5, Server, delivery, fails, sends, v5};

/// Messages `m` of these QoS are on their way to the client, with packet ids from 1.
fn sent(flows: &[Qos]) -> Server {
    let mut server = v5();
    for qos in flows {
        server.delivers(delivery(*qos));
    }
    server
}

const ONE: Qos = Qos::AtLeastOnce;
const TWO: Qos = Qos::ExactlyOnce;

sends! {
    mqtt5_4_3_2_5_after_puback_the_same_id_is_a_new_message: v5(),
        b"\x32\x06\x00\x01t\x00\x01\x00" => b"\x40\x02\x00\x01",
        b"\x3A\x06\x00\x01t\x00\x01\x00" => b"\x40\x02\x00\x01";
    mqtt5_4_3_3_11_pubrel_gets_pubcomp: v5(),
        b"\x34\x06\x00\x01t\x00\x01\x00" => b"\x50\x02\x00\x01",
        b"\x62\x02\x00\x01" => b"\x70\x02\x00\x01";
    mqtt5_3_7_2_1_pubrel_for_an_unknown_id_gets_0x92: v5(),
        b"\x62\x02\x00\x01" => b"\x70\x03\x00\x01\x92";
    mqtt5_4_3_3_4_pubrec_gets_pubrel: sent(&[TWO]), b"\x50\x02\x00\x01" => b"\x62\x02\x00\x01";
    mqtt5_4_3_3_4_pubrec_with_0x10_gets_pubrel: sent(&[TWO]),
        b"\x50\x03\x00\x01\x10" => b"\x62\x02\x00\x01";
    mqtt5_4_3_3_4_pubrec_with_an_error_ends_the_flow: sent(&[TWO]),
        b"\x50\x03\x00\x01\x97" => b"",
        b"\x50\x02\x00\x01" => b"\x62\x03\x00\x01\x92";
    mqtt5_3_6_2_1_repeated_pubrec_gets_pubrel_again: sent(&[TWO]),
        b"\x50\x02\x00\x01" => b"\x62\x02\x00\x01",
        b"\x50\x02\x00\x01" => b"\x62\x02\x00\x01";
    mqtt5_3_6_2_1_pubrec_for_an_unknown_id_gets_0x92: v5(),
        b"\x50\x02\x00\x01" => b"\x62\x03\x00\x01\x92";
    mqtt5_4_3_3_4_pubrec_with_an_error_for_an_unknown_id_ends_nothing: v5(),
        b"\x50\x03\x00\x01\x80" => b"";
    mqtt5_2_2_1_5_puback_for_an_unknown_id_changes_nothing: sent(&[ONE]), b"\x40\x02\x00\x02" => b"";
    mqtt5_2_2_1_5_pubcomp_for_an_unknown_id_changes_nothing: sent(&[TWO]), b"\x70\x02\x00\x02" => b"";
    mqtt5_4_6_0_4_pubrels_in_the_order_of_pubrecs: sent(&[TWO, TWO]),
        b"\x50\x02\x00\x02" => b"\x62\x02\x00\x02",
        b"\x50\x02\x00\x01" => b"\x62\x02\x00\x01";
}

fails! {
    mqtt5_4_3_puback_for_qos_2: sent(&[TWO]), b"\x40\x02\x00\x01" => ProtocolError;
    mqtt5_4_3_pubrec_for_qos_1: sent(&[ONE]), b"\x50\x02\x00\x01" => ProtocolError;
    mqtt5_4_3_pubcomp_before_pubrec: sent(&[TWO]), b"\x70\x02\x00\x01" => ProtocolError;
}

#[test]
fn mqtt5_4_3_1_1_qos_0_goes_out_without_dup_and_id() {
    assert_eq!(
        v5().delivers(delivery(Qos::AtMostOnce)).1,
        b"\x30\x05\x00\x01t\x00m"
    );
}

#[test]
fn mqtt5_4_3_2_2_qos_1_goes_out_first_without_dup() {
    let mut server = v5();
    assert_eq!(
        server.delivers(delivery(ONE)).1,
        b"\x32\x07\x00\x01t\x00\x01\x00m"
    );
    // [MQTT-4.3.2-1]
    assert_eq!(
        server.delivers(delivery(ONE)).1,
        b"\x32\x07\x00\x01t\x00\x02\x00m"
    );
    // [MQTT-4.3.2-3]
    assert_eq!(server.session.unacknowledged(), 2);
    server.sends(b"\x40\x02\x00\x02", b"");
    assert_eq!(server.session.unacknowledged(), 1);
}

#[test]
fn mqtt5_4_4_0_2_puback_with_an_error_ends_the_flow() {
    let mut server = sent(&[ONE]);
    server.sends(b"\x40\x03\x00\x01\x97", b"");
    assert_eq!(server.reconnects(CONNECT_5).1.len(), CONNACK_5.len());
}

#[test]
fn mqtt5_4_3_3_2_qos_2_goes_out_first_without_dup() {
    let mut server = v5();
    assert_eq!(
        server.delivers(delivery(TWO)).1,
        b"\x34\x07\x00\x01t\x00\x01\x00m"
    );
    assert_eq!(
        server.delivers(delivery(TWO)).1,
        b"\x34\x07\x00\x01t\x00\x02\x00m"
    );
    // [MQTT-4.3.3-3] [MQTT-4.3.3-5]
    server.sends(b"\x50\x02\x00\x01", b"\x62\x02\x00\x01");
    assert_eq!(server.session.unacknowledged(), 2);
    server.sends(b"\x70\x02\x00\x01", b"");
    assert_eq!(server.session.unacknowledged(), 1);
}

#[test]
fn mqtt5_4_3_3_10_until_pubrel_the_same_id_is_the_same_message() {
    let mut server = v5();
    let publish = b"\x3C\x06\x00\x01t\x00\x01\x00";
    assert_eq!(publishes(&mut server, publish), 1);
    assert_eq!(publishes(&mut server, publish), 0);
    let (mut server, _) = server.reconnects(CONNECT_5);
    assert_eq!(publishes(&mut server, publish), 0);
    server.sends(publish, b"\x50\x02\x00\x01");
    server.sends(b"\x62\x02\x00\x01", b"\x70\x02\x00\x01");
    // [MQTT-4.3.3-12]
    assert_eq!(publishes(&mut server, publish), 1);
}

/// How many messages the application sees.
fn publishes(server: &mut Server, bytes: &[u8]) -> usize {
    let decoded = dunlin_codec::decode(bytes, server.session.version(), u32::MAX);
    let Ok(dunlin_codec::Decoded::Packet { packet, .. }) = decoded else {
        panic!("{decoded:?}");
    };
    assert!(matches!(packet, Packet::Publish(_)));
    let mut out = Vec::new();
    match server
        .session
        .receive(server.now, packet, &mut out)
        .expect("conforms")
    {
        Request::Publish(incoming) => {
            let ack = incoming.acknowledgement.expect("above QoS 0");
            server
                .session
                .acknowledge(ack, ReasonCode::Success, &mut out);
            1
        }
        _ => 0,
    }
}

#[test]
fn mqtt5_4_3_3_9_after_pubrec_with_an_error_the_same_id_is_a_new_message() {
    let (mut server, mut out) = (v5(), Vec::new());
    for _ in 0..2 {
        let publish = b"\x34\x06\x00\x01t\x00\x01\x00";
        let decoded = dunlin_codec::decode(publish, server.session.version(), u32::MAX);
        let Ok(dunlin_codec::Decoded::Packet { packet, .. }) = decoded else {
            panic!("{decoded:?}");
        };
        let Ok(Request::Publish(incoming)) = server.session.receive(server.now, packet, &mut out)
        else {
            panic!("not a new message");
        };
        let ack = incoming.acknowledgement.expect("above QoS 0");
        server
            .session
            .acknowledge(ack, ReasonCode::QuotaExceeded, &mut out);
    }
    assert_eq!(out, b"\x50\x03\x00\x01\x97\x50\x03\x00\x01\x97");
}

#[test]
fn mqtt5_4_4_0_1_a_reconnect_sends_again_what_is_open_in_order() {
    let mut server = sent(&[ONE, TWO, TWO, ONE]);
    server.sends(b"\x50\x02\x00\x02", b"\x62\x02\x00\x02");
    server.sends(b"\x40\x02\x00\x01", b"");
    let (_, out) = server.reconnects(CONNECT_5);
    // [MQTT-3.3.1-1]: DUP. [MQTT-4.3.3-6]: PUBREL, not the PUBLISH.
    let again = b"\x62\x02\x00\x02\x3C\x07\x00\x01t\x00\x03\x00m\x3A\x07\x00\x01t\x00\x04\x00m";
    assert_eq!(out[CONNACK_5.len()..], *again);
}

#[test]
fn mqtt5_4_3_3_7_expiry_does_not_end_a_flow_that_began() {
    let mut server = v5();
    let mut delivery = delivery(TWO);
    let parts = dunlin_session::MessageParts {
        publisher: 0,
        qos: TWO,
        retain: false,
        expires: Some(dunlin_time::Wall(1_000)),
        topic: "t",
        forwarded: &[],
        payload: b"m",
    };
    delivery.message = dunlin_session::Message::new(parts, &mut Vec::new());
    server.delivers(delivery);
    let mut out = Vec::new();
    let mut state = server.session.into_state();
    assert_eq!(state.outbound.unfinished(), 1);
    state.outbound.connect(10);
    let (mut server, _) = crate::table::accept(Default::default(), CONNECT_5, Some(state));
    server.wait(2_000).expect("alive");
    server.session.resume(server.now.wall, &mut out);
    server.sends(b"\x50\x02\x00\x01", b"\x62\x02\x00\x01");
}

#[test]
fn mqtt5_4_6_0_2_and_4_6_0_3_answers_in_the_order_of_their_messages() {
    let (mut server, mut out) = (v5(), Vec::new());
    let mut tickets = Vec::new();
    let publishes: [&[u8]; 4] = [
        b"\x32\x06\x00\x01t\x00\x01\x00",
        b"\x34\x06\x00\x01t\x00\x02\x00",
        b"\x32\x06\x00\x01t\x00\x03\x00",
        b"\x34\x06\x00\x01t\x00\x04\x00",
    ];
    for publish in publishes {
        let decoded = dunlin_codec::decode(publish, server.session.version(), u32::MAX);
        let Ok(dunlin_codec::Decoded::Packet { packet, .. }) = decoded else {
            panic!("{decoded:?}");
        };
        let Ok(Request::Publish(incoming)) = server.session.receive(server.now, packet, &mut out)
        else {
            panic!("not a message");
        };
        let ack = incoming.acknowledgement.expect("above QoS 0");
        tickets.push(server.session.postpone(ack));
    }
    assert_eq!(server.session.postponed(), 4);
    for ticket in [3, 2, 0, 1] {
        server
            .session
            .settle(tickets[ticket], ReasonCode::Success, &mut out);
    }
    assert_eq!(
        out,
        b"\x40\x02\x00\x01\x40\x02\x00\x03\x50\x02\x00\x02\x50\x02\x00\x04"
    );
    assert_eq!(server.session.postponed(), 0);
}
