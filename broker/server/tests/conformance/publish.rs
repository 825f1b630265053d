//! PUBLISH and the properties of version 5 that travel with a message: 3.3 of both standards.

use std::num::NonZeroU16;
use std::thread::sleep;
use std::time::Duration;

use dunlin_codec::{
    Connect, Packet, Properties, Property, Publish, Qos, ReasonCode, SubscriptionOptions, Version,
};

use crate::support::{BOTH, Broker, Client, fresh, id, properties};

const ALL: [Qos; 3] = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce];

// proves: MQTT311 [MQTT-3.3.4-1] [MQTT-4.3.1-1] [MQTT-4.3.2-1] [MQTT-4.3.2-2] [MQTT-4.3.3-1]
// proves: MQTT311 [MQTT-2.3.1-1] [MQTT-2.3.1-5] [MQTT-2.3.1-6] [MQTT-3.3.1-2] [MQTT-3.8.4-6]
// proves: MQTT5 [MQTT-3.3.4-1] [MQTT-4.3.1-1] [MQTT-4.3.2-1] [MQTT-4.3.2-2] [MQTT-4.3.2-4]
// proves: MQTT5 [MQTT-4.3.3-1] [MQTT-4.3.3-2] [MQTT-4.3.3-4] [MQTT-4.3.3-8] [MQTT-4.3.3-11]
// proves: MQTT5 [MQTT-2.2.1-2] [MQTT-2.2.1-4] [MQTT-2.2.1-5] [MQTT-3.3.1-2] [MQTT-3.8.4-8]
// proves: MQTT5 [MQTT-2.2.2-1]
#[test]
fn mqtt_3_3_4_every_qos_has_its_own_answers_on_both_sides() {
    let broker = Broker::shared();
    for version in BOTH {
        for published in ALL {
            for granted in ALL {
                let topic = fresh("topic");
                let mut subscriber = Client::clean(&broker, version, &fresh("client"));
                subscriber.subscribe(&topic, granted);
                let mut publisher = Client::clean(&broker, version, &fresh("client"));
                // Each checks the packet ids of the answers.
                publisher.publish(&topic, b"payload", published);
                let frame = subscriber.expect_message(&topic, b"payload");
                let publish = frame.publish();
                assert_eq!(publish.qos, published.min(granted));
                assert_eq!(publish.packet_id.is_some(), publish.qos != Qos::AtMostOnce);
                assert!(!publish.dup && !publish.retain && publish.properties.is_empty());
                subscriber.ping();
            }
        }
    }
}

// proves: MQTT311 [MQTT-2.3.1-1] MQTT5 [MQTT-2.2.1-3]
#[test]
fn mqtt_2_2_1_3_packet_id_0_ends_the_connection() {
    let broker = Broker::shared();
    for version in BOTH {
        let v5 = version.has_properties();
        let packets: [&[u8]; 7] = [
            b"\x32\x06\x00\x01t\x00\x00x",
            b"\x34\x06\x00\x01t\x00\x00x",
            if v5 {
                b"\x82\x07\x00\x00\x00\x00\x01t\x00"
            } else {
                b"\x82\x06\x00\x00\x00\x01t\x00"
            },
            if v5 {
                b"\xA2\x06\x00\x00\x00\x00\x01t"
            } else {
                b"\xA2\x05\x00\x00\x00\x01t"
            },
            b"\x40\x02\x00\x00",
            b"\x62\x02\x00\x00",
            b"\x70\x02\x00\x00",
        ];
        for packet in packets {
            let mut client = Client::clean(&broker, version, &fresh("client"));
            client.send_bytes(packet);
            client.expect_end(ReasonCode::ProtocolError);
        }
    }
}

