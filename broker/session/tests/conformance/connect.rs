//! CONNECT, CONNACK and keep alive of version 5 (3.1, 3.2).

use dunlin_codec::{Decoded, Packet, Qos, ReasonCode, Version, decode};
use dunlin_session::{Accepted, Failure, Handshake, SessionState, Terms};
use dunlin_time::Now;

use crate::table::{
    CONNACK_5, CONNECT_5, accept, connect_5, delivery, fails, negotiate, refused, server,
    server_with, v5,
};

/// Row by row: CONNECT on these terms => CONNACK.
macro_rules! refuses {
    ($($name:ident: $terms:expr, $connect:expr => $connack:expr;)*) => {$(
        #[test]
        fn $name() {
            assert_eq!(refused($terms, $connect), $connack);
        }
    )*};
}

fn qos_1() -> Terms {
    Terms {
        maximum_qos: Qos::AtLeastOnce,
        ..Terms::default()
    }
}

fn no_retain() -> Terms {
    Terms {
        retain_available: false,
        ..Terms::default()
    }
}

fn named_only() -> Terms {
    Terms {
        assign_client_ids: false,
        ..Terms::default()
    }
}

/// A topic of one level and three bytes, and a payload of two bytes, are the most.
fn narrow() -> Terms {
    Terms {
        maximum_topic_levels: 1,
        maximum_topic_bytes: 3,
        maximum_payload_bytes: 2,
        ..Terms::default()
    }
}

/// CONNECT as [`CONNECT_5`], with a will of QoS 0 on this topic of this payload.
fn with_will(topic: &str, payload: &str) -> Vec<u8> {
    let length = 19 + topic.len() + payload.len();
    let mut connect = vec![0x10, length as u8];
    connect.extend(b"\x00\x04MQTT\x05\x06\x00\x0A\x00\x00\x01c\x00");
    for field in [topic, payload] {
        connect.extend([0, field.len() as u8]);
        connect.extend(field.as_bytes());
    }
    connect
}

refuses! {
    mqtt5_3_1_2_2_unknown_level_gets_return_code_1: Terms::default(),
        b"\x10\x0E\x00\x04MQTT\x06\x02\x00\x0A\x00\x00\x01c" => b"\x20\x02\x00\x01";
    mqtt5_3_1_2_3_reserved_flag: Terms::default(),
        b"\x10\x0E\x00\x04MQTT\x05\x03\x00\x0A\x00\x00\x01c" => b"\x20\x03\x00\x81\x00";
    mqtt5_3_1_4_1_receive_maximum_0: Terms::default(),
        &connect_5(b"\x21\x00\x00") => b"\x20\x03\x00\x82\x00";
    mqtt5_3_1_3_8_client_id_needed: named_only(),
        b"\x10\x0D\x00\x04MQTT\x05\x02\x00\x0A\x00\x00\x00" => b"\x20\x03\x00\x85\x00";
    mqtt5_3_2_2_12_will_qos_too_high: qos_1(),
        b"\x10\x14\x00\x04MQTT\x05\x16\x00\x0A\x00\x00\x01c\x00\x00\x01w\x00\x00" =>
        b"\x20\x03\x00\x9B\x00";
    mqtt5_3_2_2_13_will_retain_not_available: no_retain(),
        b"\x10\x14\x00\x04MQTT\x05\x26\x00\x0A\x00\x00\x01c\x00\x00\x01w\x00\x00" =>
        b"\x20\x03\x00\x9A\x00";
    mqtt5_3_1_3_11_will_topic_with_wildcard: Terms::default(),
        b"\x10\x14\x00\x04MQTT\x05\x06\x00\x0A\x00\x00\x01c\x00\x00\x01#\x00\x00" =>
        b"\x20\x03\x00\x81\x00";
    mqtt5_3_1_3_11_will_topic_deeper_than_offered: narrow(), &with_will("w/x", "p") =>
        b"\x20\x03\x00\x90\x00";
    mqtt5_3_1_3_11_will_topic_longer_than_offered: narrow(), &with_will("wwww", "") =>
        b"\x20\x03\x00\x90\x00";
    mqtt5_3_1_3_12_will_payload_longer_than_offered: narrow(), &with_will("w", "pqr") =>
        b"\x20\x03\x00\x97\x00";
}

