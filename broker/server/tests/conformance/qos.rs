//! Acknowledgements, order and flow control: 4.3, 4.5, 4.6 and 4.9 of both standards.

use std::num::NonZeroU16;

use dunlin_codec::{
    Ack, Connect, Packet, Property, Publish, Qos, ReasonCode, SubscriptionOptions, Version,
};

use crate::support::{BOTH, Broker, Client, Frame, fresh, id, properties};

// proves: MQTT311 [MQTT-4.3.3-2] MQTT5 [MQTT-4.3.3-10] [MQTT-4.3.3-12]
#[test]
fn mqtt_4_3_3_10_a_qos_2_id_stands_for_one_message_until_its_pubrel() {
    let broker = Broker::shared();
    for version in BOTH {
        let topic = fresh("topic");
        let mut subscriber = Client::clean(&broker, version, &fresh("client"));
        subscriber.subscribe(&topic, Qos::ExactlyOnce);
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        for payload in [b"one", b"two"] {
            for dup in [false, true, true] {
                publisher.send(&Packet::Publish(Publish {
                    topic: &topic,
                    payload,
                    qos: Qos::ExactlyOnce,
                    dup,
                    packet_id: Some(id(5)),
                    ..Publish::default()
                }));
                assert_eq!(publisher.receive().pubrec(), (5, ReasonCode::Success));
            }
            publisher.pubrel(id(5));
            assert_eq!(publisher.receive().pubcomp(), (5, ReasonCode::Success));
        }
        // A PUBREL repeated is answered again; version 5 says that the id is free.
        publisher.pubrel(id(5));
        let reason = match version.has_reason_codes() {
            true => ReasonCode::PacketIdentifierNotFound,
            false => ReasonCode::Success,
        };
        assert_eq!(publisher.receive().pubcomp(), (5, reason));
        subscriber.expect_message(&topic, b"one");
        subscriber.expect_message(&topic, b"two");
        subscriber.ping();
    }
}

// proves: MQTT5 [MQTT-4.3.3-9]
#[test]
fn mqtt5_4_3_3_9_a_refused_id_is_free_for_a_new_message() {
    let broker = Broker::start("access.acl_file = \"acl\"", "");
    let mut reader = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    reader.subscribe("allowed", Qos::AtLeastOnce);
    let mut client = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    for (topic, reason) in [
        ("forbidden", ReasonCode::NotAuthorized),
        ("allowed", ReasonCode::Success),
    ] {
        client.send(&Packet::Publish(Publish {
            topic,
            payload: b"new",
            qos: Qos::ExactlyOnce,
            packet_id: Some(id(5)),
            ..Publish::default()
        }));
        assert_eq!(client.receive().pubrec(), (5, reason));
    }
    reader.expect_message("allowed", b"new");
}

// proves: MQTT5 [MQTT-4.3.3-4] [MQTT-3.6.2-1] [MQTT-3.7.2-1]
#[test]
fn mqtt5_4_3_3_4_a_pubrec_for_no_message_is_told_so() {
    let broker = Broker::shared();
    let mut client = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    client.pubrec(id(99));
    let unknown = (99, ReasonCode::PacketIdentifierNotFound);
    assert_eq!(client.receive().pubrel(), unknown);
    client.pubrel(id(99));
    assert_eq!(client.receive().pubcomp(), unknown);
    client.puback(id(99));
    client.pubcomp(id(99));
    client.send(&Packet::Pubrec(Ack {
        reason: ReasonCode::UnspecifiedError,
        ..Ack::success(id(99))
    }));
    client.ping();
}

