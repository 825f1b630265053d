//! SUBSCRIBE and UNSUBSCRIBE: 3.8 to 3.11 and 4.7 of both standards.

use dunlin_codec::{
    Connect, Packet, Properties, Property, Qos, ReasonCode, Subscribe, SubscribeFiltersBuf,
    SubscriptionOptions, Version,
};

use crate::support::{BOTH, Broker, Client, fresh, id, properties};

fn options(qos: Qos) -> SubscriptionOptions {
    SubscriptionOptions {
        qos,
        ..SubscriptionOptions::default()
    }
}

// proves: MQTT311 [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-4] [MQTT-3.8.4-5] [MQTT-3.9.3-1]
// proves: MQTT311 [MQTT-3.9.3-2] [MQTT-2.3.1-7]
// proves: MQTT5 [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.8.4-7]
// proves: MQTT5 [MQTT-3.9.3-1] [MQTT-3.9.3-2] [MQTT-2.2.1-6]
#[test]
fn mqtt_3_8_4_every_filter_has_its_answer_in_order() {
    let broker = Broker::start("access.acl_file = \"acl\"\nlimits.topic_levels = 4", "");
    for version in BOTH {
        let mut client = Client::clean(&broker, version, &fresh("client"));
        let reasons = client.subscribe_all(
            &[
                ("allowed/2", options(Qos::ExactlyOnce)),
                ("1/2/3/4/5", options(Qos::AtLeastOnce)),
                ("allowed/0", options(Qos::AtMostOnce)),
                ("allowed/1", options(Qos::AtLeastOnce)),
            ],
            Properties::EMPTY,
        );
        let too_deep = match version.has_reason_codes() {
            true => ReasonCode::TopicFilterInvalid,
            false => ReasonCode::UnspecifiedError,
        };
        let expected = [
            ReasonCode::GrantedQos2,
            too_deep,
            ReasonCode::Success,
            ReasonCode::GrantedQos1,
        ];
        assert_eq!(reasons, expected);
        // What was granted is there, as if every filter had come in a packet of its own.
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        for (topic, qos) in [
            ("allowed/0", Qos::AtMostOnce),
            ("allowed/1", Qos::AtLeastOnce),
            ("allowed/2", Qos::ExactlyOnce),
        ] {
            publisher.publish(topic, b"p", Qos::ExactlyOnce);
            assert_eq!(client.expect_message(topic, b"p").publish().qos, qos);
        }
    }
}

// proves: MQTT5 [MQTT-3.1.2-24]
#[test]
fn mqtt5_3_1_2_24_a_subscribe_whose_answer_does_not_fit_the_client_does_nothing() {
    let broker = Broker::shared();
    let (name, topic) = (fresh("client"), fresh("topic"));
    let small = std::num::NonZeroU32::new(60).expect("not zero");
    let list = [
        Property::MaximumPacketSize(small),
        Property::SessionExpiryInterval(60),
    ];
    let connect = |list: &[Property<'_>]| {
        Client::accepted(
            &broker,
            &Connect {
                version: Version::Mqtt5,
                client_id: &name,
                properties: properties(list).as_properties(),
                ..Connect::default()
            },
        )
    };
    let mut client = connect(&list);
    let mut filters = SubscribeFiltersBuf::new();
    for _ in 0..100 {
        let pushed = filters.push(&topic, options(Qos::AtLeastOnce));
        pushed.expect("it has an encoding");
    }
    client.send(&Packet::Subscribe(Subscribe {
        packet_id: id(1),
        properties: Properties::EMPTY,
        filters: filters.as_filters(),
    }));
    client.expect_end(ReasonCode::PacketTooLarge);
    let mut client = connect(&list[1..]);
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    publisher.publish(&topic, b"x", Qos::AtLeastOnce);
    client.ping();
}

