//! Shared subscriptions: 4.8.2 of version 5.

use std::collections::HashSet;

use dunlin_codec::{Ack, Packet, Qos, ReasonCode, Version};

use crate::support::{Broker, Client, fresh};

/// A client that shares `filter` in a group.
fn member(broker: &Broker, group: &str, filter: &str, qos: Qos) -> Client {
    let mut client = Client::clean(broker, Version::Mqtt5, &fresh("client"));
    client.subscribe(&format!("$share/{group}/{filter}"), qos);
    client
}

#[test]
fn mqtt5_4_8_2_each_message_goes_to_one_member_of_every_group() {
    let broker = Broker::shared();
    let topic = fresh("topic");
    let mut members = [(); 3].map(|()| member(&broker, "group", &topic, Qos::AtLeastOnce));
    let mut other = member(&broker, "other", &format!("{topic}/#"), Qos::AtLeastOnce);
    let mut alone = Client::clean(&broker, Version::Mqtt311, &fresh("client"));
    alone.subscribe(&topic, Qos::AtLeastOnce);
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    for number in 0..30 {
        publisher.publish(&topic, &[number], Qos::AtLeastOnce);
    }
    for number in 0..30 {
        other.expect_message(&topic, &[number]);
        alone.expect_message(&topic, &[number]);
    }
    let mut seen = HashSet::new();
    for member in &mut members {
        // One after the other: each has its third.
        for _ in 0..10 {
            let frame = member.receive();
            assert!(seen.insert(frame.publish().payload.to_vec()));
            member.puback(frame.publish().packet_id.expect("an id"));
        }
        member.ping();
    }
    assert_eq!(seen.len(), 30);
}

// proves: MQTT5 [MQTT-4.8.2-3]
#[test]
fn mqtt5_4_8_2_3_each_member_has_the_qos_that_it_was_granted() {
    let broker = Broker::shared();
    let topic = fresh("topic");
    let mut members = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce]
        .map(|qos| (qos, member(&broker, "group", &topic, qos)));
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    for _ in 0..3 {
        publisher.publish(&topic, b"", Qos::ExactlyOnce);
    }
    for (qos, member) in &mut members {
        assert_eq!(member.expect_message(&topic, b"").publish().qos, *qos);
    }
}

#[test]
fn mqtt5_4_8_2_retained_messages_do_not_come_to_shared_subscriptions() {
    let broker = Broker::shared();
    let topic = fresh("topic");
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    publisher.publish_retained(&topic, b"kept", Qos::AtLeastOnce);
    let mut member = member(&broker, "group", &topic, Qos::AtLeastOnce);
    member.ping();
    publisher.publish(&topic, b"live", Qos::AtLeastOnce);
    member.expect_message(&topic, b"live");
    publisher.publish_retained(&topic, b"", Qos::AtMostOnce);
}

// proves: MQTT5 [MQTT-4.8.2-4]
#[test]
fn mqtt5_4_8_2_4_a_qos_2_message_that_was_begun_is_completed_with_its_member() {
    let broker = Broker::shared();
    let (name, topic) = (fresh("client"), fresh("topic"));
    let (mut first, _) = Client::resuming(&broker, Version::Mqtt5, &name);
    first.subscribe(&format!("$share/group/{topic}"), Qos::ExactlyOnce);
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    publisher.publish(&topic, b"begun", Qos::ExactlyOnce);
    let begun = first.receive().publish().packet_id;
    let mut second = member(&broker, "group", &topic, Qos::ExactlyOnce);
    first.lose();
    let (mut first, had_session) = Client::resuming(&broker, Version::Mqtt5, &name);
    assert!(had_session);
    let again = first.expect_message(&topic, b"begun");
    assert_eq!(again.publish().packet_id, begun);
    second.ping();
}

// proves: MQTT5 [MQTT-4.8.2-5]
#[test]
fn mqtt5_4_8_2_5_a_qos_2_message_that_was_begun_ends_with_its_session() {
    let broker = Broker::shared();
    let topic = fresh("topic");
    let mut first = member(&broker, "group", &topic, Qos::ExactlyOnce);
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    publisher.publish(&topic, b"begun", Qos::ExactlyOnce);
    assert_eq!(first.receive().publish().payload, b"begun");
    let mut second = member(&broker, "group", &topic, Qos::ExactlyOnce);
    first.disconnect();
    publisher.publish(&topic, b"next", Qos::ExactlyOnce);
    second.expect_message(&topic, b"next");
    second.ping();
}

#[test]
fn mqtt5_4_8_2_a_qos_1_message_goes_to_another_member_when_its_session_ends() {
    let broker = Broker::shared();
    let topic = fresh("topic");
    let mut first = member(&broker, "group", &topic, Qos::AtLeastOnce);
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    publisher.publish(&topic, b"unacknowledged", Qos::AtLeastOnce);
    assert_eq!(first.receive().publish().payload, b"unacknowledged");
    let mut second = member(&broker, "group", &topic, Qos::AtLeastOnce);
    first.disconnect();
    second.expect_message(&topic, b"unacknowledged");
}

// proves: MQTT5 [MQTT-4.8.2-6]
#[test]
fn mqtt5_4_8_2_6_a_message_that_its_member_refuses_goes_to_no_other() {
    let broker = Broker::shared();
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let topic = fresh("topic");
        let mut first = member(&broker, "group", &topic, qos);
        let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
        publisher.publish(&topic, b"unwanted", qos);
        let packet_id = first.receive().publish().packet_id.expect("an id");
        let mut second = member(&broker, "group", &topic, qos);
        let refusal = Ack {
            packet_id,
            reason: ReasonCode::ImplementationSpecificError,
            properties: Default::default(),
        };
        match qos {
            Qos::AtLeastOnce => first.send(&Packet::Puback(refusal)),
            _ => first.send(&Packet::Pubrec(refusal)),
        }
        first.ping();
        first.disconnect();
        publisher.publish(&topic, b"next", qos);
        second.expect_message(&topic, b"next");
        second.ping();
    }
}

#[test]
fn mqtt5_4_8_2_a_member_without_connection_is_passed_over() {
    let broker = Broker::shared();
    let (name, topic) = (fresh("client"), fresh("topic"));
    let (mut away, _) = Client::resuming(&broker, Version::Mqtt5, &name);
    away.subscribe(&format!("$share/group/{topic}"), Qos::AtLeastOnce);
    away.disconnect();
    let mut here = member(&broker, "group", &topic, Qos::AtLeastOnce);
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    for number in 0..4 {
        publisher.publish(&topic, &[number], Qos::AtLeastOnce);
        here.expect_message(&topic, &[number]);
    }
    here.disconnect();
    // Nobody is there: it waits for one of them.
    publisher.publish(&topic, b"waits", Qos::AtLeastOnce);
    let (mut back, _) = Client::resuming(&broker, Version::Mqtt5, &name);
    back.expect_message(&topic, b"waits");
}

#[test]
fn mqtt5_4_8_2_leaving_a_group_leaves_other_subscriptions() {
    let broker = Broker::shared();
    let topic = fresh("topic");
    let mut client = member(&broker, "group", &topic, Qos::AtLeastOnce);
    let shared = format!("$share/group/{topic}");
    client.subscribe(&topic, Qos::AtLeastOnce);
    assert_eq!(
        client.unsubscribe(&[&shared, &shared]),
        [ReasonCode::Success, ReasonCode::NoSubscriptionExisted,]
    );
    client.publish(&topic, b"alone", Qos::AtLeastOnce);
    client.expect_message(&topic, b"alone");
    client.ping();
}