// proves: MQTT311 [MQTT-3.3.1-3] MQTT5 [MQTT-3.3.1-3] [MQTT-4.3.2-5]
#[test]
fn mqtt_3_3_1_3_dup_of_a_publisher_is_not_passed_on() {
    let broker = Broker::shared();
    for version in BOTH {
        let topic = fresh("topic");
        let mut subscriber = Client::clean(&broker, version, &fresh("client"));
        subscriber.subscribe(&topic, Qos::AtLeastOnce);
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        // After PUBACK the same id, even with DUP, is a new message.
        for dup in [false, true, true] {
            publisher.send(&Packet::Publish(Publish {
                topic: &topic,
                payload: b"again",
                qos: Qos::AtLeastOnce,
                dup,
                packet_id: Some(id(9)),
                ..Publish::default()
            }));
            assert_eq!(publisher.receive().puback().0, 9);
            let frame = subscriber.expect_message(&topic, b"again");
            assert!(!frame.publish().dup);
        }
    }
}

// proves: MQTT311 [MQTT-3.3.1-4] [MQTT-3.3.1-2] MQTT5 [MQTT-3.3.1-4] [MQTT-3.3.1-2]
#[test]
fn mqtt_3_3_1_4_qos_3_and_dup_at_qos_0_end_the_connection() {
    let broker = Broker::shared();
    for version in BOTH {
        let mut client = Client::clean(&broker, version, &fresh("client"));
        client.send_bytes(b"\x36\x06\x00\x01t\x00\x01\x00");
        client.expect_end(ReasonCode::MalformedPacket);
        let mut client = Client::clean(&broker, version, &fresh("client"));
        client.send_bytes(b"\x38\x04\x00\x01t\x00");
        client.expect_end(ReasonCode::ProtocolError);
    }
}

// proves: MQTT311 [MQTT-3.3.2-1] [MQTT-3.3.2-2] [MQTT-4.7.1-1] [MQTT-4.7.3-1] [MQTT-4.7.3-2]
// proves: MQTT311 [MQTT-1.5.3-1] [MQTT-1.5.3-2]
// proves: MQTT5 [MQTT-3.3.2-1] [MQTT-3.3.2-2] [MQTT-4.7.0-1] [MQTT-4.7.3-1] [MQTT-4.7.3-2]
// proves: MQTT5 [MQTT-1.5.4-1] [MQTT-1.5.4-2]
#[test]
fn mqtt_3_3_2_2_a_bad_topic_name_ends_the_connection() {
    let broker = Broker::shared();
    for version in BOTH {
        let names: [&[u8]; 9] = [
            b"+",
            b"#",
            b"a/+",
            b"a/#",
            b"a+b",
            b"",
            b"a\x00b",
            b"\xFF",
            b"\xED\xA0\x80",
        ];
        for name in names {
            let properties: &[u8] = if version.has_properties() { b"\0" } else { b"" };
            let body = [&[0, name.len() as u8], name, properties, b"payload"].concat();
            let mut client = Client::clean(&broker, version, &fresh("client"));
            client.send_bytes(&[0x30, body.len() as u8]);
            client.send_bytes(&body);
            // Without topic version 5 needs an alias.
            client.expect_end(match name {
                b"" => ReasonCode::ProtocolError,
                _ => ReasonCode::MalformedPacket,
            });
        }
    }
}

// proves: MQTT311 [MQTT-1.5.3-3] [MQTT-4.7.3-4] [MQTT-3.3.2-3]
// proves: MQTT5 [MQTT-1.5.4-3] [MQTT-4.7.3-4] [MQTT-3.3.2-3]
#[test]
fn mqtt_4_7_3_4_topics_are_matched_byte_by_byte() {
    let broker = Broker::shared();
    for version in BOTH {
        let name = fresh("topic");
        let pairs = [
            ("\u{FEFF}a", "a"),
            ("\u{E9}", "e\u{301}"), // é composed and not
            ("A", "a"),
            ("a/", "a"),
            ("/a", "a"),
            ("a//b", "a/b"),
            ("a b", "ab"),
            ("\u{1F980}", "?"),
        ];
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        for (subscribed, other) in pairs {
            let (subscribed, other) = (format!("{name}/{subscribed}"), format!("{name}/{other}"));
            for (filter, not_this, this) in [
                (&subscribed, &other, &subscribed),
                (&other, &subscribed, &other),
            ] {
                let mut client = Client::clean(&broker, version, &fresh("client"));
                client.subscribe(filter, Qos::AtLeastOnce);
                publisher.publish(not_this, b"no", Qos::AtLeastOnce);
                publisher.publish(this, b"yes", Qos::AtLeastOnce);
                client.expect_message(this, b"yes");
            }
        }
    }
}