// proves: MQTT311 [MQTT-3.8.1-1] [MQTT-3.10.1-1] [MQTT-3.6.1-1] [MQTT-3.14.1-1]
// proves: MQTT311 [MQTT-2.2.2-1] [MQTT-2.2.2-2]
// proves: MQTT5 [MQTT-3.8.1-1] [MQTT-3.10.1-1] [MQTT-3.6.1-1] [MQTT-3.14.1-1] [MQTT-3.15.1-1]
// proves: MQTT5 [MQTT-2.1.3-1]
#[test]
fn mqtt_2_1_3_reserved_flags_of_the_fixed_header_end_the_connection() {
    let broker = Broker::shared();
    for version in BOTH {
        let v5 = version.has_properties();
        let packets: [(u8, &[u8]); 9] = [
            (0x40, b"\x02\x00\x01"),
            (0x50, b"\x02\x00\x01"),
            (0x62, b"\x02\x00\x01"),
            (0x70, b"\x02\x00\x01"),
            (
                0x82,
                if v5 {
                    b"\x07\x00\x01\x00\x00\x01a\x00"
                } else {
                    b"\x06\x00\x01\x00\x01a\x00"
                },
            ),
            (
                0xA2,
                if v5 {
                    b"\x06\x00\x01\x00\x00\x01a"
                } else {
                    b"\x05\x00\x01\x00\x01a"
                },
            ),
            (0xC0, b"\x00"),
            (0xE0, b"\x00"),
            (0xF0, b"\x00"),
        ];
        for (first, rest) in packets {
            for flag in [1, 2, 4, 8] {
                let mut client = Client::clean(&broker, version, &fresh("client"));
                client.send_bytes(&[&[first ^ flag], rest].concat());
                client.expect_end(ReasonCode::MalformedPacket);
            }
        }
    }
}

// proves: MQTT311 [MQTT-3.8.3-1] [MQTT-3.8.3-3] [MQTT-3.8.3-4] [MQTT-3.10.3-1] [MQTT-3.10.3-2]
// proves: MQTT311 [MQTT-4.8.0-1]
// proves: MQTT5 [MQTT-3.8.3-1] [MQTT-3.8.3-2] [MQTT-3.8.3-4] [MQTT-3.8.3-5] [MQTT-3.10.3-1]
// proves: MQTT5 [MQTT-3.10.3-2] [MQTT-4.13.1-1]
#[test]
fn mqtt_3_8_3_a_bad_payload_ends_the_connection() {
    let broker = Broker::shared();
    let (malformed, protocol) = (ReasonCode::MalformedPacket, ReasonCode::ProtocolError);
    let v311: [(&[u8], ReasonCode); 7] = [
        (b"\x82\x06\x00\x01\x00\x01\xFF\x00", malformed),
        (b"\x82\x02\x00\x01", protocol),
        (b"\x82\x06\x00\x01\x00\x01a\x03", malformed),
        (b"\x82\x06\x00\x01\x00\x01a\x04", malformed),
        (b"\x82\x06\x00\x01\x00\x01a\x80", malformed),
        (b"\xA2\x05\x00\x01\x00\x01\xFF", malformed),
        (b"\xA2\x02\x00\x01", protocol),
    ];
    let v5: [(&[u8], ReasonCode); 9] = [
        (b"\x82\x07\x00\x01\x00\x00\x01\xFF\x00", malformed),
        (b"\x82\x03\x00\x01\x00", protocol),
        (b"\x82\x07\x00\x01\x00\x00\x01a\x03", protocol), // QoS 3
        (b"\x82\x07\x00\x01\x00\x00\x01a\x30", protocol), // Retain Handling 3
        (b"\x82\x07\x00\x01\x00\x00\x01a\x40", malformed),
        (b"\x82\x07\x00\x01\x00\x00\x01a\x80", malformed),
        (b"\x82\x10\x00\x01\x00\x00\x0A$share/g/t\x04", protocol), // No Local
        (b"\xA2\x06\x00\x01\x00\x00\x01\xFF", malformed),
        (b"\xA2\x03\x00\x01\x00", protocol),
    ];
    for (version, packets) in [(Version::Mqtt311, &v311[..]), (Version::Mqtt5, &v5)] {
        for (bytes, reason) in packets {
            let mut client = Client::clean(&broker, version, &fresh("client"));
            client.send_bytes(bytes);
            client.expect_end(*reason);
        }
    }
}

