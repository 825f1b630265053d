//! Every packet of 3.1 and 3.1.1 as bytes, and what 3.x means in terms of version 5.

use dunlin_codec::{
    Ack, Auth, Connack, Connect, Disconnect, EncodeError, Packet, Properties, Property, Publish,
    Qos, ReasonCode, RetainHandling, Suback, Subscribe, SubscriptionOptions, Unsubscribe, Version,
    Will, encode,
};

use crate::table::{both_ways, decodes_as, encoded, filters, id, names, properties, reasons};

const V31: Version = Version::Mqtt31;
const V311: Version = Version::Mqtt311;

#[test]
fn mqtt311_3_1_connect() {
    let connect = Connect {
        version: V311,
        clean_start: true,
        keep_alive: 10,
        client_id: "c",
        ..Connect::default()
    };
    let bytes = b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x0A\x00\x01c";
    both_ways(V311, bytes, &Packet::Connect(connect));
    assert_eq!(connect.session_expiry_interval(), 0);
    assert_eq!(
        Connect {
            clean_start: false,
            ..connect
        }
        .session_expiry_interval(),
        u32::MAX
    );
}

#[test]
fn mqtt31_3_1_connect_with_everything() {
    let connect = Connect {
        version: V31,
        clean_start: false,
        keep_alive: u16::MAX,
        client_id: "id",
        will: Some(Will {
            qos: Qos::AtLeastOnce,
            retain: true,
            topic: "w",
            payload: b"",
            properties: Properties::EMPTY,
        }),
        username: Some("u"),
        password: Some(b"p"),
        properties: Properties::EMPTY,
        bridge: false,
    };
    let bytes =
        b"\x10\x1B\x00\x06MQIsdp\x03\xEC\xFF\xFF\x00\x02id\x00\x01w\x00\x00\x00\x01u\x00\x01p";
    both_ways(V31, bytes, &Packet::Connect(connect));
}

#[test]
fn mqtt31_3_1_an_announced_user_name_may_be_missing() {
    let connect = Connect {
        version: V31,
        client_id: "c",
        ..Connect::default()
    };
    let bytes = b"\x10\x0F\x00\x06MQIsdp\x03\xC0\x00\x00\x00\x01c";
    decodes_as(V31, bytes, &Packet::Connect(connect));
}

#[test]
fn mqtt31_3_1_unused_connect_flags_are_ignored() {
    let connect = Connect {
        version: V31,
        client_id: "c",
        ..Connect::default()
    };
    let bytes = b"\x10\x0F\x00\x06MQIsdp\x03\x39\x00\x00\x00\x01c";
    decodes_as(V31, bytes, &Packet::Connect(connect));
    for first_byte in 0x11..=0x1F {
        let mut bytes = *b"\x10\x0F\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01c";
        bytes[0] = first_byte;
        let clean = Connect {
            clean_start: true,
            ..connect
        };
        decodes_as(Version::Mqtt5, &bytes, &Packet::Connect(clean));
    }
}

#[test]
fn mosquitto_marks_its_bridges_on_the_protocol_level() {
    let bridge = Connect {
        version: V311,
        bridge: true,
        client_id: "b",
        ..Connect::default()
    };
    let bytes = b"\x10\x0D\x00\x04MQTT\x84\x00\x00\x00\x00\x01b";
    both_ways(V311, bytes, &Packet::Connect(bridge));
    let bytes = b"\x10\x0F\x00\x06MQIsdp\x83\x00\x00\x00\x00\x01b";
    both_ways(
        V31,
        bytes,
        &Packet::Connect(Connect {
            version: V31,
            ..bridge
        }),
    );
}

#[test]
fn mqtt311_3_2_2_3_connack_return_codes() {
    let meanings = [
        (0, ReasonCode::Success),
        (1, ReasonCode::UnsupportedProtocolVersion),
        (2, ReasonCode::ClientIdentifierNotValid),
        (3, ReasonCode::ServerUnavailable),
        (4, ReasonCode::BadUserNameOrPassword),
        (5, ReasonCode::NotAuthorized),
    ];
    for (code, reason) in meanings {
        let connack = Packet::Connack(Connack {
            reason,
            ..Connack::default()
        });
        both_ways(V311, &[0x20, 2, 0, code], &connack);
        both_ways(V31, &[0x20, 2, 0, code], &connack);
    }
    for (reason, code) in [(ReasonCode::ServerBusy, 3), (ReasonCode::Banned, 5)] {
        let connack = Packet::Connack(Connack {
            reason,
            ..Connack::default()
        });
        assert_eq!(encoded(V311, &connack), [0x20, 2, 0, code]);
    }
}

