//! CONNECT and its answer: 3.1 and 3.2 of both standards.

use dunlin_codec::{
    Connect, Packet, Property, Publish, Qos, ReasonCode, SubscriptionOptions, Version, Will, encode,
};

use crate::support::{BOTH, Broker, Client, fresh, id, properties};

// proves: MQTT311 [MQTT-3.1.4-4] [MQTT-3.2.0-1]
// proves: MQTT5 [MQTT-3.1.4-5] [MQTT-3.2.0-1] [MQTT-3.2.0-2] [MQTT-3.2.2-1]
#[test]
fn mqtt_3_1_4_a_connect_is_answered_with_one_connack_before_all_else() {
    let broker = Broker::shared();
    for version in BOTH {
        let mut client = Client::open(&broker, version);
        let name = fresh("client");
        let connect = Connect {
            version,
            client_id: &name,
            clean_start: true,
            ..Connect::default()
        };
        // What follows the CONNECT at once is handled too, and after it.
        client.send(&Packet::Connect(connect));
        client.send(&Packet::Pingreq);
        let connack = client.receive();
        assert_eq!(connack.connack().reason, ReasonCode::Success);
        assert!(!connack.connack().session_present);
        assert_eq!(connack.bytes()[2], 0);
        assert_eq!(client.receive().packet(), Packet::Pingresp);
        client.ping();
    }
}

// proves: MQTT311 [MQTT-3.1.0-1] MQTT5 [MQTT-3.1.0-1] [MQTT-3.14.0-1]
#[test]
fn mqtt_3_1_0_1_a_first_packet_that_is_no_connect_ends_the_connection() {
    let broker = Broker::shared();
    let first_packets: [&[u8]; 6] = [
        b"\xC0\x00",
        b"\x30\x04\x00\x01ax",
        b"\x82\x06\x00\x01\x00\x01a\x00",
        b"\xE0\x00",
        b"\x20\x02\x00\x00",
        b"\x40\x02\x00\x01",
    ];
    for packet in first_packets {
        for version in BOTH {
            let mut client = Client::open(&broker, version);
            client.send_bytes(packet);
            client.expect_close();
        }
    }
}

// proves: MQTT311 [MQTT-3.1.0-2] MQTT5 [MQTT-3.1.0-2]
#[test]
fn mqtt_3_1_0_2_a_second_connect_ends_the_connection() {
    let broker = Broker::shared();
    for version in BOTH {
        let name = fresh("client");
        let mut client = Client::clean(&broker, version, &name);
        client.send(&Packet::Connect(Connect {
            version,
            client_id: &name,
            clean_start: true,
            ..Connect::default()
        }));
        client.expect_end(ReasonCode::ProtocolError);
    }
}

// proves: MQTT311 [MQTT-3.1.2-1] MQTT5 [MQTT-3.1.2-1]
#[test]
fn mqtt_3_1_2_1_another_protocol_name_ends_the_connection() {
    let broker = Broker::shared();
    for name in ["MQIsdp", "mqtt", "MQTt", "HTTP", ""] {
        for level in [4, 5] {
            let mut client = Client::open(&broker, Version::Mqtt311);
            let mut body = vec![0, name.len() as u8];
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(&[level, 2, 0, 0]);
            body.extend_from_slice(if level == 5 { &[0, 0, 0] } else { &[0, 0] });
            client.send_bytes(&[0x10, body.len() as u8]);
            client.send_bytes(&body);
            let refused = client.next();
            if let Some(refused) = refused {
                let reason = refused.connack().reason;
                assert_eq!(reason, ReasonCode::UnsupportedProtocolVersion);
                client.expect_close();
            }
        }
    }
}

// proves: MQTT311 [MQTT-3.1.2-2] [MQTT-3.2.2-4] [MQTT-3.2.2-5]
// proves: MQTT5 [MQTT-3.1.2-2] [MQTT-3.2.2-6] [MQTT-3.2.2-7]
#[test]
fn mqtt_3_1_2_2_an_unknown_protocol_level_is_refused_with_its_code() {
    let broker = Broker::shared();
    for level in [0, 1, 2, 3, 6, 255_u8] {
        let mut client = Client::open(&broker, Version::Mqtt311);
        client.send_bytes(b"\x10\x0D\x00\x04MQTT");
        client.send_bytes(&[level]);
        client.send_bytes(b"\x02\x00\x00\x00\x01a");
        assert_eq!(client.receive().bytes(), b"\x20\x02\x00\x01");
        client.expect_close();
    }
}