// proves: MQTT311 [MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-4.7.3-1] [MQTT-4.7.3-2]
// proves: MQTT5 [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1] [MQTT-4.8.2-1] [MQTT-4.8.2-2]
#[test]
fn mqtt_4_7_1_a_bad_filter_ends_the_connection() {
    let broker = Broker::shared();
    let filters = [
        "",
        "#/",
        "a/#/b",
        "a#",
        "a/#b",
        "+a",
        "a+",
        "a/+b/c",
        "\0",
        "$share/",
        "$share/g",
        "$share/g/",
        "$share//a",
        "$share/+/a",
        "$share/g#/a",
        "$share/g/a#",
    ];
    for version in BOTH {
        for filter in filters {
            let properties: &[u8] = if version.has_properties() { b"\0" } else { b"" };
            let filter = [&[0, filter.len() as u8], filter.as_bytes()].concat();
            for (first, options) in [(0x82, &b"\0"[..]), (0xA2, b"")] {
                let body = [b"\x00\x01", properties, &filter, options].concat();
                let mut client = Client::clean(&broker, version, &fresh("client"));
                client.send_bytes(&[first, body.len() as u8]);
                client.send_bytes(&body);
                client.expect_end(ReasonCode::MalformedPacket);
            }
        }
    }
}

// proves: MQTT311 [MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-3.3.2-3]
// proves: MQTT5 [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-3.3.2-3]
#[test]
fn mqtt_4_7_1_wildcards_match_what_the_standard_says() {
    let broker = Broker::shared();
    for version in BOTH {
        let root = fresh("root");
        let topics = ["", "/", "/a", "/a/b", "/a/b/c", "/b", "//b"].map(|t| format!("{root}{t}"));
        let cases: [(&str, &[usize]); 8] = [
            ("/#", &[0, 1, 2, 3, 4, 5, 6]),
            ("/+", &[1, 2, 5]),
            ("/+/b", &[3, 6]),
            ("/a/#", &[2, 3, 4]),
            ("/+/+", &[3, 6]),
            ("/+/+/#", &[3, 4, 6]),
            ("/a/+/c", &[4]),
            ("/a/b/c/#", &[4]),
        ];
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        let end = fresh("end");
        for (filter, matched) in cases {
            let mut client = Client::clean(&broker, version, &fresh("client"));
            client.subscribe(&format!("{root}{filter}"), Qos::AtMostOnce);
            client.subscribe(&end, Qos::AtMostOnce);
            for topic in &topics {
                publisher.publish(topic, b"", Qos::AtMostOnce);
            }
            publisher.publish(&end, b"", Qos::AtMostOnce);
            for at in matched {
                client.expect_message(&topics[*at], b"");
            }
            client.expect_message(&end, b"");
        }
    }
}

// proves: MQTT311 [MQTT-4.7.2-1] MQTT5 [MQTT-4.7.2-1]
#[test]
fn mqtt_4_7_2_1_leading_wildcards_do_not_match_system_topics() {
    let broker = Broker::shared();
    for version in BOTH {
        let mut client = Client::clean(&broker, version, &fresh("client"));
        client.subscribe("$SYS/broker/version", Qos::AtMostOnce);
        let frame = client.receive();
        assert_eq!(frame.publish().topic, "$SYS/broker/version");
        // The same message is retained, and not for these.
        let mut client = Client::clean(&broker, version, &fresh("client"));
        for filter in ["+/broker/version", "+/broker/#", "+/+/version"] {
            client.subscribe(filter, Qos::AtMostOnce);
            client.ping();
        }
        client.subscribe("$SYS/+/version", Qos::AtMostOnce);
        assert_eq!(client.receive().publish().topic, "$SYS/broker/version");
    }
}

#[test]
fn mqtt_4_7_2_clients_do_not_publish_system_topics() {
    let broker = Broker::shared();
    for version in BOTH {
        let mut reader = Client::clean(&broker, version, &fresh("client"));
        reader.subscribe("$SYS/broker/mine", Qos::AtLeastOnce);
        let end = fresh("end");
        reader.subscribe(&end, Qos::AtLeastOnce);
        let mut client = Client::clean(&broker, version, &fresh("client"));
        client.publish("$SYS/broker/mine", b"", Qos::AtLeastOnce);
        client.publish(&end, b"", Qos::AtLeastOnce);
        reader.expect_message(&end, b"");
    }
}