// proves: MQTT311 [MQTT-4.7.3-3] MQTT5 [MQTT-4.7.3-3]
#[test]
fn mqtt_4_7_3_3_topics_may_be_long() {
    let broker = Broker::start(
        "limits.topic_length = 65535\nlimits.packet_size = \"1 MiB\"",
        "",
    );
    for version in BOTH {
        let topic = "t".repeat(65_535);
        let mut client = Client::clean(&broker, version, &fresh("client"));
        client.subscribe(&topic, Qos::AtLeastOnce);
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        publisher.publish(&topic, b"far", Qos::AtLeastOnce);
        client.expect_message(&topic, b"far");
    }
}

// proves: MQTT311 [MQTT-3.3.5-2]
#[test]
fn mqtt_3_3_5_2_a_publish_that_is_not_allowed_is_acknowledged_and_dropped() {
    let broker = Broker::start("access.acl_file = \"acl\"", "");
    for version in BOTH {
        let mut reader = Client::clean(&broker, version, &fresh("client"));
        reader.subscribe("#", Qos::AtLeastOnce);
        let mut client = Client::clean(&broker, version, &fresh("client"));
        for (number, qos) in [(1, Qos::AtLeastOnce), (2, Qos::ExactlyOnce)] {
            client.send(&Packet::Publish(Publish {
                topic: "forbidden",
                qos,
                packet_id: Some(id(number)),
                ..Publish::default()
            }));
            let refused = match version.has_reason_codes() {
                true => ReasonCode::NotAuthorized,
                false => ReasonCode::Success,
            };
            let frame = client.receive();
            match qos {
                Qos::AtLeastOnce => assert_eq!(frame.puback(), (number, refused)),
                _ => assert_eq!(frame.pubrec(), (number, refused)),
            }
        }
        if !version.has_reason_codes() {
            client.pubrel(id(2));
            assert_eq!(client.receive().pubcomp().0, 2);
        }
        client.publish("allowed", b"", Qos::AtLeastOnce);
        reader.expect_message("allowed", b"");
    }
}

// proves: MQTT5 [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18]
// proves: MQTT5 [MQTT-3.3.2-20]
#[test]
fn mqtt5_3_3_2_3_properties_reach_every_subscriber_unaltered() {
    let broker = Broker::shared();
    let topic = fresh("topic");
    let all = properties(&[
        Property::UserProperty("b", "1"),
        Property::PayloadFormatIndicator(false),
        Property::UserProperty("a", "2"),
        Property::ContentType("image/png"),
        Property::ResponseTopic("answers/here"),
        Property::UserProperty("b", "1"),
        Property::CorrelationData(b"\x00\x01\xFF"),
        Property::UserProperty("", ""),
    ]);
    for qos in ALL {
        let mut subscribers = [(); 2].map(|()| {
            let mut subscriber = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
            subscriber.subscribe(&topic, qos);
            subscriber
        });
        let mut older = Client::clean(&broker, Version::Mqtt311, &fresh("client"));
        older.subscribe(&topic, qos);
        let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
        publisher.publish_packet(&Publish {
            topic: &topic,
            payload: b"p",
            qos,
            properties: all.as_properties(),
            ..Publish::default()
        });
        for subscriber in &mut subscribers {
            let frame = subscriber.expect_message(&topic, b"p");
            assert_eq!(frame.publish().properties, all.as_properties());
        }
        older.expect_message(&topic, b"p");
    }
}