// proves: MQTT5 [MQTT-4.3.2-3] [MQTT-4.3.3-3] [MQTT-4.3.3-5] [MQTT-4.3.3-6]
// proves: MQTT311 [MQTT-4.3.3-1]
#[test]
fn mqtt_4_3_3_6_each_step_is_repeated_until_its_answer_and_none_before_it() {
    let broker = Broker::shared();
    for version in BOTH {
        let (name, topic) = (fresh("client"), fresh("topic"));
        let (mut client, _) = Client::resuming(&broker, version, &name);
        client.subscribe(&topic, Qos::ExactlyOnce);
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        publisher.publish(&topic, b"two", Qos::ExactlyOnce);
        publisher.publish(&topic, b"one", Qos::AtLeastOnce);
        let reconnected = || Client::resuming(&broker, version, &name).0;
        let (two, one) = (client.receive(), client.receive());
        let (two, one) = (two.publish().packet_id, one.publish().packet_id);
        let (two, one) = (two.expect("an id"), one.expect("an id"));
        assert_ne!(two, one);
        for _ in 0..2 {
            client = reconnected();
            assert_eq!(client.receive().publish().packet_id, Some(two));
            assert_eq!(client.receive().publish().packet_id, Some(one));
        }
        client.puback(one);
        client.pubrec(two);
        assert_eq!(client.receive().pubrel().0, two.get());
        for _ in 0..2 {
            client = reconnected();
            assert_eq!(client.receive().pubrel().0, two.get());
            client.ping();
        }
        client.pubcomp(two);
        client.ping();
        client = reconnected();
        client.ping();
    }
}

// proves: MQTT311 [MQTT-4.6.0-5] [MQTT-4.6.0-6] MQTT5 [MQTT-4.6.0-5] [MQTT-4.6.0-6]
#[test]
fn mqtt_4_6_0_messages_of_one_publisher_keep_their_order() {
    let broker = Broker::shared();
    for version in BOTH {
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            let topic = fresh("topic");
            let mut subscribers = [(); 3].map(|()| {
                let mut client = Client::clean(&broker, version, &fresh("client"));
                client.subscribe(&topic, qos);
                client
            });
            let mut publisher = Client::clean(&broker, version, &fresh("client"));
            for number in 1..=60_u16 {
                publisher.send(&Packet::Publish(Publish {
                    topic: &topic,
                    payload: number.to_string().as_bytes(),
                    qos,
                    packet_id: (qos != Qos::AtMostOnce).then_some(id(number)),
                    ..Publish::default()
                }));
            }
            for subscriber in &mut subscribers {
                for number in 1..=60_u16 {
                    subscriber.expect_message(&topic, number.to_string().as_bytes());
                }
            }
        }
    }
}

// proves: MQTT311 [MQTT-4.6.0-2] [MQTT-4.6.0-3] [MQTT-4.6.0-4]
// proves: MQTT5 [MQTT-4.6.0-2] [MQTT-4.6.0-3] [MQTT-4.6.0-4]
#[test]
fn mqtt_4_6_0_2_acknowledgements_keep_the_order_of_what_they_answer() {
    let broker = Broker::shared();
    for version in BOTH {
        let topic = fresh("topic");
        let mut subscriber = Client::clean(&broker, version, &fresh("client"));
        subscriber.subscribe(&topic, Qos::ExactlyOnce);
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        for number in 1..=40 {
            publisher.send(&Packet::Publish(Publish {
                topic: &topic,
                qos: match number % 2 {
                    0 => Qos::AtLeastOnce,
                    _ => Qos::ExactlyOnce,
                },
                packet_id: Some(id(number)),
                ..Publish::default()
            }));
        }
        let answers: Vec<Frame> = (0..40).map(|_| publisher.receive()).collect();
        let ids = |kind: fn(&Packet<'_>) -> Option<u16>| -> Vec<u16> {
            answers
                .iter()
                .filter_map(|frame| kind(&frame.packet()))
                .collect()
        };
        let pubacks = ids(|packet| match packet {
            Packet::Puback(ack) => Some(ack.packet_id.get()),
            _ => None,
        });
        let pubrecs = ids(|packet| match packet {
            Packet::Pubrec(ack) => Some(ack.packet_id.get()),
            _ => None,
        });
        assert!(pubacks.iter().copied().eq((1..=40).filter(|n| n % 2 == 0)));
        assert!(pubrecs.iter().copied().eq((1..=40).filter(|n| n % 2 == 1)));
        // The subscriber's PUBRECs come in another order; PUBRELs follow them.
        let messages: Vec<Frame> = (0..40).map(|_| subscriber.receive()).collect();
        let mut twos: Vec<_> = messages
            .iter()
            .filter(|frame| frame.publish().qos == Qos::ExactlyOnce)
            .filter_map(|frame| frame.publish().packet_id)
            .collect();
        twos.reverse();
        for two in &twos {
            subscriber.pubrec(*two);
        }
        for two in &twos {
            assert_eq!(subscriber.receive().pubrel().0, two.get());
        }
    }
}