// proves: MQTT311 [MQTT-3.8.4-3] MQTT5 [MQTT-3.8.4-3]
#[test]
fn mqtt_3_8_4_3_a_second_subscription_to_a_filter_replaces_the_first() {
    let broker = Broker::shared();
    for version in BOTH {
        let topic = fresh("topic");
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        publisher.publish_retained(&topic, b"kept", Qos::ExactlyOnce);
        let mut client = Client::clean(&broker, version, &fresh("client"));
        for qos in [Qos::ExactlyOnce, Qos::AtMostOnce, Qos::AtLeastOnce] {
            client.subscribe(&topic, qos);
            // Retained messages come again.
            assert_eq!(client.expect_message(&topic, b"kept").publish().qos, qos);
            publisher.publish(&topic, b"live", Qos::ExactlyOnce);
            assert_eq!(client.expect_message(&topic, b"live").publish().qos, qos);
            client.ping();
        }
        client.unsubscribe(&[&topic]);
        publisher.publish(&topic, b"to nobody", Qos::ExactlyOnce);
        client.ping();
        publisher.publish_retained(&topic, b"", Qos::AtMostOnce);
    }
}

// proves: MQTT311 [MQTT-3.8.4-3] MQTT5 [MQTT-3.8.4-4]
#[test]
fn mqtt_3_8_4_4_no_message_is_lost_while_a_subscription_is_replaced() {
    let broker = Broker::shared();
    for version in BOTH {
        let topic = fresh("topic");
        let mut client = Client::clean(&broker, version, &fresh("client"));
        client.subscribe(&topic, Qos::AtLeastOnce);
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        let publishing = std::thread::spawn({
            let topic = topic.clone();
            move || {
                (0..100).for_each(|number| publisher.publish(&topic, &[number], Qos::AtLeastOnce))
            }
        });
        let mut received = Vec::new();
        let again: &[u8] = match version.has_properties() {
            true => b"\x00\x09\x00",
            false => b"\x00\x09",
        };
        let filter = [&[0, topic.len() as u8], topic.as_bytes(), b"\x01"].concat();
        let again = [again, &filter].concat();
        while received.len() < 100 {
            // Nobody waits for the SUBACKs: they come between the messages.
            client.send_bytes(&[0x82, again.len() as u8]);
            client.send_bytes(&again);
            let frame = client.receive();
            if let Packet::Publish(publish) = frame.packet() {
                received.push(publish.payload[0]);
                client.puback(publish.packet_id.expect("an id"));
            }
        }
        assert!(received.into_iter().eq(0..100));
        publishing.join().expect("the publisher");
    }
}

// proves: MQTT311 [MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6]
// proves: MQTT5 [MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6]
// proves: MQTT5 [MQTT-3.11.3-1] [MQTT-3.11.3-2]
#[test]
fn mqtt_3_10_4_unsubscribe_removes_the_filters_that_are_equal() {
    let broker = Broker::shared();
    for version in BOTH {
        let topic = fresh("topic");
        let mut client = Client::clean(&broker, version, &fresh("client"));
        let (wild, exact) = (format!("{topic}/+"), format!("{topic}/a"));
        client.subscribe(&wild, Qos::AtLeastOnce);
        client.subscribe(&exact, Qos::AtLeastOnce);
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        let (gone, none) = (ReasonCode::Success, ReasonCode::NoSubscriptionExisted);
        let expected = |reasons: &[ReasonCode]| match version.has_reason_codes() {
            true => reasons.to_vec(),
            false => Vec::new(),
        };
        // No filter that matches the same is meant.
        let reasons = client.unsubscribe(&[&format!("{topic}/#"), &format!("{topic}/b")]);
        assert_eq!(reasons, expected(&[none, none]));
        publisher.publish(&exact, b"1", Qos::AtLeastOnce);
        client.expect_message(&exact, b"1");

        let reasons = client.unsubscribe(&["other", &exact, "other"]);
        assert_eq!(reasons, expected(&[none, gone, none]));
        publisher.publish(&exact, b"2", Qos::AtLeastOnce);
        client.expect_message(&exact, b"2");

        assert_eq!(client.unsubscribe(&[&wild, &wild]), expected(&[gone, none]));
        publisher.publish(&exact, b"3", Qos::AtLeastOnce);
        client.ping();
    }
}

