//! Every packet of version 5 as bytes.

use core::num::{NonZeroU16, NonZeroU32};

use dunlin_codec::{
    Ack, Auth, Connack, Connect, Disconnect, Packet, Properties, Property, Publish, Qos,
    ReasonCode, RetainHandling, Suback, Subscribe, SubscriptionOptions, Unsubscribe, Version, Will,
};

use crate::table::{both_ways, decodes_as, filters, id, names, properties, reasons};

const V5: Version = Version::Mqtt5;

#[test]
fn mqtt5_3_1_connect_with_nothing() {
    let connect = Connect {
        version: V5,
        clean_start: true,
        keep_alive: 60,
        ..Connect::default()
    };
    assert_eq!(connect.session_expiry_interval(), 0);
    let bytes = b"\x10\x0D\x00\x04MQTT\x05\x02\x00\x3C\x00\x00\x00";
    both_ways(V5, bytes, &Packet::Connect(connect));
    decodes_as(Version::Mqtt31, bytes, &Packet::Connect(connect));
}

#[test]
fn mqtt5_3_1_connect_with_everything() {
    let of_connect = properties(&[
        Property::SessionExpiryInterval(0x01020304),
        Property::ReceiveMaximum(NonZeroU16::new(20).expect("20")),
        Property::MaximumPacketSize(NonZeroU32::new(0x10000).expect("65536")),
        Property::TopicAliasMaximum(10),
        Property::RequestResponseInformation(true),
        Property::RequestProblemInformation(false),
        Property::UserProperty("k", "v"),
        Property::UserProperty("k", "w"),
        Property::AuthenticationMethod("m"),
        Property::AuthenticationData(b"\x00\xFF"),
    ]);
    let of_will = properties(&[
        Property::WillDelayInterval(5),
        Property::PayloadFormatIndicator(true),
        Property::MessageExpiryInterval(7),
        Property::ContentType("c"),
        Property::ResponseTopic("r"),
        Property::CorrelationData(b"d"),
        Property::UserProperty("", ""),
    ]);
    let connect = Connect {
        version: V5,
        clean_start: false,
        keep_alive: 0,
        client_id: "id",
        will: Some(Will {
            qos: Qos::ExactlyOnce,
            retain: true,
            topic: "w",
            payload: b"\x00bye",
            properties: of_will.as_properties(),
        }),
        username: Some("u"),
        password: Some(b"\xFFp"),
        properties: of_connect.as_properties(),
        bridge: false,
    };
    assert_eq!(connect.session_expiry_interval(), 0x01020304);
    let bytes = b"\x10\x68\x00\x04MQTT\x05\xF4\x00\x00\
        \x2B\x11\x01\x02\x03\x04\x21\x00\x14\x27\x00\x01\x00\x00\x22\x00\x0A\x19\x01\x17\x00\
        \x26\x00\x01k\x00\x01v\x26\x00\x01k\x00\x01w\x15\x00\x01m\x16\x00\x02\x00\xFF\
        \x00\x02id\
        \x1D\x18\x00\x00\x00\x05\x01\x01\x02\x00\x00\x00\x07\x03\x00\x01c\x08\x00\x01r\
        \x09\x00\x01d\x26\x00\x00\x00\x00\
        \x00\x01w\x00\x04\x00bye\x00\x01u\x00\x02\xFFp";
    both_ways(V5, bytes, &Packet::Connect(connect));
}

#[test]
fn mqtt5_3_1_2_9_a_password_may_come_without_a_user_name() {
    let connect = Connect {
        version: V5,
        password: Some(b"p"),
        ..Connect::default()
    };
    let bytes = b"\x10\x10\x00\x04MQTT\x05\x40\x00\x00\x00\x00\x00\x00\x01p";
    both_ways(V5, bytes, &Packet::Connect(connect));
}

#[test]
fn mqtt5_3_2_connack() {
    both_ways(
        V5,
        b"\x20\x03\x00\x00\x00",
        &Packet::Connack(Connack::default()),
    );
    let list = properties(&[
        Property::SessionExpiryInterval(1),
        Property::ReceiveMaximum(NonZeroU16::MAX),
        Property::MaximumQos(Qos::AtLeastOnce),
        Property::RetainAvailable(false),
        Property::MaximumPacketSize(NonZeroU32::MIN),
        Property::AssignedClientIdentifier("a"),
        Property::TopicAliasMaximum(0),
        Property::ReasonString("r"),
        Property::UserProperty("k", "v"),
        Property::WildcardSubscriptionAvailable(true),
        Property::SubscriptionIdentifierAvailable(false),
        Property::SharedSubscriptionAvailable(false),
        Property::ServerKeepAlive(30),
        Property::ResponseInformation("i"),
        Property::ServerReference("s"),
        Property::AuthenticationMethod("m"),
        Property::AuthenticationData(b""),
    ]);
    let properties = list.as_properties();
    let connack = Connack {
        session_present: true,
        reason: ReasonCode::Success,
        properties,
    };
    let bytes = b"\x20\x3E\x01\x00\x3B\x11\x00\x00\x00\x01\x21\xFF\xFF\x24\x01\x25\x00\
        \x27\x00\x00\x00\x01\x12\x00\x01a\x22\x00\x00\x1F\x00\x01r\x26\x00\x01k\x00\x01v\
        \x28\x01\x29\x00\x2A\x00\x13\x00\x1E\x1A\x00\x01i\x1C\x00\x01s\x15\x00\x01m\x16\x00\x00";
    both_ways(V5, bytes, &Packet::Connack(connack));
    let refusal = Connack {
        reason: ReasonCode::NotAuthorized,
        ..Connack::default()
    };
    both_ways(V5, b"\x20\x03\x00\x87\x00", &Packet::Connack(refusal));
}