#[test]
fn mqtt5_3_1_2_5_a_will_just_within_the_terms_is_taken() {
    let terms = || Terms {
        maximum_qos: Qos::AtLeastOnce,
        ..narrow()
    };
    let connect = b"\x10\x18\x00\x04MQTT\x05\x2E\x00\x0A\x00\x00\x01c\x00\x00\x03www\x00\x02pq";
    assert!(
        negotiate(terms(), connect)
            .expect("accepted")
            .will
            .is_some()
    );
    let unretained = Terms {
        retain_available: false,
        ..terms()
    };
    assert!(
        negotiate(unretained, &with_will("w", "p"))
            .expect("accepted")
            .will
            .is_some()
    );
}

#[test]
fn mqtt5_3_1_0_1_the_first_packet_is_connect() {
    let failure = negotiate(Terms::default(), b"\xC0\x00").expect_err("refused");
    assert_eq!(failure.reason, ReasonCode::ProtocolError);
}

fails! {
    mqtt5_3_1_0_2_second_connect: v5(), CONNECT_5 => ProtocolError;
    mqtt5_2_1_2_connack_from_a_client: v5(), b"\x20\x03\x00\x00\x00" => ProtocolError;
    mqtt5_2_1_2_suback_from_a_client: v5(), b"\x90\x04\x00\x01\x00\x00" => ProtocolError;
    mqtt5_2_1_2_unsuback_from_a_client: v5(), b"\xB0\x04\x00\x01\x00\x00" => ProtocolError;
    mqtt5_2_1_2_pingresp_from_a_client: v5(), b"\xD0\x00" => ProtocolError;
}

#[test]
fn mqtt5_3_1_4_5_an_accepted_connect_gets_success() {
    assert_eq!(accept(Terms::default(), CONNECT_5, None).1, CONNACK_5);
}

#[test]
fn mqtt5_3_1_2_6_and_3_2_2_3_no_session_is_session_present_0() {
    assert_eq!(accept(Terms::default(), &connect_5(b""), None).1[2], 0);
}

#[test]
fn mqtt5_3_1_2_5_and_3_2_2_3_a_session_is_session_present_1() {
    let state = Some(SessionState::default());
    assert_eq!(
        accept(Terms::default(), CONNECT_5, state).1[..4],
        [0x20, 0x0E, 1, 0]
    );
}

#[test]
fn mqtt5_3_1_2_22_silence_of_one_and_a_half_keep_alives_ends_the_connection() {
    let mut server = v5();
    assert_eq!(server.wait(14_999), Ok(()));
    server.sends(b"\xC0\x00", b"\xD0\x00");
    assert_eq!(server.wait(14_999), Ok(()));
    assert_eq!(
        server.session.deadline(),
        Some(dunlin_time::Monotonic(29_998 + 1))
    );
    assert_eq!(
        server.wait(1).expect_err("too long").reason,
        ReasonCode::KeepAliveTimeout
    );
}

#[test]
fn mqtt5_3_1_2_10_keep_alive_0_is_none() {
    let mut server = server(b"\x10\x0E\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01c");
    assert_eq!(server.session.deadline(), None);
    assert_eq!(server.wait(u64::from(u32::MAX)), Ok(()));
}

#[test]
fn mqtt5_3_1_2_21_server_keep_alive_replaces_the_clients() {
    let terms = Terms {
        maximum_keep_alive: 4,
        ..Terms::default()
    };
    let (mut server, connack) = accept(terms, CONNECT_5, None);
    assert_eq!(connack[connack.len() - 3..], [0x13, 0, 4]);
    assert!(server.wait(6_000).is_err());
}

#[test]
fn mqtt5_3_1_2_21_server_keep_alive_replaces_none() {
    let terms = || Terms {
        maximum_keep_alive: 4,
        ..Terms::default()
    };
    let connect = b"\x10\x0E\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01c";
    let (mut server, connack) = accept(terms(), connect, None);
    assert_eq!(connack[connack.len() - 3..], [0x13, 0, 4]);
    assert!(server.wait(6_000).is_err());
    // Version 3 cannot be told.
    let mut server = server_with(terms(), crate::table::CONNECT_311);
    assert_eq!(server.wait(14_999), Ok(()));
}