// proves: MQTT311 [MQTT-3.10.4-3] MQTT5 [MQTT-3.10.4-3]
#[test]
fn mqtt_3_10_4_3_what_was_sent_before_unsubscribe_is_completed() {
    let broker = Broker::shared();
    for version in BOTH {
        let (name, topic) = (fresh("client"), fresh("topic"));
        let (mut client, _) = Client::resuming(&broker, version, &name);
        client.subscribe(&topic, Qos::ExactlyOnce);
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        publisher.publish(&topic, b"begun", Qos::ExactlyOnce);
        let begun = client.receive().publish().packet_id.expect("an id");
        client.unsubscribe(&[&topic]);
        client.lose();
        let (mut client, _) = Client::resuming(&broker, version, &name);
        let again = client.expect_message(&topic, b"begun");
        assert_eq!(again.publish().packet_id, Some(begun));
        client.ping();
    }
}

// proves: MQTT311 [MQTT-3.3.5-1] MQTT5 [MQTT-3.3.4-2]
#[test]
fn mqtt_3_3_4_2_overlapping_subscriptions_deliver_with_the_highest_qos() {
    let broker = Broker::shared();
    for version in BOTH {
        let topic = fresh("topic");
        let mut client = Client::clean(&broker, version, &fresh("client"));
        for (filter, qos) in [
            (format!("{topic}/#"), Qos::AtMostOnce),
            (format!("{topic}/+"), Qos::ExactlyOnce),
            (format!("{topic}/a"), Qos::AtLeastOnce),
        ] {
            client.subscribe(&filter, qos);
        }
        let topic = format!("{topic}/a");
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        publisher.publish(&topic, b"once", Qos::ExactlyOnce);
        let frame = client.expect_message(&topic, b"once");
        assert_eq!(frame.publish().qos, Qos::ExactlyOnce);
        // One copy for all of them.
        client.ping();
    }
}

// proves: MQTT5 [MQTT-3.3.4-3] [MQTT-3.3.4-4] [MQTT-3.8.4-3]
#[test]
fn mqtt5_3_3_4_3_a_message_names_every_subscription_that_matched() {
    let broker = Broker::shared();
    let topic = fresh("topic");
    let mut client = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    let mut subscribe = |filter: &str, identifier: Option<u32>| {
        let identifier = identifier.map(|number| {
            let mut list = properties(&[]);
            let property = Property::SubscriptionIdentifier(number);
            list.push(property).expect("it has an encoding");
            list
        });
        let properties = identifier.as_ref().map(|list| list.as_properties());
        let options = [(filter, options(Qos::AtLeastOnce))];
        client.subscribe_all(&options, properties.unwrap_or_default());
    };
    subscribe(&format!("{topic}/#"), Some(1));
    subscribe(&format!("{topic}/+"), Some(268_435_455));
    subscribe(&format!("{topic}/a"), None);
    subscribe(&format!("{topic}/b"), Some(1));
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    let mut identifiers = |client: &mut Client, name: &str| {
        let topic = format!("{topic}/{name}");
        publisher.publish(&topic, b"", Qos::AtLeastOnce);
        let frame = client.expect_message(&topic, b"");
        let all = frame.publish().properties.subscription_identifiers();
        let mut all: Vec<u32> = all.collect();
        all.sort_unstable();
        all
    };
    assert_eq!(identifiers(&mut client, "a"), [1, 268_435_455]);
    assert_eq!(identifiers(&mut client, "a/b"), [1]);
    // A subscription that is replaced has the new identifier, or none.
    client.subscribe(&format!("{topic}/#"), Qos::AtLeastOnce);
    assert_eq!(identifiers(&mut client, "a"), [268_435_455]);
    assert_eq!(identifiers(&mut client, "a/b"), [0; 0]);
    client.ping();
}

#[test]
fn mqtt5_3_8_2_1_2_a_subscription_identifier_of_0_ends_the_connection() {
    let broker = Broker::shared();
    let mut client = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    client.send_bytes(b"\x82\x09\x00\x01\x02\x0B\x00\x00\x01a\x00");
    client.expect_end(ReasonCode::ProtocolError);
}
