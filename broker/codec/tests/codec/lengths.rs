//! Lengths: where an encoding grows by a byte, what is too long, and what is refused early.

use core::num::{NonZeroU16, NonZeroU32};

use dunlin_codec::{
    Ack, AckKind, Connect, DecodeError, Decoded, EncodeError, MAX_PACKET_SIZE, Packet,
    PropertiesBuf, Property, Publish, PublishParts, Qos, ReasonCode, ReasonCodesBuf,
    SubscribeFiltersBuf, SubscriptionOptions, UnsubscribeFiltersBuf, Version, decode,
    decode_publish, decode_short_ack, encode, encode_ack, encoded_len,
};

use crate::table::{both_ways, encoded, id, properties};

#[test]
fn mqtt5_1_5_5_remaining_length_grows_at_each_power_of_128() {
    let rows: [(usize, &[u8]); 6] = [
        (127, b"\x7F"),
        (128, b"\x80\x01"),
        (16_383, b"\xFF\x7F"),
        (16_384, b"\x80\x80\x01"),
        (2_097_151, b"\xFF\xFF\x7F"),
        (2_097_152, b"\x80\x80\x80\x01"),
    ];
    for (remaining, length) in rows {
        let payload = vec![7; remaining - 3];
        let publish = Publish {
            topic: "t",
            payload: &payload,
            ..Publish::default()
        };
        let bytes = encoded(Version::Mqtt311, &Packet::Publish(publish));
        assert_eq!(&bytes[1..=length.len()], length);
        let length = bytes.len();
        let whole = Decoded::Packet {
            packet: Packet::Publish(publish),
            length,
        };
        assert_eq!(decode(&bytes, Version::Mqtt311, length as u32), Ok(whole));
    }
}

#[test]
fn mqtt5_3_1_2_24_too_large_is_known_from_the_fixed_header() {
    for version in [Version::Mqtt31, Version::Mqtt311, Version::Mqtt5] {
        let header = b"\x30\xFF\xFF\xFF\x7F";
        let error: DecodeError = decode(header, version, 1024).expect_err("too large");
        assert_eq!(error.reason, ReasonCode::PacketTooLarge);
        let incomplete = Decoded::Incomplete {
            needed: Some(MAX_PACKET_SIZE),
        };
        assert_eq!(
            decode(header, version, MAX_PACKET_SIZE as u32),
            Ok(incomplete)
        );
        assert_eq!(decode(b"\xC0\x00", version, 2).map(|_| ()), Ok(()));
        assert_eq!(
            decode(b"\xC0\x00", version, 1).map_err(|e| e.reason),
            Err(error.reason)
        );
    }
}

#[test]
fn mqtt5_3_2_2_15_a_connect_that_is_too_large_is_refused_in_its_version() {
    let connect = b"\x10\xFF\xFF\xFF\x7F\x00\x04MQTT\x05\x02\x00\x00";
    for come in 5..14 {
        let incomplete = Decoded::Incomplete { needed: None };
        let decoded = decode(&connect[..come], Version::Mqtt5, 1024);
        assert_eq!(decoded, Ok(incomplete), "{come} bytes");
    }
    let error = decode(connect, Version::Mqtt311, 1024).expect_err("too large");
    assert_eq!(error.reason, ReasonCode::PacketTooLarge);
    assert_eq!(error.connect_version, Some(Version::Mqtt5));
    // Too short to be one, and still too large.
    let short = decode(b"\x10\x03\x00\x04M", Version::Mqtt5, 4).expect_err("no CONNECT");
    assert_eq!(short.reason, ReasonCode::MalformedPacket);
}

#[test]
fn a_publish_on_the_known_topic_has_that_very_text() {
    let known = String::from("t");
    let decoded = decode_publish(b"\x30\x04\x00\x01tm", Version::Mqtt311, 6, &known);
    let (publish, length) = decoded.expect("conforms").expect("complete");
    assert_eq!((publish.payload, length), (&b"m"[..], 6));
    assert_eq!(publish.topic.as_ptr(), known.as_ptr());
    let larger = decode_publish(b"\x30\x04\x00\x01tm", Version::Mqtt311, 5, &known);
    assert_eq!(larger, Ok(None), "decode says why");
}

