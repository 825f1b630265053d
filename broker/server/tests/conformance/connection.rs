//! How a connection lives and ends: 3.12 to 3.15, 4.12 and 4.13 of version 5, and 3.12 to 3.14 of
//! 3.1.1.

use std::num::NonZeroU32;
use std::process::Command;

use dunlin_codec::{Connect, Disconnect, Packet, Property, Qos, ReasonCode, Version};

use crate::support::{BOTH, Broker, Client, fresh, properties};

// proves: MQTT311 [MQTT-3.12.4-1] [MQTT-7.1.1-1] [MQTT-7.0.0-2]
// proves: MQTT5 [MQTT-3.12.4-1] [MQTT-4.2-1]
#[test]
fn mqtt_3_12_4_1_every_pingreq_is_answered() {
    let broker = Broker::shared();
    for version in BOTH {
        let mut client = Client::clean(&broker, version, &fresh("client"));
        for _ in 0..3 {
            client.ping();
        }
        client.send_bytes(&b"\xC0\x00".repeat(100));
        for _ in 0..100 {
            assert_eq!(client.receive().packet(), Packet::Pingresp);
        }
        // Byte by byte as well.
        client.send_bytes(b"\xC0");
        client.send_bytes(b"\x00");
        assert_eq!(client.receive().packet(), Packet::Pingresp);
    }
}

// proves: MQTT311 [MQTT-3.14.4-1] [MQTT-3.14.4-2] MQTT5 [MQTT-3.14.4-1] [MQTT-3.14.4-2]
#[test]
fn mqtt_3_14_4_after_a_disconnect_nothing_is_done_and_the_connection_closes() {
    let broker = Broker::shared();
    for version in BOTH {
        let topic = fresh("topic");
        let mut reader = Client::clean(&broker, version, &fresh("client"));
        reader.subscribe(&topic, Qos::AtMostOnce);
        let mut client = Client::clean(&broker, version, &fresh("client"));
        let mut bytes = b"\xE0\x00".to_vec();
        let publish = Packet::Publish(dunlin_codec::Publish {
            topic: &topic,
            ..Default::default()
        });
        dunlin_codec::encode(&publish, version, &mut bytes).expect("it has an encoding");
        bytes.extend_from_slice(b"\xC0\x00");
        client.send_bytes(&bytes);
        client.expect_close();
        reader.publish(&topic, b"after", Qos::AtMostOnce);
        reader.expect_message(&topic, b"after");
    }
}

#[test]
fn mqtt_2_1_2_packets_that_only_a_server_sends_end_the_connection() {
    let broker = Broker::shared();
    for version in BOTH {
        let v5 = version.has_properties();
        let packets: [&[u8]; 4] = [
            if v5 {
                b"\x20\x03\x00\x00\x00"
            } else {
                b"\x20\x02\x00\x00"
            },
            if v5 {
                b"\x90\x04\x00\x01\x00\x00"
            } else {
                b"\x90\x03\x00\x01\x00"
            },
            if v5 {
                b"\xB0\x04\x00\x01\x00\x00"
            } else {
                b"\xB0\x02\x00\x01"
            },
            b"\xD0\x00",
        ];
        for packet in packets {
            let mut client = Client::clean(&broker, version, &fresh("client"));
            client.send_bytes(packet);
            client.expect_end(ReasonCode::ProtocolError);
        }
    }
}

// proves: MQTT5 [MQTT-1.5.5-1] [MQTT-4.13.1-1]
#[test]
fn mqtt5_4_13_1_malformed_packets_end_the_connection_with_their_reason() {
    let broker = Broker::shared();
    let packets: [&[u8]; 9] = [
        b"\x00\x00",                                  // type 0
        b"\xC0\x01\x00",                              // PINGREQ with a body
        b"\xC0\x80\x00",                              // a length longer than it must be
        b"\x30\xFF\xFF\xFF\xFF",                      // a length of five bytes
        b"\x30\x04\x00\x09ab",                        // a string beyond the packet
        b"\x40\x01\x00",                              // half a packet id
        b"\x30\x04\x00\x01t\x05",                     // properties beyond the packet
        b"\x30\x06\x00\x01t\x02\x7F\x00",             // an unknown property
        b"\x30\x09\x00\x01t\x05\x11\x00\x00\x00\x01", // a property of CONNECT
    ];
    for packet in packets {
        let mut client = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
        client.send_bytes(packet);
        client.expect_end(ReasonCode::MalformedPacket);
    }
}