#[test]
fn mqtt311_3_2_2_2_session_present() {
    let resumed = Connack {
        session_present: true,
        ..Connack::default()
    };
    both_ways(V311, b"\x20\x02\x01\x00", &Packet::Connack(resumed));
    assert_eq!(encoded(V31, &Packet::Connack(resumed)), b"\x20\x02\x00\x00");
    decodes_as(
        V31,
        b"\x20\x02\x01\x00",
        &Packet::Connack(Connack::default()),
    );
}

#[test]
fn mqtt311_3_2_2_6_a_refusal_without_return_code_has_no_connack() {
    let reason = ReasonCode::PacketTooLarge;
    let connack = Packet::Connack(Connack {
        reason,
        ..Connack::default()
    });
    let mut out = Vec::new();
    assert_eq!(
        encode(&connack, V311, &mut out),
        Err(EncodeError::NotInVersion)
    );
    assert!(out.is_empty());
}

#[test]
fn mqtt311_3_3_publish() {
    for version in [V31, V311] {
        let publish = Publish {
            topic: "a/b",
            payload: b"hi",
            ..Publish::default()
        };
        both_ways(version, b"\x30\x07\x00\x03a/bhi", &Packet::Publish(publish));
        let publish = Publish {
            dup: true,
            qos: Qos::AtLeastOnce,
            retain: true,
            topic: "t",
            packet_id: Some(id(0xFFFF)),
            ..Publish::default()
        };
        both_ways(
            version,
            b"\x3B\x05\x00\x01t\xFF\xFF",
            &Packet::Publish(publish),
        );
    }
}

#[test]
fn mqtt31_3_3_dup_means_nothing_at_qos_0() {
    let publish = Publish {
        topic: "t",
        ..Publish::default()
    };
    decodes_as(V31, b"\x38\x03\x00\x01t", &Packet::Publish(publish));
}

#[test]
fn mqtt311_3_4_to_3_7_acks() {
    let ack = Ack::success(id(0x0102));
    for version in [V31, V311] {
        both_ways(version, b"\x40\x02\x01\x02", &Packet::Puback(ack));
        both_ways(version, b"\x50\x02\x01\x02", &Packet::Pubrec(ack));
        both_ways(version, b"\x62\x02\x01\x02", &Packet::Pubrel(ack));
        both_ways(version, b"\x70\x02\x01\x02", &Packet::Pubcomp(ack));
    }
    let error = Ack {
        reason: ReasonCode::QuotaExceeded,
        ..ack
    };
    assert_eq!(encoded(V311, &Packet::Puback(error)), b"\x40\x02\x01\x02");
}

#[test]
fn mqtt311_3_8_subscribe_has_the_options_that_3_x_behaves_by() {
    let options = SubscriptionOptions {
        qos: Qos::AtLeastOnce,
        ..SubscriptionOptions::default()
    };
    let list = filters(&[("a/b", options), ("#", SubscriptionOptions::default())]);
    let subscribe = Subscribe {
        packet_id: id(10),
        properties: Properties::EMPTY,
        filters: list.as_filters(),
    };
    let bytes = b"\x82\x0C\x00\x0A\x00\x03a/b\x01\x00\x01#\x00";
    both_ways(V311, bytes, &Packet::Subscribe(subscribe));
    assert_eq!(options.retain_handling, RetainHandling::SendAtSubscribe);
}

#[test]
fn mqtt311_3_8_3_options_of_version_5_are_left_out() {
    let options = SubscriptionOptions {
        qos: Qos::ExactlyOnce,
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
    };
    let list = filters(&[("a", options)]);
    let identifier = properties(&[Property::SubscriptionIdentifier(1)]);
    let subscribe = Packet::Subscribe(Subscribe {
        packet_id: id(1),
        properties: identifier.as_properties(),
        filters: list.as_filters(),
    });
    assert_eq!(encoded(V311, &subscribe), b"\x82\x06\x00\x01\x00\x01a\x02");
}