#[test]
fn mqtt5_3_2_2_22_without_server_keep_alive_the_clients_holds() {
    let terms = Terms {
        maximum_keep_alive: 10,
        ..Terms::default()
    };
    let (mut server, connack) = accept(terms, CONNECT_5, None);
    assert_eq!(connack, CONNACK_5);
    assert_eq!(server.wait(14_999), Ok(()));
}

#[test]
fn mqtt5_3_1_2_11_2_session_expiry_is_granted_or_announced_lower() {
    let terms = || Terms {
        maximum_session_expiry: 60,
        ..Terms::default()
    };
    let (server, connack) = accept(terms(), &connect_5(b"\x11\x00\x00\x00\x3C"), None);
    assert_eq!(
        (server.session.session_expiry(), &*connack),
        (60, CONNACK_5)
    );
    let (server, connack) = accept(terms(), &connect_5(b"\x11\x00\x00\x00\x3D"), None);
    assert_eq!(server.session.session_expiry(), 60);
    assert_eq!(connack[..10], *b"\x20\x13\x00\x00\x10\x11\x00\x00\x00\x3C");
    assert_eq!(server_with(terms(), CONNECT_5).session.session_expiry(), 0);
}

#[test]
fn mqtt5_3_1_3_6_and_3_2_2_16_a_client_without_id_is_told_its_id() {
    let nameless = b"\x10\x0D\x00\x04MQTT\x05\x02\x00\x0A\x00\x00\x00";
    let (_, connack) = accept(Terms::default(), nameless, None);
    let told = b"\x12\x00\x08assigned";
    assert!(connack.windows(told.len()).any(|bytes| bytes == told));
}

#[test]
fn mqtt5_3_1_3_5_plain_client_ids_of_23_bytes_are_taken() {
    let mut connect = b"\x10\x24\x00\x04MQTT\x05\x02\x00\x0A\x00\x00\x17".to_vec();
    connect.extend(b"0123456789abcABCXYZxyz9");
    let negotiated = negotiate(Terms::default(), &connect).expect("accepted");
    assert_eq!(&*negotiated.client_id, "0123456789abcABCXYZxyz9");
}

#[test]
fn mqtt5_3_1_2_7_the_will_is_kept_with_its_properties_in_order() {
    // Will Delay 5 s, Message Expiry 9 s, user properties b then a.
    let properties =
        b"\x18\x00\x00\x00\x05\x02\x00\x00\x00\x09\x26\x00\x01b\x00\x00\x26\x00\x01a\x00\x00";
    let mut connect = b"\x10\x2C\x00\x04MQTT\x05\x36\x00\x0A\x00\x00\x01c".to_vec();
    connect.push(properties.len() as u8);
    connect.extend(properties);
    connect.extend(b"\x00\x01w\x00\x02hi");
    let negotiated = negotiate(Terms::default(), &connect).expect("accepted");
    let will = negotiated.will.expect("a will");
    assert_eq!((will.delay.as_secs(), will.expiry), (5, Some(9)));
    assert_eq!((will.qos, will.retain), (Qos::ExactlyOnce, true));
    assert_eq!((&*will.topic, &*will.payload), ("w", &b"hi"[..]));
    // [MQTT-3.1.3-10]; the delay is the server's own affair.
    let message = will.message(7, "w", Now::default().wall);
    let users: Vec<_> = message.properties().user_properties().collect();
    assert_eq!(users, [("b", ""), ("a", "")]);
    assert_eq!(message.properties().will_delay_interval(), None);
}

#[test]
fn mqtt5_3_1_2_28_no_response_information_is_sent_unasked() {
    let (_, connack) = accept(Terms::default(), &connect_5(b"\x19\x00"), None);
    assert_eq!(connack, CONNACK_5);
}