#[test]
fn lists_give_back_what_was_pushed() {
    let longest = "x".repeat(65_535);
    let too_long = "x".repeat(65_536);
    let (mut names, mut filters) = (UnsubscribeFiltersBuf::new(), SubscribeFiltersBuf::new());
    let options = SubscriptionOptions::default();
    for text in ["a", &longest] {
        assert_eq!(names.push(text), Ok(()));
        assert_eq!(filters.push(text, options), Ok(()));
    }
    let refused = Err(EncodeError::FieldOutOfRange);
    assert_eq!(names.push(&too_long), refused);
    assert_eq!(filters.push(&too_long, options), refused);
    assert!(names.as_filters().iter().eq(["a", &longest]));
    let pushed = filters.as_filters().iter().map(|(filter, _)| filter);
    assert!(pushed.eq(["a", &longest]));
    assert!(format!("{:?}", filters.as_filters()).starts_with("[(\"a\", SubscriptionOptions"));
    assert!(format!("{:?}", names.as_filters()).starts_with("[\"a\", \"xx"));

    let mut reasons = ReasonCodesBuf::new();
    assert!(reasons.as_reason_codes().is_empty());
    for reason in [ReasonCode::Success, ReasonCode::NotAuthorized] {
        reasons.push(reason);
    }
    let reasons = reasons.as_reason_codes();
    assert_eq!((reasons.len(), reasons.is_empty()), (2, false));
    assert!(
        reasons
            .iter()
            .eq([ReasonCode::Success, ReasonCode::NotAuthorized])
    );
    assert_eq!(format!("{reasons:?}"), "[Success, NotAuthorized]");
}

#[test]
fn errors_say_what_is_wrong_and_with_which_code() {
    let refused = decode(b"\xC0\x00", Version::Mqtt5, 1).expect_err("too large");
    assert!(refused.to_string().ends_with(" (0x95)"), "{refused}");
    assert!(
        EncodeError::Empty
            .to_string()
            .contains("names no subscription")
    );
}

#[test]
fn incomplete_headers_need_an_unknown_length() {
    for bytes in [&b""[..], b"\x30", b"\x30\x80", b"\x30\x80\x80\x80"] {
        let decoded = decode(bytes, Version::Mqtt5, 1024);
        assert_eq!(decoded, Ok(Decoded::Incomplete { needed: None }));
    }
}

#[test]
fn mqtt5_1_5_4_strings_reach_65535_bytes_and_no_more() {
    let longest = "x".repeat(65_535);
    let connect = Connect {
        client_id: &longest,
        ..Connect::default()
    };
    let bytes = encoded(Version::Mqtt311, &Packet::Connect(connect));
    both_ways(Version::Mqtt311, &bytes[..], &Packet::Connect(connect));

    let too_long = "x".repeat(65_536);
    let refused = Err(EncodeError::FieldOutOfRange);
    let mut out = Vec::new();
    let connect = Packet::Connect(Connect {
        client_id: &too_long,
        ..Connect::default()
    });
    assert_eq!(encode(&connect, Version::Mqtt311, &mut out), refused);
    let publish = Packet::Publish(Publish {
        topic: &too_long,
        ..Publish::default()
    });
    assert_eq!(encode(&publish, Version::Mqtt311, &mut out), refused);
    assert!(out.is_empty());

    let mut properties = PropertiesBuf::new();
    assert_eq!(properties.push(Property::ReasonString(&too_long)), refused);
    assert_eq!(
        properties.push(Property::UserProperty("k", &too_long)),
        refused
    );
    assert_eq!(
        properties.push(Property::UserProperty(&too_long, "v")),
        refused
    );
    assert_eq!(
        properties.push(Property::SubscriptionIdentifier(0)),
        refused
    );
    assert_eq!(
        properties.push(Property::SubscriptionIdentifier(268_435_456)),
        refused
    );
    assert_eq!(
        properties.push(Property::MaximumQos(Qos::ExactlyOnce)),
        refused
    );
    assert!(properties.as_properties().is_empty());
    let options = SubscriptionOptions::default();
    assert_eq!(SubscribeFiltersBuf::new().push(&too_long, options), refused);
    assert_eq!(UnsubscribeFiltersBuf::new().push(&too_long), refused);
}

#[test]
fn mqtt5_2_2_1_2_packet_id_and_dup_must_fit_the_qos() {
    let wrong = [
        Publish {
            qos: Qos::AtLeastOnce,
            ..Publish::default()
        },
        Publish {
            packet_id: Some(id(1)),
            ..Publish::default()
        },
        Publish {
            dup: true,
            ..Publish::default()
        },
    ];
    for publish in wrong {
        let mut out = Vec::new();
        let result = encode(&Packet::Publish(publish), Version::Mqtt5, &mut out);
        assert_eq!(result, Err(EncodeError::PacketIdMismatch));
        assert!(out.is_empty());
    }
}

