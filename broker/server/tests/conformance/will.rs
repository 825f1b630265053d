//! Wills: 3.1.2.5 of both standards, 3.1.3.2 of version 5.

use std::time::{Duration, Instant};

use dunlin_codec::{
    Connect, Disconnect, Packet, Property, Qos, ReasonCode, SubscriptionOptions, Version, Will,
};

use crate::support::{BOTH, Broker, Client, fresh, properties};

/// A client with this will, and with a session that goes on (version 5: for `expiry` seconds).
fn client_with_will(broker: &Broker, version: Version, name: &str, will: Will<'_>) -> Client {
    let expiry = properties(&[Property::SessionExpiryInterval(300)]);
    Client::accepted(
        broker,
        &Connect {
            version,
            client_id: name,
            will: Some(will),
            properties: match version.has_properties() {
                true => expiry.as_properties(),
                false => Default::default(),
            },
            ..Connect::default()
        },
    )
}

fn subscriber(broker: &Broker, version: Version, topic: &str) -> Client {
    let mut subscriber = Client::clean(broker, version, &fresh("client"));
    subscriber.subscribe(topic, Qos::ExactlyOnce);
    subscriber
}

// proves: MQTT311 [MQTT-3.1.2-8] [MQTT-3.1.2-16] MQTT5 [MQTT-3.1.2-7] [MQTT-3.1.2-8] [MQTT-3.1.2-14]
#[test]
fn mqtt_3_1_2_8_the_will_is_published_when_the_connection_ends_without_disconnect() {
    let broker = Broker::shared();
    for version in BOTH {
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            let topic = fresh("topic");
            let mut subscriber = subscriber(&broker, version, &topic);
            let will = Will {
                topic: &topic,
                payload: b"gone",
                qos,
                ..Will::default()
            };
            drop(client_with_will(&broker, version, &fresh("client"), will));
            let frame = subscriber.expect_message(&topic, b"gone");
            assert_eq!((frame.publish().qos, frame.publish().retain), (qos, false));
            // It was not retained.
            subscriber.unsubscribe(&[&topic]);
            subscriber.subscribe(&topic, Qos::AtMostOnce);
            subscriber.ping();
        }
    }
}

// proves: MQTT311 [MQTT-3.1.2-17] MQTT5 [MQTT-3.1.2-15]
#[test]
fn mqtt_3_1_2_17_a_will_with_retain_is_published_retained() {
    let broker = Broker::shared();
    for version in BOTH {
        let topic = fresh("topic");
        let mut first = subscriber(&broker, version, &topic);
        let will = Will {
            topic: &topic,
            payload: b"gone",
            qos: Qos::AtLeastOnce,
            retain: true,
            ..Will::default()
        };
        drop(client_with_will(&broker, version, &fresh("client"), will));
        let frame = first.expect_message(&topic, b"gone");
        assert!(!frame.publish().retain);
        let mut second = subscriber(&broker, version, &topic);
        assert!(second.expect_message(&topic, b"gone").publish().retain);
        first.publish_retained(&topic, b"", Qos::AtMostOnce);
    }
}

// proves: MQTT311 [MQTT-3.1.2-10] [MQTT-3.14.4-3] [MQTT-3.1.2-12]
// proves: MQTT5 [MQTT-3.1.2-10] [MQTT-3.14.4-3]
#[test]
fn mqtt_3_1_2_10_disconnect_discards_the_will() {
    let broker = Broker::shared();
    for version in BOTH {
        let (topic, name) = (fresh("topic"), fresh("client"));
        let mut subscriber = subscriber(&broker, version, &topic);
        let will = Will {
            topic: &topic,
            payload: b"gone",
            ..Will::default()
        };
        client_with_will(&broker, version, &name, will).disconnect();
        // Nor is it the session's: the next connection has no will and breaks.
        let (client, had_session) = Client::resuming(&broker, version, &name);
        assert!(had_session);
        client.lose();
        // Published once, it is gone: the next connection's end publishes nothing.
        drop(client_with_will(&broker, version, &name, will));
        subscriber.expect_message(&topic, b"gone");
        let (mut client, _) = Client::resuming(&broker, version, &name);
        client.publish(&topic, b"after", Qos::AtLeastOnce);
        client.disconnect();
        subscriber.expect_message(&topic, b"after");
        subscriber.ping();
    }
}