// proves: MQTT311 [MQTT-4.8.0-1] [MQTT-2.2.2-2]
#[test]
fn mqtt311_4_8_0_1_a_protocol_violation_ends_the_connection() {
    let broker = Broker::shared();
    let packets: [&[u8]; 6] = [
        b"\x00\x00",
        b"\xF0\x00",
        b"\xC0\x01\x00",
        b"\x30\xFF\xFF\xFF\xFF",
        b"\x30\x04\x00\x09ab",
        b"\x40\x03\x00\x01\x00",
    ];
    for packet in packets {
        let mut client = Client::clean(&broker, Version::Mqtt311, &fresh("client"));
        client.send_bytes(packet);
        client.expect_close();
    }
}

// proves: MQTT5 [MQTT-3.14.2-1] [MQTT-3.14.2-2] [MQTT-3.14.2-3] [MQTT-3.14.2-4]
#[test]
fn mqtt5_3_14_2_3_a_disconnect_keeps_to_the_clients_maximum_packet_size() {
    let broker = Broker::shared();
    for maximum in [20, 40, 200] {
        let name = fresh("client");
        let takes = NonZeroU32::new(maximum).expect("not zero");
        let takes = properties(&[Property::MaximumPacketSize(takes)]);
        let mut client = Client::accepted(
            &broker,
            &Connect {
                version: Version::Mqtt5,
                client_id: &name,
                properties: takes.as_properties(),
                ..Connect::default()
            },
        );
        client.send_bytes(b"\xD0\x00");
        let frame = client.receive();
        let disconnect = frame.disconnect();
        assert_eq!(disconnect.reason, ReasonCode::ProtocolError);
        // The text comes where there is room.
        let text = disconnect.properties.reason_string();
        assert_eq!(text.is_some(), maximum == 200);
        assert_eq!(disconnect.properties.session_expiry_interval(), None);
        client.expect_close();
    }
}

#[test]
fn mqtt5_3_14_2_1_reasons_of_servers_are_refused_from_clients() {
    let broker = Broker::shared();
    let mut client = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
    client.send_bytes(b"\xE0\x01\x8E");
    client.expect_end(ReasonCode::ProtocolError);
}

// proves: MQTT5 [MQTT-4.12.0-1] [MQTT-4.12.0-4]
#[test]
fn mqtt5_4_12_0_1_an_unknown_authentication_method_is_refused_with_its_code() {
    let broker = Broker::shared();
    let name = fresh("client");
    let method = properties(&[
        Property::AuthenticationMethod("unknown"),
        Property::AuthenticationData(b"data"),
    ]);
    let connect = Connect {
        version: Version::Mqtt5,
        client_id: &name,
        properties: method.as_properties(),
        ..Connect::default()
    };
    let (mut client, connack) = Client::request(&broker, &connect);
    let reason = connack.connack().reason;
    assert_eq!(reason, ReasonCode::BadAuthenticationMethod);
    client.expect_close();
}

// proves: MQTT5 [MQTT-4.12.0-6] [MQTT-4.12.0-7]
#[test]
fn mqtt5_4_12_0_6_without_method_there_is_no_auth() {
    let broker = Broker::shared();
    let name = fresh("client");
    let connect = Connect {
        version: Version::Mqtt5,
        client_id: &name,
        ..Connect::default()
    };
    let (mut client, connack) = Client::request(&broker, &connect);
    let method = connack.connack().properties.authentication_method();
    assert_eq!(method, None);
    client.ping();
    client.send_bytes(b"\xF0\x06\x19\x04\x15\x00\x01m");
    client.expect_end(ReasonCode::ProtocolError);
}

#[test]
fn mqtt_4_13_a_server_that_stops_says_so_and_closes() {
    for version in BOTH {
        let broker = Broker::start("", "");
        let mut client = Client::clean(&broker, version, "client");
        let mut other = Client::clean(&broker, version, "other");
        let killed = Command::new("kill")
            .args(["-TERM", &broker.process().to_string()])
            .status();
        assert!(killed.expect("the command").success());
        client.expect_end(ReasonCode::ServerShuttingDown);
        other.expect_end(ReasonCode::ServerShuttingDown);
    }
}

#[test]
fn mqtt5_3_14_2_a_client_may_leave_with_a_reason_and_text() {
    let broker = Broker::shared();
    let text = properties(&[
        Property::ReasonString("tired"),
        Property::UserProperty("a", "b"),
    ]);
    for reason in [ReasonCode::Success, ReasonCode::DisconnectWithWillMessage] {
        let client = Client::clean(&broker, Version::Mqtt5, &fresh("client"));
        client.disconnect_with(Disconnect {
            reason,
            properties: text.as_properties(),
        });
    }
}
