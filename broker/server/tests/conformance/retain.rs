//! Retained messages: 3.3.1.3 of both standards.

use dunlin_codec::{
    Properties, Property, Publish, Qos, RetainHandling, SubscriptionOptions, Version,
};

use crate::support::{BOTH, Broker, Client, fresh, properties};

// proves: MQTT311 [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-7] [MQTT-3.3.1-8]
// proves: MQTT5 [MQTT-3.3.1-5]
#[test]
fn mqtt_3_3_1_5_the_last_retained_message_reaches_every_new_subscription() {
    let broker = Broker::shared();
    for version in BOTH {
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            let topic = fresh("topic");
            let mut publisher = Client::clean(&broker, version, &fresh("client"));
            publisher.publish_retained(&topic, b"first", Qos::ExactlyOnce);
            publisher.publish_retained(&topic, b"second", qos);
            for filter in [&topic, &format!("{topic}/#")] {
                let mut client = Client::clean(&broker, version, &fresh("client"));
                client.subscribe(filter, Qos::ExactlyOnce);
                let frame = client.expect_message(&topic, b"second");
                assert!(frame.publish().retain && !frame.publish().dup);
                assert_eq!(frame.publish().qos, qos);
                client.ping();
            }
            publisher.publish_retained(&topic, b"", Qos::AtMostOnce);
        }
    }
}

// proves: MQTT311 [MQTT-3.3.1-9] MQTT5 [MQTT-3.3.1-12]
#[test]
fn mqtt_3_3_1_9_who_has_subscribed_gets_retained_messages_without_the_flag() {
    let broker = Broker::shared();
    for version in BOTH {
        let topic = fresh("topic");
        let mut client = Client::clean(&broker, version, &fresh("client"));
        client.subscribe(&topic, Qos::AtLeastOnce);
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        publisher.publish_retained(&topic, b"now", Qos::AtLeastOnce);
        assert!(!client.expect_message(&topic, b"now").publish().retain);
        publisher.publish_retained(&topic, b"", Qos::AtLeastOnce);
        assert!(!client.expect_message(&topic, b"").publish().retain);
    }
}

// proves: MQTT311 [MQTT-3.3.1-10] [MQTT-3.3.1-11] MQTT5 [MQTT-3.3.1-6] [MQTT-3.3.1-7]
#[test]
fn mqtt_3_3_1_6_an_empty_retained_message_clears_and_is_not_kept() {
    let broker = Broker::shared();
    for version in BOTH {
        let topic = fresh("topic");
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        let mut subscribed = Client::clean(&broker, version, &fresh("client"));
        publisher.publish_retained(&topic, b"old", Qos::AtLeastOnce);
        subscribed.subscribe(&topic, Qos::AtLeastOnce);
        subscribed.expect_message(&topic, b"old");
        publisher.publish_retained(&topic, b"", Qos::AtLeastOnce);
        // It is a message like any other for who subscribed before.
        subscribed.expect_message(&topic, b"");
        let mut client = Client::clean(&broker, version, &fresh("client"));
        client.subscribe(&topic, Qos::AtLeastOnce);
        publisher.publish(&topic, b"live", Qos::AtLeastOnce);
        client.expect_message(&topic, b"live");
    }
}

// proves: MQTT311 [MQTT-3.3.1-12] MQTT5 [MQTT-3.3.1-8]
#[test]
fn mqtt_3_3_1_8_a_message_without_the_flag_leaves_the_retained_one() {
    let broker = Broker::shared();
    for version in BOTH {
        let (topic, other) = (fresh("topic"), fresh("topic"));
        let mut publisher = Client::clean(&broker, version, &fresh("client"));
        publisher.publish_retained(&topic, b"kept", Qos::AtLeastOnce);
        publisher.publish(&topic, b"passing", Qos::AtLeastOnce);
        publisher.publish(&topic, b"", Qos::AtLeastOnce);
        publisher.publish(&other, b"passing", Qos::AtLeastOnce);
        let mut client = Client::clean(&broker, version, &fresh("client"));
        client.subscribe(&topic, Qos::AtLeastOnce);
        client.expect_message(&topic, b"kept");
        client.subscribe(&other, Qos::AtLeastOnce);
        client.ping();
        publisher.publish_retained(&topic, b"", Qos::AtLeastOnce);
    }
}

fn handling(retain_handling: RetainHandling) -> SubscriptionOptions {
    SubscriptionOptions {
        qos: Qos::AtLeastOnce,
        retain_handling,
        ..SubscriptionOptions::default()
    }
}

