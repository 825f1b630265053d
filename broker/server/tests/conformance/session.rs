//! What outlives a connection, and what does not: 3.1.2.4, 3.1.4 and 4.1 of both standards.

use std::thread::sleep;
use std::time::Duration;

use dunlin_codec::{Connect, Disconnect, Packet, Property, Publish, Qos, ReasonCode, Version};

use crate::support::{BOTH, Broker, Client, fresh, id, properties};

// proves: MQTT311 [MQTT-3.1.2-4] [MQTT-3.1.3-2] [MQTT-3.2.2-2] [MQTT-3.2.2-3] [MQTT-4.1.0-1]
// proves: MQTT5 [MQTT-3.1.2-5] [MQTT-3.1.2-6] [MQTT-3.1.2-23] [MQTT-3.1.3-2] [MQTT-3.2.2-3]
#[test]
fn mqtt_3_1_2_4_a_session_is_resumed_by_the_client_with_its_id() {
    let broker = Broker::shared();
    for version in BOTH {
        let (name, topic) = (fresh("client"), fresh("topic"));
        let (mut client, had_session) = Client::resuming(&broker, version, &name);
        assert!(!had_session);
        client.subscribe(&topic, Qos::AtLeastOnce);
        client.disconnect();

        let (mut client, had_session) = Client::resuming(&broker, version, &name);
        assert!(had_session);
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        publisher.publish(&topic, b"subscribed before", Qos::AtLeastOnce);
        client.expect_message(&topic, b"subscribed before");
        let (_, had_session) = Client::resuming(&broker, version, &fresh("client"));
        assert!(!had_session);
    }
}

// proves: MQTT311 [MQTT-3.1.2-5] [MQTT-4.5.0-1] MQTT5 [MQTT-4.5.0-1]
#[test]
fn mqtt_4_5_0_1_messages_of_qos_1_and_2_wait_for_their_client() {
    let broker = Broker::shared();
    for version in BOTH {
        let (name, topic) = (fresh("client"), fresh("topic"));
        let (mut client, _) = Client::resuming(&broker, version, &name);
        client.subscribe(&topic, Qos::ExactlyOnce);
        client.disconnect();
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        publisher.publish(&topic, b"one", Qos::AtLeastOnce);
        publisher.publish(&topic, b"two", Qos::ExactlyOnce);

        let (mut client, _) = Client::resuming(&broker, version, &name);
        let one = client.expect_message(&topic, b"one");
        assert_eq!(
            (one.publish().qos, one.publish().dup),
            (Qos::AtLeastOnce, false)
        );
        let two = client.expect_message(&topic, b"two");
        assert_eq!(
            (two.publish().qos, two.publish().dup),
            (Qos::ExactlyOnce, false)
        );
        client.ping();
    }
}

// proves: MQTT311 [MQTT-3.1.2-6] [MQTT-3.1.4-3] [MQTT-3.2.2-1]
// proves: MQTT5 [MQTT-3.1.2-4] [MQTT-3.1.4-4] [MQTT-3.2.2-2]
#[test]
fn mqtt_3_1_2_4_a_clean_start_ends_the_earlier_session() {
    let broker = Broker::shared();
    for version in BOTH {
        let (name, topic) = (fresh("client"), fresh("topic"));
        let (mut client, _) = Client::resuming(&broker, version, &name);
        client.subscribe(&topic, Qos::AtLeastOnce);
        client.disconnect();
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        publisher.publish(&topic, b"waits", Qos::AtLeastOnce);

        let connect = Connect {
            version,
            client_id: &name,
            clean_start: true,
            ..Connect::default()
        };
        let (mut client, connack) = Client::request(&broker, &connect);
        assert!(!connack.connack().session_present);
        publisher.publish(&topic, b"to nobody", Qos::AtLeastOnce);
        client.ping();
        client.disconnect();
        // This session ended with its connection.
        let (mut client, had_session) = Client::resuming(&broker, version, &name);
        assert!(!had_session);
        client.ping();
    }
}

// proves: MQTT311 [MQTT-3.1.2-7]
#[test]
fn mqtt_3_1_2_7_retained_messages_outlive_the_session_that_published_them() {
    let broker = Broker::shared();
    for version in BOTH {
        let topic = fresh("topic");
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        publisher.publish_retained(&topic, b"stays", Qos::AtLeastOnce);
        publisher.disconnect();
        let mut client = Client::clean(&broker, version, &fresh("client"));
        client.subscribe(&topic, Qos::AtLeastOnce);
        client.expect_message(&topic, b"stays");
        client.publish_retained(&topic, b"", Qos::AtLeastOnce);
    }
}