#[test]
fn mqtt5_3_3_publish() {
    let publish = Publish {
        topic: "a/b",
        payload: b"hi",
        ..Publish::default()
    };
    both_ways(V5, b"\x30\x08\x00\x03a/b\x00hi", &Packet::Publish(publish));
    let list = properties(&[
        Property::PayloadFormatIndicator(false),
        Property::MessageExpiryInterval(u32::MAX),
        Property::TopicAlias(NonZeroU16::new(7).expect("7")),
        Property::ResponseTopic("r"),
        Property::CorrelationData(b""),
        Property::UserProperty("k", "v"),
        Property::SubscriptionIdentifier(1),
        Property::SubscriptionIdentifier(268_435_455),
        Property::ContentType(""),
    ]);
    let publish = Publish {
        dup: true,
        qos: Qos::ExactlyOnce,
        retain: true,
        topic: "",
        packet_id: Some(id(0x1234)),
        properties: list.as_properties(),
        payload: b"",
    };
    let bytes = b"\x3D\x27\x00\x00\x12\x34\x22\x01\x00\x02\xFF\xFF\xFF\xFF\x23\x00\x07\
        \x08\x00\x01r\x09\x00\x00\x26\x00\x01k\x00\x01v\x0B\x01\x0B\xFF\xFF\xFF\x7F\x03\x00\x00";
    both_ways(V5, bytes, &Packet::Publish(publish));
}

#[test]
fn mqtt5_1_5_4_3_a_byte_order_mark_is_part_of_the_string() {
    let publish = Publish {
        topic: "\u{FEFF}a",
        ..Publish::default()
    };
    both_ways(
        V5,
        b"\x30\x07\x00\x04\xEF\xBB\xBFa\x00",
        &Packet::Publish(publish),
    );
}