#[test]
fn mqtt31_is_served_too() {
    let broker = Broker::shared();
    let topic = fresh("topic");
    let mut client = Client::clean(&broker, Version::Mqtt31, &fresh("client"));
    client.subscribe(&topic, Qos::ExactlyOnce);
    let mut publisher = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        publisher.publish(&topic, b"hi", qos);
        assert_eq!(client.expect_message(&topic, b"hi").publish().qos, qos);
    }
    client.unsubscribe(&[&topic]);
    client.ping();
    client.disconnect();
}

/// A CONNECT in pieces, to leave some out: the flags and what follows the properties.
fn raw_connect(version: Version, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut body = b"\x00\x04MQTT".to_vec();
    body.extend_from_slice(&[version.protocol_level(), flags, 0, 60]);
    if version.has_properties() {
        body.push(0);
    }
    body.extend_from_slice(payload);
    let mut packet = vec![0x10, body.len() as u8];
    packet.append(&mut body);
    packet
}

/// The connection ends; version 5 is told why, 3.1.1 has no code for it.
fn refused_as_malformed(broker: &Broker, version: Version, flags: u8, payload: &[u8]) {
    let mut client = Client::open(broker, version);
    client.send_bytes(&raw_connect(version, flags, payload));
    if version.has_reason_codes() {
        let connack = client.receive();
        let (flags, payload) = (format!("{flags:08b}"), payload);
        let reason = connack.connack().reason;
        assert_eq!(reason, ReasonCode::MalformedPacket, "{flags} {payload:?}");
    }
    client.expect_close();
}

// proves: MQTT311 [MQTT-3.1.2-3] [MQTT-3.1.2-11] [MQTT-3.1.2-13] [MQTT-3.1.2-14] [MQTT-3.1.2-15]
// proves: MQTT311 [MQTT-3.1.4-1] [MQTT-3.2.2-6]
// proves: MQTT5 [MQTT-3.1.2-3] [MQTT-3.1.2-11] [MQTT-3.1.2-12] [MQTT-3.1.2-13] [MQTT-3.1.4-1]
#[test]
fn mqtt_3_1_2_3_flags_that_contradict_each_other_end_the_connection() {
    let broker = Broker::shared();
    for version in BOTH {
        let (reserved, will_qos_1, will_qos_2, will_retain) = (0x01, 0x08, 0x10, 0x20);
        for flag in [reserved, will_qos_1, will_qos_2, will_retain] {
            refused_as_malformed(&broker, version, 0x02 | flag, b"\x00\x01a");
        }
        let will_qos_3: &[u8] = match version {
            Version::Mqtt5 => b"\x00\x01a\x00\x00\x01t\x00\x01p",
            _ => b"\x00\x01a\x00\x01t\x00\x01p",
        };
        refused_as_malformed(&broker, version, 0x02 | 0x1C, will_qos_3);
    }
}

// proves: MQTT311 [MQTT-3.1.2-9] [MQTT-3.1.2-11] [MQTT-3.1.2-18] [MQTT-3.1.2-19] [MQTT-3.1.2-20]
// proves: MQTT311 [MQTT-3.1.2-21] [MQTT-3.1.3-1] [MQTT-3.1.3-3]
// proves: MQTT5 [MQTT-3.1.2-9] [MQTT-3.1.2-16] [MQTT-3.1.2-17] [MQTT-3.1.2-18] [MQTT-3.1.2-19]
// proves: MQTT5 [MQTT-3.1.3-1] [MQTT-3.1.3-3]
#[test]
fn mqtt_3_1_3_1_the_payload_holds_what_the_flags_announce_and_no_more() {
    let broker = Broker::shared();
    for version in BOTH {
        let (will, password, user) = (0x04, 0x40, 0x80);
        // Announced, and not there.
        refused_as_malformed(&broker, version, 0x02, b"");
        refused_as_malformed(&broker, version, 0x02 | will, b"\x00\x01a");
        refused_as_malformed(&broker, version, 0x02 | user, b"\x00\x01a");
        refused_as_malformed(
            &broker,
            version,
            0x02 | user | password,
            b"\x00\x01a\x00\x01u",
        );
        // There, and not announced.
        refused_as_malformed(&broker, version, 0x02, b"\x00\x01a\x00\x01u");
        refused_as_malformed(
            &broker,
            version,
            0x02 | user,
            b"\x00\x01a\x00\x01u\x00\x01p",
        );
    }
}

// proves: MQTT311 [MQTT-3.1.2-22]
#[test]
fn mqtt311_3_1_2_22_a_password_without_user_name_ends_the_connection() {
    let broker = Broker::shared();
    refused_as_malformed(&broker, Version::Mqtt311, 0x42, b"\x00\x01a\x00\x01p");
}