// proves: MQTT5 [MQTT-3.3.2-13] [MQTT-3.3.2-14] [MQTT-3.3.2-19] [MQTT-1.5.7-1]
#[test]
fn mqtt5_3_3_2_14_bad_texts_in_properties_end_the_connection() {
    let broker = Broker::shared();
    let (malformed, protocol) = (ReasonCode::MalformedPacket, ReasonCode::ProtocolError);
    let cases: [(&[u8], ReasonCode); 8] = [
        (b"\x08\x00\x01+", protocol),
        (b"\x08\x00\x03a/#", protocol),
        (b"\x08\x00\x01\xFF", malformed),
        (b"\x03\x00\x01\xFF", malformed),
        (b"\x26\x00\x01\xFF\x00\x01v", malformed),
        (b"\x26\x00\x01n\x00\x01\xFF", malformed),
        (b"\x26\x00\x01\x00\x00\x01v", malformed),
        (b"\x01\x02", protocol), // Payload Format Indicator 2
    ];
    for (property, reason) in cases {
        let body = [&b"\x00\x01t"[..], &[property.len() as u8], property].concat();
        let mut client = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
        client.send_bytes(&[0x30, body.len() as u8]);
        client.send_bytes(&body);
        client.expect_end(reason);
    }
}

// proves: MQTT5 [MQTT-3.3.2-5] [MQTT-3.3.2-6] [MQTT-4.3.3-7] [MQTT-4.3.3-13]
#[test]
fn mqtt5_3_3_2_5_messages_expire_while_they_wait_and_not_once_sent() {
    let broker = Broker::shared();
    let (name, topic) = (fresh("client"), fresh("topic"));
    let (mut client, _) = Client::resuming(&broker, Version::Mqtt5, &name);
    client.subscribe(&topic, Qos::ExactlyOnce);
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    let mut publish = |payload: &[u8], expiry| {
        let properties = properties(&[Property::MessageExpiryInterval(expiry)]);
        publisher.publish_packet(&Publish {
            topic: &topic,
            payload,
            qos: Qos::ExactlyOnce,
            properties: properties.as_properties(),
            ..Publish::default()
        });
    };
    publish(b"sent before", 1);
    let sent = client.receive();
    assert_eq!(sent.publish().properties.message_expiry_interval(), Some(1));
    client.lose();
    publish(b"too late", 1);
    publish(b"in time", 100);
    sleep(Duration::from_millis(2100));

    let (mut client, _) = Client::resuming(&broker, Version::Mqtt5, &name);
    let again = client.expect_message(&topic, b"sent before");
    assert!(again.publish().dup);
    let waited = client.expect_message(&topic, b"in time");
    let left = waited.publish().properties.message_expiry_interval();
    let left = left.expect("an expiry");
    assert!((50..100).contains(&left), "{left}");
    client.ping();
}

#[test]
fn mqtt5_3_3_2_3_3_an_expiry_of_zero_is_for_whoever_is_there() {
    let broker = Broker::shared();
    let (name, topic) = (fresh("client"), fresh("topic"));
    let (mut away, _) = Client::resuming(&broker, Version::Mqtt5, &name);
    away.subscribe(&topic, Qos::AtLeastOnce);
    away.lose();
    let mut here = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    here.subscribe(&topic, Qos::AtLeastOnce);
    let properties = properties(&[Property::MessageExpiryInterval(0)]);
    here.publish_packet(&Publish {
        topic: &topic,
        payload: b"now",
        qos: Qos::AtLeastOnce,
        properties: properties.as_properties(),
        ..Publish::default()
    });
    here.expect_message(&topic, b"now");
    sleep(Duration::from_millis(1100));
    let (mut late, _) = Client::resuming(&broker, Version::Mqtt5, &name);
    late.ping();
}

#[test]
fn mqtt5_3_3_2_5_retained_messages_expire() {
    let broker = Broker::shared();
    let (short, long) = (fresh("topic"), fresh("topic"));
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    for (topic, expiry) in [(&short, 1), (&long, 100)] {
        let properties = properties(&[Property::MessageExpiryInterval(expiry)]);
        publisher.publish_packet(&Publish {
            topic,
            payload: b"kept",
            qos: Qos::AtLeastOnce,
            retain: true,
            properties: properties.as_properties(),
            ..Publish::default()
        });
    }
    sleep(Duration::from_millis(1500));
    let mut client = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    client.subscribe(&short, Qos::AtLeastOnce);
    client.subscribe(&long, Qos::AtLeastOnce);
    let frame = client.expect_message(&long, b"kept");
    let left = frame.publish().properties.message_expiry_interval();
    assert!(
        left.is_some_and(|left| (50..100).contains(&left)),
        "{left:?}"
    );
    publisher.publish_retained(&long, b"", Qos::AtMostOnce);
}