#[test]
fn mqtt5_3_4_to_3_7_acks_in_their_shortest_form() {
    type Kind = fn(Ack<'static>) -> Packet<'static>;
    let kinds = [
        (
            0x40,
            Packet::Puback as Kind,
            ReasonCode::NoMatchingSubscribers,
        ),
        (0x50, Packet::Pubrec as Kind, ReasonCode::QuotaExceeded),
        (
            0x62,
            Packet::Pubrel as Kind,
            ReasonCode::PacketIdentifierNotFound,
        ),
        (
            0x70,
            Packet::Pubcomp as Kind,
            ReasonCode::PacketIdentifierNotFound,
        ),
    ];
    for (first, packet, reason) in kinds {
        let success = Ack::success(id(0x0102));
        both_ways(V5, &[first, 2, 1, 2], &packet(success));
        decodes_as(V5, &[first, 3, 1, 2, 0], &packet(success));
        decodes_as(V5, &[first, 4, 1, 2, 0, 0], &packet(success));
        let failure = Ack { reason, ..success };
        both_ways(V5, &[first, 3, 1, 2, reason as u8], &packet(failure));
        decodes_as(V5, &[first, 4, 1, 2, reason as u8, 0], &packet(failure));
    }
}

#[test]
fn mqtt5_3_4_2_2_ack_with_properties() {
    let list = properties(&[
        Property::ReasonString("no"),
        Property::UserProperty("k", "v"),
    ]);
    let ack = Ack {
        properties: list.as_properties(),
        ..Ack::success(id(1))
    };
    let bytes = b"\x40\x10\x00\x01\x00\x0C\x1F\x00\x02no\x26\x00\x01k\x00\x01v";
    both_ways(V5, bytes, &Packet::Puback(ack));
}

#[test]
fn mqtt5_3_8_subscribe() {
    let list = filters(&[
        ("a/+", SubscriptionOptions::default()),
        (
            "#",
            SubscriptionOptions {
                qos: Qos::ExactlyOnce,
                no_local: true,
                retain_as_published: true,
                retain_handling: RetainHandling::DoNotSend,
            },
        ),
        (
            "$share/g/t",
            SubscriptionOptions {
                qos: Qos::AtLeastOnce,
                retain_handling: RetainHandling::SendIfNew,
                ..SubscriptionOptions::default()
            },
        ),
    ]);
    let identifier = properties(&[Property::SubscriptionIdentifier(128)]);
    let subscribe = Subscribe {
        packet_id: id(10),
        properties: identifier.as_properties(),
        filters: list.as_filters(),
    };
    let bytes =
        b"\x82\x1D\x00\x0A\x03\x0B\x80\x01\x00\x03a/+\x00\x00\x01#\x2E\x00\x0A$share/g/t\x11";
    both_ways(V5, bytes, &Packet::Subscribe(subscribe));
    assert_eq!(
        subscribe.filters.iter().map(|(filter, _)| filter).last(),
        Some("$share/g/t")
    );
}

#[test]
fn mqtt5_3_9_suback() {
    let list = reasons(&[
        ReasonCode::Success,
        ReasonCode::GrantedQos2,
        ReasonCode::NotAuthorized,
    ]);
    let suback = Suback {
        packet_id: id(10),
        properties: Properties::EMPTY,
        reasons: list.as_reason_codes(),
    };
    both_ways(
        V5,
        b"\x90\x06\x00\x0A\x00\x00\x02\x87",
        &Packet::Suback(suback),
    );
}

#[test]
fn mqtt5_3_10_unsubscribe() {
    let list = names(&["a", "b/#"]);
    let user = properties(&[Property::UserProperty("k", "v")]);
    let unsubscribe = Unsubscribe {
        packet_id: id(11),
        properties: user.as_properties(),
        filters: list.as_filters(),
    };
    let bytes = b"\xA2\x12\x00\x0B\x07\x26\x00\x01k\x00\x01v\x00\x01a\x00\x03b/#";
    both_ways(V5, bytes, &Packet::Unsubscribe(unsubscribe));
}

#[test]
fn mqtt5_3_11_unsuback() {
    let list = reasons(&[ReasonCode::Success, ReasonCode::NoSubscriptionExisted]);
    let why = properties(&[Property::ReasonString("r")]);
    let unsuback = Suback {
        packet_id: id(11),
        properties: why.as_properties(),
        reasons: list.as_reason_codes(),
    };
    both_ways(
        V5,
        b"\xB0\x09\x00\x0B\x04\x1F\x00\x01r\x00\x11",
        &Packet::Unsuback(unsuback),
    );
}

#[test]
fn mqtt5_3_12_and_3_13_pings() {
    both_ways(V5, b"\xC0\x00", &Packet::Pingreq);
    both_ways(V5, b"\xD0\x00", &Packet::Pingresp);
}

#[test]
fn mqtt5_3_14_disconnect() {
    let normal = Disconnect::default();
    both_ways(V5, b"\xE0\x00", &Packet::Disconnect(normal));
    decodes_as(V5, b"\xE0\x01\x00", &Packet::Disconnect(normal));
    decodes_as(V5, b"\xE0\x02\x00\x00", &Packet::Disconnect(normal));
    let taken_over = Disconnect {
        reason: ReasonCode::SessionTakenOver,
        ..normal
    };
    both_ways(V5, b"\xE0\x01\x8E", &Packet::Disconnect(taken_over));
    let expiry = properties(&[Property::SessionExpiryInterval(9)]);
    let with_will = Disconnect {
        reason: ReasonCode::DisconnectWithWillMessage,
        properties: expiry.as_properties(),
    };
    both_ways(
        V5,
        b"\xE0\x07\x04\x05\x11\x00\x00\x00\x09",
        &Packet::Disconnect(with_will),
    );
    let moved = properties(&[Property::ReasonString("r"), Property::ServerReference("s")]);
    let moved = Disconnect {
        reason: ReasonCode::ServerMoved,
        properties: moved.as_properties(),
    };
    both_ways(
        V5,
        b"\xE0\x0A\x9D\x08\x1F\x00\x01r\x1C\x00\x01s",
        &Packet::Disconnect(moved),
    );
}

#[test]
fn mqtt5_3_15_auth() {
    both_ways(V5, b"\xF0\x00", &Packet::Auth(Auth::default()));
    let method = properties(&[Property::AuthenticationMethod("m")]);
    let auth = Auth {
        reason: ReasonCode::ContinueAuthentication,
        properties: method.as_properties(),
    };
    both_ways(V5, b"\xF0\x06\x18\x04\x15\x00\x01m", &Packet::Auth(auth));
    let success = Auth {
        reason: ReasonCode::Success,
        ..auth
    };
    both_ways(V5, b"\xF0\x06\x00\x04\x15\x00\x01m", &Packet::Auth(success));
}