// proves: MQTT311 [MQTT-3.1.3-4] [MQTT-3.1.3-10] [MQTT-3.1.3-11] [MQTT-1.5.3-1] [MQTT-1.5.3-2]
// proves: MQTT5 [MQTT-3.1.3-4] [MQTT-3.1.3-11] [MQTT-3.1.3-12] [MQTT-1.5.4-1] [MQTT-1.5.4-2]
#[test]
fn mqtt_3_1_3_4_client_id_will_topic_and_user_name_are_utf_8() {
    let broker = Broker::shared();
    let bad_strings: [&[u8]; 6] = [
        b"\xFF",
        b"\xC0\x80",         // overlong
        b"\xED\xA0\x80",     // U+D800
        b"\xED\xBF\xBF",     // U+DFFF
        b"\xF4\x90\x80\x80", // above U+10FFFF
        b"a\x00b",           // U+0000
    ];
    for version in BOTH {
        for bad in bad_strings {
            let string = [&[0, bad.len() as u8], bad].concat();
            refused_as_malformed(&broker, version, 0x02, &string);
            let user = [b"\x00\x01a", &string[..]].concat();
            refused_as_malformed(&broker, version, 0x82, &user);
            let properties: &[u8] = if version.has_properties() { b"\0" } else { b"" };
            let will = [b"\x00\x01a", properties, &string, b"\x00\x01p"].concat();
            refused_as_malformed(&broker, version, 0x06, &will);
        }
    }
}

// proves: MQTT311 [MQTT-3.1.3-5] MQTT5 [MQTT-3.1.3-5]
#[test]
fn mqtt_3_1_3_5_client_ids_of_letters_and_digits_are_accepted() {
    let broker = Broker::shared();
    let ids = [
        "0",
        "0123456789abcdefghijklm",
        "nopqrstuvwxyzABCDEFGHIJ",
        "KLMNOPQRSTUVWXYZ",
    ];
    for version in BOTH {
        for client_id in ids {
            Client::clean(&broker, version, client_id).disconnect();
        }
        let long = fresh("client ids may be long, hold spaces, / + # and åβ語");
        Client::clean(&broker, version, &long).disconnect();
        Client::clean(&broker, version, &fresh(&"x".repeat(1000))).disconnect();
    }
}

// proves: MQTT311 [MQTT-3.1.3-6]
#[test]
fn mqtt311_3_1_3_6_clients_without_id_do_not_share_one() {
    let broker = Broker::shared();
    let mut one = Client::clean(&broker, Version::Mqtt311, "");
    let mut other = Client::clean(&broker, Version::Mqtt311, "");
    one.ping();
    other.ping();
}

// proves: MQTT311 [MQTT-3.1.3-8] [MQTT-3.1.3-9]
#[test]
fn mqtt311_3_1_3_8_an_empty_client_id_needs_a_clean_session() {
    let broker = Broker::shared();
    let connect = Connect {
        version: Version::Mqtt311,
        ..Connect::default()
    };
    let (mut client, connack) = Client::request(&broker, &connect);
    assert_eq!(connack.bytes(), b"\x20\x02\x00\x02");
    client.expect_close();
}

// proves: MQTT5 [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]
#[test]
fn mqtt5_3_1_3_6_a_client_without_id_gets_one_of_its_own() {
    let broker = Broker::shared();
    let assigned = |clean_start| {
        let connect = Connect {
            version: Version::Mqtt5,
            clean_start,
            ..Connect::default()
        };
        let (client, connack) = Client::request(&broker, &connect);
        let connack = connack.connack();
        assert_eq!(connack.reason, ReasonCode::Success);
        assert!(!connack.session_present);
        let assigned = connack.properties.assigned_client_identifier();
        (client, assigned.expect("an id").to_owned())
    };
    let (mut one, first) = assigned(true);
    let (mut other, second) = assigned(false);
    assert!(!first.is_empty() && first != second);
    one.ping();
    other.ping();
    // It is the client's like any other: whoever comes with it takes the session over.
    Client::clean(&broker, Version::Mqtt5, &first).ping();
    one.expect_end(ReasonCode::SessionTakenOver);
    // Who brings an id is not given one.
    let name = fresh("client");
    let connect = Connect {
        version: Version::Mqtt5,
        client_id: &name,
        ..Connect::default()
    };
    let (_, connack) = Client::request(&broker, &connect);
    let assigned = connack.connack().properties.assigned_client_identifier();
    assert_eq!(assigned, None);
}