fn alias(alias: u16) -> Property<'static> {
    Property::TopicAlias(NonZeroU16::new(alias).expect("not zero"))
}

// proves: MQTT5 [MQTT-3.3.2-7] [MQTT-3.3.2-12]
#[test]
fn mqtt5_3_3_2_12_aliases_up_to_the_maximum_stand_for_topics_of_one_connection() {
    let broker = Broker::shared();
    let (name, one, other) = (fresh("client"), fresh("topic"), fresh("topic"));
    let mut subscriber = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    subscriber.subscribe(&one, Qos::AtLeastOnce);
    subscriber.subscribe(&other, Qos::AtLeastOnce);
    let connect = Connect {
        version: Version::Mqtt5,
        client_id: &name,
        ..Connect::default()
    };
    let (mut client, connack) = Client::request(&broker, &connect);
    let maximum = connack.connack().properties.topic_alias_maximum();
    let maximum = maximum.expect("aliases are available");
    let publish = |client: &mut Client, topic: &str, payload: &[u8], number| {
        let properties = properties(&[alias(number)]);
        client.publish_packet(&Publish {
            topic,
            payload,
            properties: properties.as_properties(),
            ..Publish::default()
        });
    };
    publish(&mut client, &one, b"1", 1);
    publish(&mut client, &other, b"2", maximum);
    publish(&mut client, "", b"3", 1);
    publish(&mut client, "", b"4", maximum);
    // An alias may get another topic.
    publish(&mut client, &other, b"5", 1);
    publish(&mut client, "", b"6", 1);
    for (topic, payload) in [
        (&one, b"1"),
        (&other, b"2"),
        (&one, b"3"),
        (&other, b"4"),
        (&other, b"5"),
        (&other, b"6"),
    ] {
        let frame = subscriber.expect_message(topic, payload);
        assert_eq!(frame.publish().properties.topic_alias(), None);
    }
    client.disconnect();

    let mut client = Client::accepted(&broker, &connect);
    let properties = properties(&[alias(1)]);
    client.send(&Packet::Publish(Publish {
        topic: "",
        properties: properties.as_properties(),
        ..Publish::default()
    }));
    client.expect_end(ReasonCode::ProtocolError);
}

// proves: MQTT5 [MQTT-3.3.2-8] [MQTT-3.3.2-9] [MQTT-3.2.2-17] [MQTT-3.2.2-18]
#[test]
fn mqtt5_3_3_2_9_an_alias_of_0_or_above_the_maximum_ends_the_connection() {
    let broker = Broker::shared();
    let without = Broker::start("limits.topic_aliases = 0", "");
    for (broker, alias) in [(&*broker, 0), (&*broker, 65_535_u16), (&without, 1)] {
        let mut client = Client::clean(broker, Version::Mqtt5, &fresh("client"));
        let [high, low] = alias.to_be_bytes();
        client.send_bytes(&[0x30, 7, 0, 1, b't', 3, 0x23, high, low]);
        client.expect_end(ReasonCode::TopicAliasInvalid);
    }
}