#[test]
fn a_publish_of_parts_is_the_publish_with_all_properties() {
    let received = properties(&[
        Property::UserProperty("k", "1"),
        Property::TopicAlias(NonZeroU16::MAX),
        Property::MessageExpiryInterval(60),
        Property::ContentType("c"),
        Property::SubscriptionIdentifier(3),
        Property::UserProperty("k", "2"),
    ]);
    let summary = received.as_properties().publish_summary();
    assert_eq!(summary.topic_alias, Some(NonZeroU16::MAX));
    assert_eq!(summary.message_expiry_interval, Some(60));
    assert!(!summary.all_forwardable);

    let mut forwarded = Vec::new();
    received.as_properties().copy_forwarded(&mut forwarded);
    let parts = PublishParts {
        qos: Qos::AtLeastOnce,
        topic: b"t",
        packet_id: Some(id(9)),
        forwarded: &forwarded,
        message_expiry_interval: Some(59),
        topic_alias: Some(NonZeroU16::MIN),
        subscription_identifiers: &[1, 200].map(|id| NonZeroU32::new(id).unwrap()),
        payload: b"p",
        ..PublishParts::default()
    };
    let sent = properties(&[
        Property::MessageExpiryInterval(59),
        Property::TopicAlias(NonZeroU16::MIN),
        Property::SubscriptionIdentifier(1),
        Property::SubscriptionIdentifier(200),
        Property::UserProperty("k", "1"),
        Property::ContentType("c"),
        Property::UserProperty("k", "2"),
    ]);
    let publish = Publish {
        qos: Qos::AtLeastOnce,
        topic: "t",
        packet_id: Some(id(9)),
        properties: sent.as_properties(),
        payload: b"p",
        ..Publish::default()
    };
    for version in [Version::Mqtt311, Version::Mqtt5] {
        let mut out = Vec::new();
        parts.encode(version, &mut out).expect("valid parts");
        assert_eq!(out, encoded(version, &Packet::Publish(publish)));
        assert_eq!(out.len(), parts.encoded_len(version));
        let mut head = Vec::new();
        parts.encode_head(version, &mut head).expect("valid parts");
        assert_eq!([&head[..], parts.payload].concat(), out);
    }
}

#[test]
fn what_passes_through_unaltered_needs_no_copy() {
    let list = properties(&[
        Property::PayloadFormatIndicator(true),
        Property::ResponseTopic("r"),
        Property::CorrelationData(b"d"),
        Property::UserProperty("k", "v"),
    ]);
    let summary = list.as_properties().publish_summary();
    assert!(summary.all_forwardable && summary.topic_alias.is_none());
    let mut copied = Vec::new();
    list.as_properties().copy_forwarded(&mut copied);
    assert_eq!(copied, list.as_properties().as_bytes());
}

#[test]
fn acks_are_written_in_four_bytes_or_five() {
    let (success, quota) = (ReasonCode::Success, ReasonCode::QuotaExceeded);
    let rows: [(AckKind, ReasonCode, Version, &[u8]); 6] = [
        (
            AckKind::Puback,
            success,
            Version::Mqtt5,
            b"\x40\x02\x01\x02",
        ),
        (
            AckKind::Pubrec,
            success,
            Version::Mqtt311,
            b"\x50\x02\x01\x02",
        ),
        (
            AckKind::Pubrel,
            success,
            Version::Mqtt5,
            b"\x62\x02\x01\x02",
        ),
        (
            AckKind::Pubcomp,
            success,
            Version::Mqtt5,
            b"\x70\x02\x01\x02",
        ),
        (
            AckKind::Puback,
            quota,
            Version::Mqtt5,
            b"\x40\x03\x01\x02\x97",
        ),
        (
            AckKind::Puback,
            quota,
            Version::Mqtt311,
            b"\x40\x02\x01\x02",
        ),
    ];
    for (kind, reason, version, bytes) in rows {
        let mut out = Vec::new();
        encode_ack(kind, id(0x0102), reason, version, &mut out);
        assert_eq!(out, bytes);
    }
}

#[test]
fn a_short_ack_is_what_decode_finds() {
    for (first_byte, length) in (0..=255).flat_map(|byte| [0, 2, 3].map(|length| (byte, length))) {
        for id in [0, 0x0102_u16] {
            let [high, low] = id.to_be_bytes();
            let bytes = [first_byte, length, high, low, 0];
            let decoded = match decode(&bytes, Version::Mqtt5, 100) {
                Ok(Decoded::Packet { packet, length: 4 }) => match packet {
                    Packet::Puback(ack) => Some((AckKind::Puback, ack)),
                    Packet::Pubrec(ack) => Some((AckKind::Pubrec, ack)),
                    Packet::Pubrel(ack) => Some((AckKind::Pubrel, ack)),
                    Packet::Pubcomp(ack) => Some((AckKind::Pubcomp, ack)),
                    _ => None,
                },
                _ => None,
            };
            let short = decode_short_ack(&bytes).map(|(kind, id)| (kind, Ack::success(id)));
            assert_eq!(short, decoded, "{bytes:x?}");
            assert_eq!(decode_short_ack(&bytes[..3]), None);
        }
    }
}

#[test]
fn encoding_appends() {
    let mut out = b"before".to_vec();
    encode(&Packet::Pingreq, Version::Mqtt5, &mut out).expect("a ping");
    assert_eq!(out, b"before\xC0\x00");
    assert_eq!(encoded_len(&Packet::Pingreq, Version::Mqtt5), 2);
}