#[test]
fn mqtt5_3_2_2_9_what_is_not_offered_is_announced() {
    let terms = Terms {
        retain_available: false,
        topic_alias_maximum: 0,
        ..qos_1()
    };
    let (_, connack) = accept(terms, CONNECT_5, None);
    assert_eq!(
        connack,
        b"\x20\x0F\x00\x00\x0C\x21\x04\x00\x24\x01\x25\x00\x27\x00\x10\x00\x00"
    );
}

#[test]
fn mqtt5_3_2_2_19_a_reason_string_fits_the_clients_maximum_packet_size() {
    let failure = Failure::new(ReasonCode::NotAuthorized, "no");
    let refused = |maximum| {
        let mut out = Vec::new();
        let connect = connect_5(&[&b"\x27"[..], &u32::to_be_bytes(maximum)].concat());
        let negotiated = negotiate(Terms::default(), &connect).expect("accepted");
        negotiated.refuse(&failure, &mut out);
        out
    };
    assert_eq!(refused(10), b"\x20\x08\x00\x87\x05\x1F\x00\x02no");
    assert_eq!(refused(9), b"\x20\x03\x00\x87\x00");
    // [MQTT-3.1.2-24]
    assert_eq!(refused(4), b"");
}

#[test]
fn what_was_negotiated_can_be_asked_for() {
    let connect = connect_5(b"\x27\x00\x00\x00\x40");
    let negotiated = negotiate(narrow(), &connect).expect("accepted");
    assert_eq!(negotiated.maximum_packet_size(), 64);
    assert_eq!(negotiated.terms(), &narrow());
    let server = server_with(narrow(), &connect);
    assert_eq!(server.session.terms(), &narrow());
    assert_eq!(server.session.authentication_method(), None);
}

#[test]
fn mqtt5_3_1_2_24_a_connack_that_would_not_fit_is_known_before() {
    let check = |maximum, data| {
        let connect = connect_5(&[&b"\x27"[..], &u32::to_be_bytes(maximum)].concat());
        let negotiated = negotiate(Terms::default(), &connect).expect("accepted");
        negotiated
            .check_greeting(data)
            .map_err(|failure| failure.reason)
    };
    let length = CONNACK_5.len() as u32;
    assert_eq!(check(length, None), Ok(()));
    assert_eq!(check(length - 1, None), Err(ReasonCode::PacketTooLarge));
    assert_eq!(check(length, Some(b"x")), Err(ReasonCode::PacketTooLarge));
}

#[test]
fn mqtt5_4_12_a_challenge_and_the_last_data_name_the_method() {
    let connect = connect_5(b"\x15\x00\x01M");
    let negotiated = negotiate(Terms::default(), &connect).expect("accepted");
    let mut out = Vec::new();
    negotiated.challenge(b"?", &mut out);
    assert_eq!(out, b"\xF0\x0A\x18\x08\x15\x00\x01M\x16\x00\x01?");
    let accepted = Accepted {
        state: None,
        authentication_data: Some(b"!".to_vec()),
    };
    out.clear();
    let mut session = negotiated.accept(Now::default(), accepted, &mut out);
    assert!(out.ends_with(b"\x15\x00\x01M\x16\x00\x01!"));
    assert_eq!(session.authentication_method(), Some("M"));
    out.clear();
    session.challenge(b"", &mut out);
    assert_eq!(out, b"\xF0\x06\x18\x04\x15\x00\x01M");
}

#[test]
fn mqtt5_3_2_2_6_a_packet_size_that_all_packets_keep_to_is_not_announced() {
    // The largest Remaining Length (1.5.5).
    let announced = |maximum_packet_size| {
        let terms = Terms {
            maximum_packet_size,
            ..Terms::default()
        };
        accept(terms, CONNECT_5, None).1.contains(&0x27)
    };
    assert!(announced(268_435_454));
    assert!(!announced(268_435_455));
}