// proves: MQTT5 [MQTT-3.1.2-26] [MQTT-3.1.2-27] [MQTT-3.3.2-11]
#[test]
fn mqtt5_3_3_2_11_aliases_towards_a_client_keep_to_its_maximum() {
    let broker = Broker::shared();
    for maximum in [0_u16, 1, 3] {
        let (name, topic) = (fresh("client"), fresh("topic"));
        let accepts = properties(&[Property::TopicAliasMaximum(maximum)]);
        let mut client = Client::accepted(
            &broker,
            &Connect {
                version: Version::Mqtt5,
                client_id: &name,
                properties: accepts.as_properties(),
                ..Connect::default()
            },
        );
        client.subscribe(&format!("{topic}/+"), Qos::AtLeastOnce);
        let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
        let mut names = vec![String::new(); usize::from(maximum) + 1];
        let mut shortened = 0;
        for round in 0..20 {
            let topic = format!("{topic}/{}", round / 4);
            publisher.publish(&topic, b"", Qos::AtMostOnce);
            let frame = client.receive();
            let publish = frame.publish();
            let alias = publish.properties.topic_alias().map_or(0, NonZeroU16::get);
            assert!(alias <= maximum, "{alias} of {maximum}");
            if alias == 0 {
                assert_eq!(publish.topic, topic);
            } else if publish.topic.is_empty() {
                assert_eq!(names[usize::from(alias)], topic);
                shortened += 1;
            } else {
                assert_eq!(publish.topic, topic);
                names[usize::from(alias)] = topic;
            }
        }
        assert!(maximum < 3 || shortened > 0);
    }
}

// proves: MQTT5 [MQTT-3.3.4-6]
#[test]
fn mqtt5_3_3_4_6_a_subscription_identifier_from_a_client_ends_the_connection() {
    let broker = Broker::shared();
    let mut client = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    client.send_bytes(b"\x30\x06\x00\x01t\x02\x0B\x01");
    client.expect_end(ReasonCode::ProtocolError);
}

// proves: MQTT5 [MQTT-3.4.2-1] [MQTT-3.5.2-1]
#[test]
fn mqtt5_3_4_2_1_a_publisher_is_told_that_nobody_subscribed() {
    let broker = Broker::shared();
    let mut client = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    let topic = fresh("topic");
    for (qos, number) in [(Qos::AtLeastOnce, 1), (Qos::ExactlyOnce, 2)] {
        client.send(&Packet::Publish(Publish {
            topic: &topic,
            qos,
            packet_id: Some(id(number)),
            ..Publish::default()
        }));
        let expected = (number, ReasonCode::NoMatchingSubscribers);
        let frame = client.receive();
        match qos {
            Qos::AtLeastOnce => assert_eq!(frame.puback(), expected),
            _ => assert_eq!(frame.pubrec(), expected),
        }
    }
    // No error, so that the exchange goes on.
    client.pubrel(id(2));
    assert_eq!(client.receive().pubcomp(), (2, ReasonCode::Success));
}

#[test]
fn mqtt5_request_and_response() {
    let broker = Broker::shared();
    let (requests, answers) = (fresh("requests"), fresh("answers"));
    let mut server = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    server.subscribe(&requests, Qos::AtLeastOnce);
    let mut client = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    client.subscribe(&answers, Qos::AtLeastOnce);
    let request = properties(&[
        Property::ResponseTopic(&answers),
        Property::CorrelationData(b"42"),
    ]);
    client.publish_packet(&Publish {
        topic: &requests,
        payload: b"question",
        qos: Qos::AtLeastOnce,
        properties: request.as_properties(),
        ..Publish::default()
    });
    let question = server.expect_message(&requests, b"question");
    let asked = question.publish().properties;
    let correlation = Property::CorrelationData(asked.correlation_data().expect("some"));
    let answer = properties(&[correlation]);
    server.publish_packet(&Publish {
        topic: asked.response_topic().expect("a topic"),
        payload: b"answer",
        qos: Qos::AtLeastOnce,
        properties: answer.as_properties(),
        ..Publish::default()
    });
    let answer = client.expect_message(&answers, b"answer");
    assert_eq!(
        answer.publish().properties.correlation_data(),
        Some(&b"42"[..])
    );
}