// proves: MQTT311 [MQTT-3.1.3-9] MQTT5 [MQTT-3.1.3-8]
#[test]
fn mqtt_3_1_3_9_a_client_id_that_is_not_accepted_is_refused_with_its_code() {
    let broker = Broker::start("access.allow_zero_length_clientid = false", "");
    for version in BOTH {
        let connect = Connect {
            version,
            clean_start: true,
            ..Connect::default()
        };
        let (mut client, connack) = Client::request(&broker, &connect);
        let reason = connack.connack().reason;
        assert_eq!(reason, ReasonCode::ClientIdentifierNotValid);
        client.expect_close();
    }
}

// proves: MQTT311 [MQTT-3.1.4-5] MQTT5 [MQTT-3.1.4-6]
#[test]
fn mqtt_3_1_4_5_what_follows_a_refused_connect_is_not_done() {
    let broker = Broker::start("access.allow_zero_length_clientid = false", "");
    for version in BOTH {
        let mut reader = Client::clean(&broker, version, &fresh("client"));
        reader.subscribe("topic", Qos::AtLeastOnce);
        let mut client = Client::open(&broker, version);
        let mut bytes = Vec::new();
        let connect = Packet::Connect(Connect {
            version,
            clean_start: true,
            ..Connect::default()
        });
        let publish = Packet::Publish(Publish {
            topic: "topic",
            payload: b"refused",
            qos: Qos::AtLeastOnce,
            packet_id: Some(id(1)),
            ..Publish::default()
        });
        for packet in [connect, publish] {
            encode(&packet, version, &mut bytes).expect("it has an encoding");
        }
        client.send_bytes(&bytes);
        let reason = client.receive().connack().reason;
        assert_eq!(reason, ReasonCode::ClientIdentifierNotValid);
        client.expect_close();
        reader.publish("topic", b"after", Qos::AtLeastOnce);
        reader.expect_message("topic", b"after");
    }
}

// proves: MQTT5 [MQTT-3.1.4-2] [MQTT-3.2.2-8]
#[test]
fn mqtt_3_1_4_2_a_client_that_is_not_allowed_is_told_so_and_cut() {
    let broker = Broker::start("access.allow_anonymous = false", "");
    for version in BOTH {
        let anonymous = Connect {
            version,
            client_id: "client",
            clean_start: true,
            ..Connect::default()
        };
        let stranger = Connect {
            username: Some("stranger"),
            password: Some(b"secret"),
            ..anonymous
        };
        for connect in [anonymous, stranger] {
            let (mut client, connack) = Client::request(&broker, &connect);
            let reason = connack.connack().reason;
            let refused = [ReasonCode::NotAuthorized, ReasonCode::BadUserNameOrPassword];
            assert!(refused.contains(&reason), "{reason:?}");
            client.expect_close();
        }
    }
}

// proves: MQTT5 [MQTT-3.2.2-9] [MQTT-3.2.2-10] [MQTT-3.2.2-12]
#[test]
fn mqtt5_3_2_2_9_a_maximum_qos_is_announced_and_kept() {
    let broker = Broker::start("", "max_qos = 1");
    let name = fresh("client");
    let connect = Connect {
        version: Version::Mqtt5,
        client_id: &name,
        ..Connect::default()
    };
    let (mut client, connack) = Client::request(&broker, &connect);
    let maximum = connack.connack().properties.maximum_qos();
    assert_eq!(maximum, Some(Qos::AtLeastOnce));
    let asked = SubscriptionOptions {
        qos: Qos::ExactlyOnce,
        ..Default::default()
    };
    let reasons = client.subscribe_all(&[("a", asked)], Default::default());
    assert_eq!(reasons, [ReasonCode::GrantedQos1]);
    client.send(&Packet::Publish(Publish {
        topic: "a",
        qos: Qos::ExactlyOnce,
        packet_id: Some(id(1)),
        ..Publish::default()
    }));
    client.expect_end(ReasonCode::QosNotSupported);

    let will = Will {
        topic: "a",
        qos: Qos::ExactlyOnce,
        ..Will::default()
    };
    let connect = Connect {
        will: Some(will),
        ..connect
    };
    let (mut client, connack) = Client::request(&broker, &connect);
    assert_eq!(connack.connack().reason, ReasonCode::QosNotSupported);
    client.expect_close();
}