#[test]
fn mqtt5_3_14_2_1_disconnect_with_will_message_publishes_it() {
    let broker = Broker::shared();
    for reason in [
        ReasonCode::DisconnectWithWillMessage,
        ReasonCode::UnspecifiedError,
    ] {
        let topic = fresh("topic");
        let mut subscriber = subscriber(&broker, Version::Mqtt5, &topic);
        let will = Will {
            topic: &topic,
            payload: b"as asked",
            ..Will::default()
        };
        let client = client_with_will(&broker, Version::Mqtt5, &fresh("client"), will);
        client.disconnect_with(Disconnect {
            reason,
            ..Disconnect::default()
        });
        subscriber.expect_message(&topic, b"as asked");
    }
}

#[test]
fn mqtt_3_1_2_8_the_will_is_published_after_a_protocol_error() {
    let broker = Broker::shared();
    for version in BOTH {
        let topic = fresh("topic");
        let mut subscriber = subscriber(&broker, version, &topic);
        let will = Will {
            topic: &topic,
            payload: b"broken",
            ..Will::default()
        };
        let mut client = client_with_will(&broker, version, &fresh("client"), will);
        client.send_bytes(b"\x00\x00");
        client.expect_end(ReasonCode::MalformedPacket);
        subscriber.expect_message(&topic, b"broken");
    }
}

#[test]
fn mqtt5_3_1_3_2_2_a_will_waits_for_its_delay() {
    let broker = Broker::shared();
    let (topic, name) = (fresh("topic"), fresh("client"));
    let mut subscriber = subscriber(&broker, Version::Mqtt5, &topic);
    let delay = properties(&[Property::WillDelayInterval(1)]);
    let will = Will {
        topic: &topic,
        payload: b"late",
        properties: delay.as_properties(),
        ..Will::default()
    };
    let client = client_with_will(&broker, Version::Mqtt5, &name, will);
    let before = Instant::now();
    client.lose();
    subscriber.expect_message(&topic, b"late");
    let waited = before.elapsed();
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
}

// proves: MQTT5 [MQTT-3.1.3-9]
#[test]
fn mqtt5_3_1_3_9_a_client_that_is_back_in_time_has_no_will() {
    let broker = Broker::shared();
    let (topic, name) = (fresh("topic"), fresh("client"));
    let mut subscriber = subscriber(&broker, Version::Mqtt5, &topic);
    let delay = properties(&[Property::WillDelayInterval(1)]);
    let will = Will {
        topic: &topic,
        payload: b"too early",
        properties: delay.as_properties(),
        ..Will::default()
    };
    // Once after the connection broke, once by taking over.
    drop(client_with_will(&broker, Version::Mqtt5, &name, will));
    let older = client_with_will(&broker, Version::Mqtt5, &name, will);
    let (mut newer, had_session) = Client::resuming(&broker, Version::Mqtt5, &name);
    assert!(had_session);
    older.lose();
    std::thread::sleep(Duration::from_millis(1500));
    newer.publish(&topic, b"back", Qos::AtLeastOnce);
    subscriber.expect_message(&topic, b"back");
}

#[test]
fn mqtt5_3_1_2_8_a_will_comes_when_the_session_ends_before_its_delay() {
    let broker = Broker::shared();
    let delay = properties(&[Property::WillDelayInterval(600)]);
    for expiry in [0, 1] {
        let (topic, name) = (fresh("topic"), fresh("client"));
        let mut subscriber = subscriber(&broker, Version::Mqtt5, &topic);
        let will = Will {
            topic: &topic,
            payload: b"ended",
            properties: delay.as_properties(),
            ..Will::default()
        };
        let expiry = properties(&[Property::SessionExpiryInterval(expiry)]);
        drop(Client::accepted(
            &broker,
            &Connect {
                version: Version::Mqtt5,
                client_id: &name,
                will: Some(will),
                properties: expiry.as_properties(),
                ..Connect::default()
            },
        ));
        subscriber.expect_message(&topic, b"ended");
        // A clean start ends it too.
        drop(client_with_will(&broker, Version::Mqtt5, &name, will));
        Client::clean(&broker, Version::Mqtt5, &name).disconnect();
        subscriber.expect_message(&topic, b"ended");
    }
}