#[test]
fn mqtt31_2_1_dup_on_pubrel_subscribe_and_unsubscribe() {
    let list = filters(&[("a", SubscriptionOptions::default())]);
    let subscribe = Subscribe {
        packet_id: id(1),
        properties: Properties::EMPTY,
        filters: list.as_filters(),
    };
    decodes_as(
        V31,
        b"\x8A\x06\x00\x01\x00\x01a\x00",
        &Packet::Subscribe(subscribe),
    );
    decodes_as(
        V31,
        b"\x6A\x02\x00\x01",
        &Packet::Pubrel(Ack::success(id(1))),
    );
    let list = names(&["a"]);
    let unsubscribe = Unsubscribe {
        packet_id: id(1),
        properties: Properties::EMPTY,
        filters: list.as_filters(),
    };
    decodes_as(
        V31,
        b"\xAA\x05\x00\x01\x00\x01a",
        &Packet::Unsubscribe(unsubscribe),
    );
}

#[test]
fn mqtt311_3_9_suback_knows_one_failure() {
    let list = reasons(&[
        ReasonCode::Success,
        ReasonCode::GrantedQos1,
        ReasonCode::GrantedQos2,
        ReasonCode::UnspecifiedError,
    ]);
    let suback = Suback {
        packet_id: id(10),
        properties: Properties::EMPTY,
        reasons: list.as_reason_codes(),
    };
    both_ways(
        V311,
        b"\x90\x06\x00\x0A\x00\x01\x02\x80",
        &Packet::Suback(suback),
    );
    let denied = reasons(&[ReasonCode::NotAuthorized]);
    let suback = Suback {
        reasons: denied.as_reason_codes(),
        ..suback
    };
    assert_eq!(
        encoded(V311, &Packet::Suback(suback)),
        b"\x90\x03\x00\x0A\x80"
    );
}

#[test]
fn mqtt311_3_10_unsubscribe_and_3_11_unsuback() {
    let list = names(&["a", "b"]);
    let unsubscribe = Unsubscribe {
        packet_id: id(1),
        properties: Properties::EMPTY,
        filters: list.as_filters(),
    };
    let bytes = b"\xA2\x08\x00\x01\x00\x01a\x00\x01b";
    both_ways(V311, bytes, &Packet::Unsubscribe(unsubscribe));
    let none = reasons(&[]);
    let unsuback = Suback {
        packet_id: id(1),
        properties: Properties::EMPTY,
        reasons: none.as_reason_codes(),
    };
    both_ways(V311, b"\xB0\x02\x00\x01", &Packet::Unsuback(unsuback));
    let success = reasons(&[ReasonCode::Success]);
    let unsuback = Suback {
        reasons: success.as_reason_codes(),
        ..unsuback
    };
    assert_eq!(
        encoded(V311, &Packet::Unsuback(unsuback)),
        b"\xB0\x02\x00\x01"
    );
}

#[test]
fn mqtt311_3_12_to_3_14_packets_without_body() {
    for version in [V31, V311] {
        both_ways(version, b"\xC0\x00", &Packet::Pingreq);
        both_ways(version, b"\xD0\x00", &Packet::Pingresp);
        both_ways(
            version,
            b"\xE0\x00",
            &Packet::Disconnect(Disconnect::default()),
        );
    }
    let reason = ReasonCode::ServerShuttingDown;
    let disconnect = Packet::Disconnect(Disconnect {
        reason,
        ..Disconnect::default()
    });
    assert_eq!(encoded(V311, &disconnect), b"\xE0\x00");
}

#[test]
fn mqtt311_has_no_auth_and_no_password_alone() {
    let mut out = Vec::new();
    let auth = Packet::Auth(Auth::default());
    assert_eq!(
        encode(&auth, V311, &mut out),
        Err(EncodeError::NotInVersion)
    );
    let connect = Connect {
        version: V311,
        password: Some(b"p"),
        ..Connect::default()
    };
    let connect = Packet::Connect(connect);
    assert_eq!(
        encode(&connect, V311, &mut out),
        Err(EncodeError::NotInVersion)
    );
    assert!(out.is_empty());
}

#[test]
fn mqtt311_2_2_3_a_length_may_be_longer_than_it_must() {
    decodes_as(V311, b"\xC0\x80\x80\x00", &Packet::Pingreq);
}