// proves: MQTT5 [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11] [MQTT-3.8.4-4]
#[test]
fn mqtt5_3_3_1_9_retain_handling_says_when_retained_messages_come() {
    let broker = Broker::shared();
    let topic = fresh("topic");
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    publisher.publish_retained(&topic, b"kept", Qos::AtLeastOnce);
    for (retain_handling, at_first, again) in [
        (RetainHandling::SendAtSubscribe, true, true),
        (RetainHandling::SendIfNew, true, false),
        (RetainHandling::DoNotSend, false, false),
    ] {
        let mut client = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
        let options = handling(retain_handling);
        for expected in [at_first, again, again] {
            client.subscribe_all(&[(&topic, options)], Properties::EMPTY);
            if expected {
                client.expect_message(&topic, b"kept");
            }
            client.ping();
        }
        // After UNSUBSCRIBE the subscription is new.
        client.unsubscribe(&[&topic]);
        client.subscribe_all(&[(&topic, options)], Properties::EMPTY);
        if at_first {
            client.expect_message(&topic, b"kept");
        }
        client.ping();
    }
    publisher.publish_retained(&topic, b"", Qos::AtLeastOnce);
}

// proves: MQTT5 [MQTT-3.3.1-13]
#[test]
fn mqtt5_3_3_1_13_retain_as_published_keeps_the_flag() {
    let broker = Broker::shared();
    let topic = fresh("topic");
    let mut client = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    let options = SubscriptionOptions {
        qos: Qos::AtLeastOnce,
        retain_as_published: true,
        ..SubscriptionOptions::default()
    };
    client.subscribe_all(&[(&topic, options)], Properties::EMPTY);
    let mut publisher = Client::clean(&broker, Version::Mqtt311, &fresh("client"));
    publisher.publish_retained(&topic, b"kept", Qos::AtLeastOnce);
    publisher.publish(&topic, b"passing", Qos::AtLeastOnce);
    assert!(client.expect_message(&topic, b"kept").publish().retain);
    assert!(!client.expect_message(&topic, b"passing").publish().retain);
    publisher.publish_retained(&topic, b"", Qos::AtLeastOnce);
    assert!(client.expect_message(&topic, b"").publish().retain);
}

#[test]
fn mqtt5_3_3_1_retained_messages_keep_their_properties_and_get_the_identifier() {
    let broker = Broker::shared();
    let topic = fresh("topic");
    let kept = properties(&[
        Property::UserProperty("a", "1"),
        Property::ContentType("text/plain"),
        Property::UserProperty("a", "0"),
    ]);
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    publisher.publish_packet(&Publish {
        topic: &topic,
        payload: b"kept",
        qos: Qos::AtLeastOnce,
        retain: true,
        properties: kept.as_properties(),
        ..Publish::default()
    });
    let mut client = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    let identifier = properties(&[Property::SubscriptionIdentifier(77)]);
    let options = handling(RetainHandling::SendAtSubscribe);
    client.subscribe_all(&[(&topic, options)], identifier.as_properties());
    let frame = client.expect_message(&topic, b"kept");
    let properties = frame.publish().properties;
    let users: Vec<_> = properties.user_properties().collect();
    assert_eq!(users, [("a", "1"), ("a", "0")]);
    assert_eq!(properties.content_type(), Some("text/plain"));
    assert_eq!(properties.subscription_identifier(), Some(77));
    publisher.publish_retained(&topic, b"", Qos::AtLeastOnce);
}

#[test]
fn mqtt_3_3_1_6_a_wildcard_subscription_gets_every_retained_message_that_it_matches() {
    let broker = Broker::shared();
    let topic = fresh("topic");
    let mut publisher = Client::clean(&broker, Version::Mqtt311, &fresh("client"));
    for number in 0..300 {
        let topic = format!("{topic}/{number}/x");
        publisher.publish_retained(&topic, b"kept", Qos::AtMostOnce);
    }
    publisher.publish_retained(&format!("{topic}/1/y"), b"other", Qos::AtMostOnce);
    let mut client = Client::clean(&broker, Version::Mqtt311, &fresh("client"));
    client.subscribe(&format!("{topic}/+/x"), Qos::AtLeastOnce);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..300 {
        let frame = client.receive();
        let publish = frame.publish();
        assert!(publish.retain && publish.payload == b"kept");
        assert!(seen.insert(publish.topic.to_owned()));
    }
    client.ping();
}