// proves: MQTT5 [MQTT-3.1.2-24] [MQTT-3.1.2-25]
#[test]
fn mqtt5_3_1_2_25_a_message_too_large_for_a_client_is_dropped_for_it_alone() {
    let broker = Broker::shared();
    let (name, topic) = (fresh("client"), fresh("topic"));
    let small = std::num::NonZeroU32::new(100).expect("not zero");
    let takes = properties(&[Property::MaximumPacketSize(small)]);
    let mut client = Client::accepted(
        &broker,
        &Connect {
            version: Version::Mqtt5,
            client_id: &name,
            properties: takes.as_properties(),
            ..Connect::default()
        },
    );
    client.subscribe(&topic, Qos::ExactlyOnce);
    let mut other = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    other.subscribe(&topic, Qos::ExactlyOnce);
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    for qos in ALL {
        publisher.publish(&topic, &[b'x'; 100], qos);
        publisher.publish(&topic, b"small", qos);
        client.expect_message(&topic, b"small");
        other.expect_message(&topic, &[b'x'; 100]);
        other.expect_message(&topic, b"small");
    }
}

// proves: MQTT5 [MQTT-3.2.2-15]
#[test]
fn mqtt5_3_2_2_15_a_packet_above_the_servers_maximum_ends_the_connection() {
    let broker = Broker::start("limits.packet_size = \"1 KiB\"", "");
    for version in BOTH {
        let name = fresh("client");
        let connect = Connect {
            version,
            client_id: &name,
            clean_start: true,
            ..Connect::default()
        };
        let (mut client, connack) = Client::request(&broker, &connect);
        if version.has_properties() {
            let maximum = connack.connack().properties.maximum_packet_size();
            assert_eq!(maximum.map(std::num::NonZeroU32::get), Some(1024));
        }
        // Of 1,024 bytes, the fixed header being 3 and topic and property length 3 to 4.
        let rest = 1024 - 3 - 3 - usize::from(version.has_properties());
        client.publish("t", &vec![0; rest], Qos::AtMostOnce);
        client.send(&Packet::Publish(Publish {
            topic: "t",
            payload: &vec![0; rest + 1],
            ..Publish::default()
        }));
        client.expect_end(ReasonCode::PacketTooLarge);
    }
}

// proves: MQTT5 [MQTT-3.1.2-29] [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3]
// proves: MQTT5 [MQTT-3.6.2-2] [MQTT-3.6.2-3] [MQTT-3.7.2-2] [MQTT-3.7.2-3] [MQTT-3.9.2-1]
// proves: MQTT5 [MQTT-3.9.2-2] [MQTT-3.11.2-1] [MQTT-3.11.2-2]
#[test]
fn mqtt5_3_1_2_29_answers_carry_no_problem_information_unasked() {
    let broker = Broker::start("access.acl_file = \"acl\"", "");
    let name = fresh("client");
    let declined = properties(&[Property::RequestProblemInformation(false)]);
    let mut client = Client::accepted(
        &broker,
        &Connect {
            version: Version::Mqtt5,
            client_id: &name,
            properties: declined.as_properties(),
            ..Connect::default()
        },
    );
    let empty = |properties: Properties<'_>| assert!(properties.is_empty(), "{properties:?}");
    for (qos, number) in [(Qos::AtLeastOnce, 1), (Qos::ExactlyOnce, 2)] {
        client.send(&Packet::Publish(Publish {
            topic: "forbidden",
            qos,
            packet_id: Some(id(number)),
            ..Publish::default()
        }));
    }
    client.pubrel(id(77));
    client.pubrec(id(77));
    for _ in 0..4 {
        match client.receive().packet() {
            Packet::Puback(ack) | Packet::Pubrec(ack) => {
                assert_eq!(ack.reason, ReasonCode::NotAuthorized);
                empty(ack.properties);
            }
            Packet::Pubcomp(ack) | Packet::Pubrel(ack) => {
                assert_eq!(ack.reason, ReasonCode::PacketIdentifierNotFound);
                empty(ack.properties);
            }
            other => panic!("{other:?}"),
        }
    }
    let options = SubscriptionOptions::default();
    client.send_bytes(b"\x82\x07\x00\x09\x00\x00\x01+\x00");
    empty(client.receive().suback().properties);
    client.send_bytes(b"\xA2\x06\x00\x09\x00\x00\x01x");
    empty(client.receive().unsuback().properties);
    client.subscribe_all(&[("x", options)], Properties::EMPTY);
}