// proves: MQTT311 [MQTT-4.1.0-2] MQTT5 [MQTT-4.1.0-1]
#[test]
fn mqtt_4_1_0_a_session_lasts_as_long_as_its_connection() {
    let broker = Broker::shared();
    let name = fresh("client");
    let expiry = properties(&[Property::SessionExpiryInterval(1)]);
    let connect = Connect {
        version: Version::Mqtt5,
        client_id: &name,
        properties: expiry.as_properties(),
        ..Connect::default()
    };
    let topic = fresh("topic");
    let mut short = Client::accepted(&broker, &connect);
    let mut clean = Client::clean(&broker, Version::Mqtt311, &fresh("client"));
    short.subscribe(&topic, Qos::AtLeastOnce);
    clean.subscribe(&topic, Qos::AtLeastOnce);
    sleep(Duration::from_millis(1500));
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    publisher.publish(&topic, b"still there", Qos::AtLeastOnce);
    short.expect_message(&topic, b"still there");
    clean.expect_message(&topic, b"still there");
}

// proves: MQTT5 [MQTT-4.1.0-2]
#[test]
fn mqtt5_4_1_0_2_a_session_ends_when_its_expiry_has_passed() {
    let broker = Broker::shared();
    let had_session = |name: &str, expiry| {
        let properties = properties(&[Property::SessionExpiryInterval(expiry)]);
        let connect = Connect {
            version: Version::Mqtt5,
            client_id: name,
            properties: properties.as_properties(),
            ..Connect::default()
        };
        let (client, connack) = Client::request(&broker, &connect);
        let had_session = connack.connack().session_present;
        client.disconnect();
        had_session
    };
    let (short, long, none) = (fresh("client"), fresh("client"), fresh("client"));
    assert!(!had_session(&short, 1) && !had_session(&long, u32::MAX) && !had_session(&none, 0));
    assert!(!had_session(&none, 0));
    sleep(Duration::from_millis(1500));
    assert!(!had_session(&short, 1));
    assert!(had_session(&long, 0));
    assert!(!had_session(&long, 0));
}

#[test]
fn mqtt5_3_14_2_2_2_disconnect_changes_the_session_expiry() {
    let broker = Broker::shared();
    let name = fresh("client");
    let leave = |client: Client, expiry| {
        let properties = properties(&[Property::SessionExpiryInterval(expiry)]);
        client.disconnect_with(Disconnect {
            properties: properties.as_properties(),
            ..Disconnect::default()
        });
    };
    let (client, had_session) = Client::resuming(&broker, Version::Mqtt5, &name);
    assert!(!had_session);
    leave(client, 60);
    let (client, had_session) = Client::resuming(&broker, Version::Mqtt5, &name);
    assert!(had_session);
    leave(client, 0);
    let (_, had_session) = Client::resuming(&broker, Version::Mqtt5, &name);
    assert!(!had_session);

    // From none there is no way to some.
    let mut client = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    let expiry = properties(&[Property::SessionExpiryInterval(60)]);
    client.send(&Packet::Disconnect(Disconnect {
        properties: expiry.as_properties(),
        ..Disconnect::default()
    }));
    client.expect_end(ReasonCode::ProtocolError);
}

// proves: MQTT311 [MQTT-3.1.4-2] MQTT5 [MQTT-3.1.4-3]
#[test]
fn mqtt_3_1_4_3_a_client_that_comes_again_takes_over() {
    let broker = Broker::shared();
    for version in BOTH {
        let (name, topic) = (fresh("client"), fresh("topic"));
        let (mut older, _) = Client::resuming(&broker, version, &name);
        older.subscribe(&topic, Qos::AtLeastOnce);
        let (mut newer, had_session) = Client::resuming(&broker, version, &name);
        assert!(had_session);
        older.expect_end(ReasonCode::SessionTakenOver);
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        publisher.publish(&topic, b"to the newer", Qos::AtLeastOnce);
        newer.expect_message(&topic, b"to the newer");
        newer.ping();
        // A clean start takes over as well.
        Client::clean(&broker, version, &name).ping();
        newer.expect_end(ReasonCode::SessionTakenOver);
    }
}

#[test]
fn mqtt_3_1_4_3_a_session_goes_from_one_version_to_the_other() {
    let broker = Broker::shared();
    let (name, topic) = (fresh("client"), fresh("topic"));
    let (mut client, _) = Client::resuming(&broker, Version::Mqtt311, &name);
    client.subscribe(&topic, Qos::AtLeastOnce);
    client.disconnect();
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    publisher.publish(&topic, b"one", Qos::AtLeastOnce);
    let (mut client, had_session) = Client::resuming(&broker, Version::Mqtt5, &name);
    assert!(had_session);
    client.expect_message(&topic, b"one");
    client.lose();
    publisher.publish(&topic, b"two", Qos::AtLeastOnce);
    let (mut client, had_session) = Client::resuming(&broker, Version::Mqtt311, &name);
    assert!(had_session);
    client.expect_message(&topic, b"two");
}