// proves: MQTT311 [MQTT-4.6.0-1] MQTT5 [MQTT-4.6.0-1]
#[test]
fn mqtt_4_6_0_1_messages_are_sent_again_in_their_order() {
    let broker = Broker::shared();
    for version in BOTH {
        let (name, topic) = (fresh("client"), fresh("topic"));
        let (mut client, _) = Client::resuming(&broker, version, &name);
        client.subscribe(&topic, Qos::ExactlyOnce);
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        let qos = |number: u8| match number % 3 {
            0 => Qos::AtLeastOnce,
            _ => Qos::ExactlyOnce,
        };
        for number in 0..20 {
            publisher.publish(&topic, &[number], qos(number));
        }
        for number in 0..20 {
            assert_eq!(client.receive().publish().payload, [number]);
        }
        client.lose();
        publisher.publish(&topic, &[20], Qos::AtLeastOnce);
        let (mut client, _) = Client::resuming(&broker, version, &name);
        for number in 0..=20 {
            let frame = client.expect_message(&topic, &[number]);
            assert_eq!(frame.publish().dup, number < 20);
        }
    }
}

/// A client that takes so many unacknowledged messages at once.
fn with_receive_maximum(broker: &Broker, name: &str, maximum: u16) -> Client {
    let maximum = NonZeroU16::new(maximum).expect("not zero");
    let properties = properties(&[
        Property::ReceiveMaximum(maximum),
        Property::SessionExpiryInterval(300),
    ]);
    Client::accepted(
        broker,
        &Connect {
            version: Version::Mqtt5,
            client_id: name,
            properties: properties.as_properties(),
            ..Connect::default()
        },
    )
}

// proves: MQTT5 [MQTT-3.3.4-9] [MQTT-3.3.4-10] [MQTT-4.9.0-1] [MQTT-4.9.0-2] [MQTT-4.9.0-3]
#[test]
fn mqtt5_4_9_0_2_the_clients_receive_maximum_holds_and_nothing_is_lost() {
    let broker = Broker::shared();
    let (name, topic) = (fresh("client"), fresh("topic"));
    let mut client = with_receive_maximum(&broker, &name, 2);
    client.subscribe(&topic, Qos::ExactlyOnce);
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    for number in 0..6 {
        publisher.publish(&topic, &[number], Qos::ExactlyOnce);
    }
    let mut open: Vec<_> = (0..2).map(|_| client.receive()).collect();
    // Everything else is still answered.
    client.ping();
    let other = fresh("topic");
    client.subscribe(&other, Qos::AtMostOnce);
    client.publish(&other, b"mine", Qos::AtLeastOnce);
    client.unsubscribe(&[&topic]);
    for number in 2..6_u8 {
        let done = open.remove(0).publish().packet_id.expect("an id");
        client.pubrec(done);
        assert_eq!(client.receive().pubrel().0, done.get());
        // Not PUBREC, but PUBCOMP or a refusal gives room.
        client.ping();
        client.pubcomp(done);
        let next = client.receive();
        assert_eq!(next.publish().payload, [number]);
        client.ping();
        open.push(next);
    }
    let refused = open.remove(0).publish().packet_id.expect("an id");
    client.send(&Packet::Pubrec(Ack {
        packet_id: refused,
        reason: ReasonCode::UnspecifiedError,
        properties: Default::default(),
    }));
    // What stood behind the others has room now.
    client.expect_message(&other, b"mine");
    client.ping();
}