#[test]
fn mqtt5_3_1_2_30_during_authentication_only_auth_and_disconnect_are_taken() {
    let connect = connect_5(b"\x15\x00\x01M");
    let negotiated = negotiate(Terms::default(), &connect).expect("accepted");
    let response = |bytes| match decode(bytes, Version::Mqtt5, u32::MAX) {
        Ok(Decoded::Packet { packet, .. }) => negotiated
            .response(&packet)
            .map_err(|failure| failure.reason),
        other => panic!("{other:?}"),
    };
    let answer = b"\xF0\x0A\x18\x08\x15\x00\x01M\x16\x00\x01!";
    assert_eq!(response(answer), Ok(&b"!"[..]));
    assert_eq!(response(b"\xE0\x00"), Err(ReasonCode::Success));
    for wrong in [
        &b"\xF0\x06\x18\x04\x15\x00\x01N"[..],
        b"\xF0\x06\x19\x04\x15\x00\x01M",
        b"\xC0\x00",
    ] {
        assert_eq!(response(wrong), Err(ReasonCode::ProtocolError), "{wrong:?}");
    }
}

#[test]
fn mqtt5_3_2_2_8_a_reason_that_connack_does_not_have_goes_out_as_0x80() {
    for reason in [
        ReasonCode::Success,
        ReasonCode::SessionTakenOver,
        ReasonCode::KeepAliveTimeout,
    ] {
        let mut out = Vec::new();
        Handshake::refuse(Version::Mqtt5, &Failure::new(reason, ""), &mut out);
        assert_eq!(out, b"\x20\x03\x00\x80\x00", "{reason:?}");
    }
}

#[test]
fn mqtt5_3_1_2_29_without_problem_information_no_acknowledgement_has_a_reason_string() {
    let mut server = server(&connect_5(b"\x17\x00"));
    server.sends(b"\x62\x02\x00\x09", b"\x70\x03\x00\x09\x92");
}

#[test]
fn mqtt5_4_12_enhanced_authentication() {
    let negotiated = || {
        negotiate(Terms::default(), &connect_5(b"\x15\x00\x01M\x16\x00\x01x")).expect("accepted")
    };
    let (connecting, mut out) = (negotiated(), Vec::new());
    assert_eq!(connecting.authentication_method.as_deref(), Some("M"));
    // [MQTT-4.12.0-2] [MQTT-4.12.0-5]
    connecting.challenge(b"?", &mut out);
    assert_eq!(out, b"\xF0\x0A\x18\x08\x15\x00\x01M\x16\x00\x01?");
    let response = |bytes| match decode(bytes, Version::Mqtt5, u32::MAX) {
        Ok(Decoded::Packet { packet, .. }) => response_of(&negotiated(), &packet),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        response(b"\xF0\x0A\x18\x08\x15\x00\x01M\x16\x00\x01!"),
        Ok(b"!".to_vec())
    );
    let refused = Err(ReasonCode::ProtocolError);
    // [MQTT-4.12.0-3]: another reason. [MQTT-4.12.0-5]: another method. [MQTT-3.1.2-30]: PINGREQ.
    assert_eq!(response(b"\xF0\x06\x19\x04\x15\x00\x01M"), refused);
    assert_eq!(response(b"\xF0\x06\x18\x04\x15\x00\x01N"), refused);
    assert_eq!(response(b"\xC0\x00"), refused);
    let accepted = Accepted {
        state: None,
        authentication_data: Some(b"ok".to_vec()),
    };
    let mut out = Vec::new();
    connecting.accept(Now::default(), accepted, &mut out);
    assert!(out.ends_with(b"\x15\x00\x01M\x16\x00\x02ok"));
}

fn response_of(
    negotiated: &dunlin_session::Negotiated,
    packet: &Packet<'_>,
) -> Result<Vec<u8>, ReasonCode> {
    negotiated
        .response(packet)
        .map(<[u8]>::to_vec)
        .map_err(|failure| failure.reason)
}

#[test]
fn mqtt5_4_9_0_1_the_window_is_the_clients_receive_maximum() {
    let server = server(&connect_5(b"\x21\x00\x02"));
    assert_eq!(server.session.room(), 2);
    let mut server = server_with(
        Terms {
            maximum_inflight: 1,
            ..Terms::default()
        },
        CONNECT_5,
    );
    assert_eq!(server.session.room(), 1);
    server.delivers(delivery(Qos::AtLeastOnce));
    assert_eq!(server.session.room(), 0);
}