// proves: MQTT311 [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-2.3.1-4]
// proves: MQTT5 [MQTT-4.4.0-1] [MQTT-3.3.1-1]
#[test]
fn mqtt_4_4_0_1_unacknowledged_messages_are_sent_again_and_only_then() {
    let broker = Broker::shared();
    for version in BOTH {
        let (name, topic) = (fresh("client"), fresh("topic"));
        let (mut client, _) = Client::resuming(&broker, version, &name);
        client.subscribe(&topic, Qos::ExactlyOnce);
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        publisher.publish(&topic, b"one", Qos::AtLeastOnce);
        publisher.publish(&topic, b"two", Qos::ExactlyOnce);
        publisher.publish(&topic, b"three", Qos::ExactlyOnce);
        let sent: Vec<_> = (0..3).map(|_| client.receive()).collect();
        assert!(sent.iter().all(|frame| !frame.publish().dup));
        // Of the last the PUBREC arrived, so that only its PUBREL is sent again.
        let third = sent[2].publish().packet_id.expect("an id");
        client.pubrec(third);
        assert_eq!(client.receive().pubrel().0, third.get());
        // Nothing is repeated as long as the connection stands.
        sleep(Duration::from_millis(300));
        client.ping();
        client.lose();

        let (mut client, had_session) = Client::resuming(&broker, version, &name);
        assert!(had_session);
        for earlier in &sent[..2] {
            let again = client.receive();
            let (earlier, again) = (earlier.publish(), again.publish());
            assert!(again.dup);
            assert_eq!(again.packet_id, earlier.packet_id);
            assert_eq!(again.payload, earlier.payload);
            assert_eq!(again.qos, earlier.qos);
        }
        assert_eq!(client.receive().pubrel().0, third.get());
        client.pubcomp(third);
        client.puback(sent[0].publish().packet_id.expect("an id"));
        let second = sent[1].publish().packet_id.expect("an id");
        client.pubrec(second);
        assert_eq!(client.receive().pubrel().0, second.get());
        client.pubcomp(second);
        client.disconnect();

        let (mut client, _) = Client::resuming(&broker, version, &name);
        client.ping();
    }
}

// proves: MQTT5 [MQTT-4.4.0-2]
#[test]
fn mqtt5_4_4_0_2_a_refused_message_is_not_sent_again() {
    let broker = Broker::shared();
    let (name, topic) = (fresh("client"), fresh("topic"));
    let (mut client, _) = Client::resuming(&broker, Version::Mqtt5, &name);
    client.subscribe(&topic, Qos::ExactlyOnce);
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    publisher.publish(&topic, b"one", Qos::AtLeastOnce);
    publisher.publish(&topic, b"two", Qos::ExactlyOnce);
    let refusal = |frame: crate::support::Frame| dunlin_codec::Ack {
        packet_id: frame.publish().packet_id.expect("an id"),
        reason: ReasonCode::QuotaExceeded,
        properties: Default::default(),
    };
    let (one, two) = (client.receive(), client.receive());
    client.send(&Packet::Puback(refusal(one)));
    client.send(&Packet::Pubrec(refusal(two)));
    client.ping();
    client.lose();
    let (mut client, _) = Client::resuming(&broker, Version::Mqtt5, &name);
    client.ping();
}

// proves: MQTT311 [MQTT-4.3.3-2] MQTT5 [MQTT-4.3.3-10]
#[test]
fn mqtt_4_3_3_10_a_qos_2_message_repeated_after_a_reconnect_is_delivered_once() {
    let broker = Broker::shared();
    for version in BOTH {
        let (name, topic) = (fresh("client"), fresh("topic"));
        let mut subscriber = Client::clean(&broker, version, &fresh("client"));
        subscriber.subscribe(&topic, Qos::AtMostOnce);
        let publish = Publish {
            topic: &topic,
            payload: b"once",
            qos: Qos::ExactlyOnce,
            packet_id: Some(id(7)),
            ..Publish::default()
        };
        let (mut client, _) = Client::resuming(&broker, version, &name);
        client.send(&Packet::Publish(publish));
        assert_eq!(client.receive().pubrec().0, 7);
        client.lose();
        let (mut client, _) = Client::resuming(&broker, version, &name);
        client.send(&Packet::Publish(Publish {
            dup: true,
            ..publish
        }));
        assert_eq!(client.receive().pubrec().0, 7);
        client.pubrel(id(7));
        assert_eq!(client.receive().pubcomp().0, 7);
        client.publish(&topic, b"after", Qos::AtLeastOnce);
        subscriber.expect_message(&topic, b"once");
        subscriber.expect_message(&topic, b"after");
    }
}