// proves: MQTT5 [MQTT-3.2.2-13]
#[test]
fn mqtt5_3_2_2_13_that_retain_is_not_available_is_announced_and_kept() {
    let broker = Broker::start("", "retain_available = false");
    let name = fresh("client");
    let connect = Connect {
        version: Version::Mqtt5,
        client_id: &name,
        ..Connect::default()
    };
    let (mut client, connack) = Client::request(&broker, &connect);
    assert!(!connack.connack().properties.retain_available());
    client.send(&Packet::Publish(Publish {
        topic: "a",
        retain: true,
        ..Publish::default()
    }));
    client.expect_end(ReasonCode::RetainNotSupported);

    let will = Will {
        topic: "a",
        retain: true,
        ..Will::default()
    };
    let connect = Connect {
        will: Some(will),
        ..connect
    };
    let (mut client, connack) = Client::request(&broker, &connect);
    assert_eq!(connack.connack().reason, ReasonCode::RetainNotSupported);
    client.expect_close();
}

// proves: MQTT5 [MQTT-3.1.2-28]
#[test]
fn mqtt5_3_1_2_28_response_information_comes_only_when_asked_for() {
    let broker = Broker::shared();
    let name = fresh("client");
    let declined = properties(&[Property::RequestResponseInformation(false)]);
    for properties in [Default::default(), declined.as_properties()] {
        let connect = Connect {
            version: Version::Mqtt5,
            client_id: &name,
            properties,
            ..Connect::default()
        };
        let (client, connack) = Client::request(&broker, &connect);
        assert_eq!(connack.connack().properties.response_information(), None);
        client.disconnect();
    }
}

// proves: MQTT5 [MQTT-3.2.2-19] [MQTT-3.2.2-20]
#[test]
fn mqtt5_3_2_2_19_a_connack_keeps_to_the_clients_maximum_packet_size() {
    let broker = Broker::start("access.allow_anonymous = false", "");
    for maximum in [5, 6, 20, 60, 1000] {
        let maximum = std::num::NonZeroU32::new(maximum).expect("not zero");
        let properties = properties(&[Property::MaximumPacketSize(maximum)]);
        let connect = Connect {
            version: Version::Mqtt5,
            client_id: "client",
            properties: properties.as_properties(),
            ..Connect::default()
        };
        // The client checks the size of what it receives.
        let (mut client, connack) = Client::request(&broker, &connect);
        assert_eq!(connack.connack().reason, ReasonCode::NotAuthorized);
        client.expect_close();
    }
}

// proves: MQTT311 [MQTT-4.8.0-1] MQTT5 [MQTT-4.13.1-1] [MQTT-4.13.2-1]
#[test]
fn mqtt_4_13_properties_twice_unknown_or_out_of_place_are_refused() {
    let broker = Broker::shared();
    let (malformed, protocol) = (ReasonCode::MalformedPacket, ReasonCode::ProtocolError);
    let cases: [(&[u8], ReasonCode); 7] = [
        (b"\x11\x00\x00\x00\x01\x11\x00\x00\x00\x01", protocol), // Session Expiry twice
        (b"\x21\x00\x00", protocol),                             // Receive Maximum 0
        (b"\x27\x00\x00\x00\x00", protocol),                     // Maximum Packet Size 0
        (b"\x17\x02", protocol),                                 // Request Problem Information 2
        (b"\x16\x00\x01d", protocol),                            // Authentication Data alone
        (b"\x12\x00\x01c", malformed),                           // belongs to CONNACK
        (b"\x7F", malformed),                                    // unknown
    ];
    for (bytes, reason) in cases {
        let mut body = b"\x00\x04MQTT\x05\x02\x00\x00".to_vec();
        body.push(bytes.len() as u8);
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\x00\x01a");
        let mut client = Client::open(&broker, Version::Mqtt5);
        client.send_bytes(&[0x10, body.len() as u8]);
        client.send_bytes(&body);
        assert_eq!(client.receive().connack().reason, reason, "{bytes:02x?}");
        client.expect_close();
    }
}

// proves: MQTT5 [MQTT-3.1.2-24]
#[test]
fn mqtt5_3_1_2_24_a_client_that_our_connack_does_not_fit_is_refused() {
    let broker = Broker::shared();
    let properties = properties(&[Property::MaximumPacketSize(
        core::num::NonZeroU32::new(10).unwrap(),
    )]);
    let (_client, connack) = Client::request(
        &broker,
        &Connect {
            version: Version::Mqtt5,
            client_id: &fresh("client"),
            clean_start: true,
            properties: properties.as_properties(),
            ..Connect::default()
        },
    );
    assert_eq!(connack.connack().reason, ReasonCode::PacketTooLarge);
    assert!(connack.bytes().len() <= 10);
}