#[test]
fn mqtt5_4_9_the_window_holds_for_messages_sent_again() {
    let broker = Broker::shared();
    let (name, topic) = (fresh("client"), fresh("topic"));
    let mut client = with_receive_maximum(&broker, &name, 4);
    client.subscribe(&topic, Qos::AtLeastOnce);
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    for number in 0..6 {
        publisher.publish(&topic, &[number], Qos::AtLeastOnce);
    }
    for number in 0..4 {
        assert_eq!(client.receive().publish().payload, [number]);
    }
    client.lose();
    let mut client = with_receive_maximum(&broker, &name, 1);
    for number in 0..6 {
        let frame = client.receive();
        assert_eq!(frame.publish().payload, [number]);
        assert_eq!(frame.publish().dup, number < 4);
        client.ping();
        client.puback(frame.publish().packet_id.expect("an id"));
    }
    client.ping();
}

// proves: MQTT5 [MQTT-3.3.4-7]
#[test]
fn mqtt5_3_3_4_7_more_than_the_servers_receive_maximum_ends_the_connection() {
    let broker = Broker::start("limits.receive_maximum = 3", "");
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
            let maximum = connack.connack().properties.receive_maximum();
            assert_eq!(maximum, NonZeroU16::new(3));
        }
        for number in 1..=4 {
            client.send(&Packet::Publish(Publish {
                topic: "t",
                qos: Qos::ExactlyOnce,
                packet_id: Some(id(number)),
                ..Publish::default()
            }));
        }
        for number in 1..=3 {
            assert_eq!(client.receive().pubrec().0, number);
        }
        // Version 3 cannot be told the limit, and has none but its packet ids.
        match version.has_properties() {
            true => client.expect_end(ReasonCode::ReceiveMaximumExceeded),
            false => assert_eq!(client.receive().pubrec().0, 4),
        }
    }
}

#[test]
fn mqtt_3_3_4_a_client_receives_what_it_publishes() {
    let broker = Broker::shared();
    for version in BOTH {
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            let topic = fresh("topic");
            let mut client = Client::clean(&broker, version, &fresh("client"));
            client.subscribe(&topic, qos);
            client.publish(&topic, b"echo", qos);
            client.expect_message(&topic, b"echo");
            client.ping();
        }
    }
}

#[test]
fn mqtt_4_3_a_payload_may_be_empty_or_large() {
    let broker = Broker::shared();
    for version in BOTH {
        let topic = fresh("topic");
        let mut subscriber = Client::clean(&broker, version, &fresh("client"));
        subscriber.subscribe(&topic, Qos::ExactlyOnce);
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        let large: Vec<u8> = (0..900_000_u32).map(|n| n as u8).collect();
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            publisher.publish(&topic, b"", qos);
            subscriber.expect_message(&topic, b"");
            publisher.publish(&topic, &large, qos);
            let frame = subscriber.expect_message(&topic, &large);
            assert!(frame.publish().payload == large);
        }
    }
}

// proves: MQTT5 [MQTT-3.8.3-3]
#[test]
fn mqtt5_3_8_3_3_no_local_keeps_a_client_from_its_own_messages() {
    let broker = Broker::shared();
    let topic = fresh("topic");
    let mut client = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    let options = SubscriptionOptions {
        qos: Qos::AtLeastOnce,
        no_local: true,
        ..SubscriptionOptions::default()
    };
    client.subscribe_all(&[(&topic, options)], Default::default());
    let mut other = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    other.subscribe(&topic, Qos::AtLeastOnce);
    client.publish(&topic, b"mine", Qos::AtLeastOnce);
    other.expect_message(&topic, b"mine");
    other.publish(&topic, b"theirs", Qos::AtLeastOnce);
    client.expect_message(&topic, b"theirs");
    other.expect_message(&topic, b"theirs");
    client.ping();
}