// proves: MQTT5 [MQTT-3.1.3-10]
#[test]
fn mqtt5_3_1_3_10_a_will_keeps_its_properties_in_order() {
    let broker = Broker::shared();
    let topic = fresh("topic");
    let mut subscriber = subscriber(&broker, Version::Mqtt5, &topic);
    let all = properties(&[
        Property::UserProperty("b", "1"),
        Property::PayloadFormatIndicator(true),
        Property::UserProperty("a", "2"),
        Property::ContentType("text/plain"),
        Property::MessageExpiryInterval(600),
        Property::ResponseTopic("answers"),
        Property::UserProperty("b", "1"),
        Property::CorrelationData(b"\x00\xFF"),
    ]);
    let will = Will {
        topic: &topic,
        payload: b"with properties",
        properties: all.as_properties(),
        ..Will::default()
    };
    drop(client_with_will(
        &broker,
        Version::Mqtt5,
        &fresh("client"),
        will,
    ));
    let frame = subscriber.expect_message(&topic, b"with properties");
    let properties = frame.publish().properties;
    let users: Vec<_> = properties.user_properties().collect();
    assert_eq!(users, [("b", "1"), ("a", "2"), ("b", "1")]);
    assert_eq!(properties.payload_format_indicator(), Some(true));
    assert_eq!(properties.content_type(), Some("text/plain"));
    assert_eq!(properties.response_topic(), Some("answers"));
    assert_eq!(properties.correlation_data(), Some(&b"\x00\xFF"[..]));
    let left = properties.message_expiry_interval().expect("an expiry");
    assert!((500..=600).contains(&left), "{left}");
}

#[test]
fn mqtt5_3_8_3_1_a_retained_will_keeps_retain_where_it_is_asked_for() {
    let broker = Broker::shared();
    let topic = fresh("topic");
    let mut client = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    let as_published = SubscriptionOptions {
        retain_as_published: true,
        ..SubscriptionOptions::default()
    };
    client.subscribe_all(&[(&topic, as_published)], Default::default());
    let will = Will {
        topic: &topic,
        payload: b"kept",
        retain: true,
        ..Will::default()
    };
    drop(client_with_will(
        &broker,
        Version::Mqtt5,
        &fresh("client"),
        will,
    ));
    assert!(client.expect_message(&topic, b"kept").publish().retain);
    client.publish_retained(&topic, b"", Qos::AtLeastOnce);
}

// proves: MQTT311 [MQTT-3.1.2-24] MQTT5 [MQTT-3.1.2-22] [MQTT-3.2.2-22]
#[test]
fn mqtt_3_1_2_24_a_silent_client_is_cut_after_one_and_a_half_keep_alive() {
    let broker = Broker::shared();
    for version in BOTH {
        let (topic, name) = (fresh("topic"), fresh("client"));
        let mut subscriber = subscriber(&broker, version, &topic);
        let connect = Connect {
            version,
            client_id: &name,
            clean_start: true,
            keep_alive: 1,
            will: Some(Will {
                topic: &topic,
                payload: b"silent",
                ..Will::default()
            }),
            ..Connect::default()
        };
        let (mut client, connack) = Client::request(&broker, &connect);
        assert_eq!(connack.connack().properties.server_keep_alive(), None);
        // Any packet counts.
        std::thread::sleep(Duration::from_millis(900));
        client.send(&Packet::Pingreq);
        let before = Instant::now();
        client.receive();
        client.expect_end(ReasonCode::KeepAliveTimeout);
        let waited = before.elapsed();
        assert!(waited >= Duration::from_millis(1400), "{waited:?}");
        subscriber.expect_message(&topic, b"silent");
    }
}

#[test]
fn mqtt5_3_2_2_3_14_a_server_keep_alive_replaces_a_longer_one() {
    let broker = Broker::start("limits.keepalive = \"30s\"", "");
    for (asked, told) in [(0, Some(30)), (31, Some(30)), (30, None), (5, None)] {
        let name = fresh("client");
        let connect = Connect {
            version: Version::Mqtt5,
            client_id: &name,
            keep_alive: asked,
            ..Connect::default()
        };
        let (_client, connack) = Client::request(&broker, &connect);
        let keep_alive = connack.connack().properties.server_keep_alive();
        assert_eq!(keep_alive, told, "asked for {asked}");
    }
}
