//! Properties that version 5 refuses: where they do not belong, twice, or with a wrong value.

use dunlin_codec::{PacketType, Properties, PropertyPlace, ReasonCode};

use crate::table::refuses;

refuses! {
    mqtt5_3_1_2_11_3_receive_maximum_0: Mqtt5,
        b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3C\x03\x21\x00\x00\x00\x00" => ProtocolError, "Receive Maximum";
    mqtt5_3_1_2_11_4_maximum_packet_size_0: Mqtt5,
        b"\x10\x12\x00\x04MQTT\x05\x02\x00\x3C\x05\x27\x00\x00\x00\x00\x00\x00" => ProtocolError, "Maximum Packet Size";
    mqtt5_3_1_2_11_7_request_problem_information_2: Mqtt5,
        b"\x10\x0F\x00\x04MQTT\x05\x02\x00\x3C\x02\x17\x02\x00\x00" => ProtocolError, "0 or 1";
    mqtt5_3_1_2_11_10_authentication_data_alone: Mqtt5,
        b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3C\x03\x16\x00\x00\x00\x00" => ProtocolError, "Authentication Data";
    mqtt5_3_1_3_2_will_delay_twice: Mqtt5,
        b"\x10\x1C\x00\x04MQTT\x05\x06\x00\x3C\x00\x00\x00\
          \x0A\x18\x00\x00\x00\x01\x18\x00\x00\x00\x01\x00\x00\x00\x00" => ProtocolError, "twice";
    mqtt5_3_2_2_3_4_maximum_qos_2: Mqtt5, b"\x20\x05\x00\x00\x02\x24\x02" => ProtocolError, "0 or 1";
    mqtt5_3_3_2_3_2_payload_format_2: Mqtt5, b"\x30\x06\x00\x01t\x02\x01\x02" => ProtocolError, "0 or 1";
    mqtt5_3_3_2_8_topic_alias_0: Mqtt5, b"\x30\x07\x00\x01t\x03\x23\x00\x00" => TopicAliasInvalid, "Topic Alias";
    mqtt5_3_3_2_3_4_topic_alias_twice: Mqtt5,
        b"\x30\x0A\x00\x01t\x06\x23\x00\x01\x23\x00\x01" => ProtocolError, "twice";
    mqtt5_3_3_2_13_response_topic_utf8: Mqtt5, b"\x30\x08\x00\x01t\x04\x08\x00\x01\xFF" => MalformedPacket, "UTF-8";
    mqtt5_3_3_2_14_response_topic_with_wildcard: Mqtt5, b"\x30\x08\x00\x01t\x04\x08\x00\x01+" => ProtocolError, "Response Topic";
    mqtt5_3_3_2_14_response_topic_with_multi_level_wildcard: Mqtt5,
        b"\x30\x0A\x00\x01t\x06\x08\x00\x03a/#" => ProtocolError, "Response Topic";
    mqtt5_4_7_3_1_response_topic_empty: Mqtt5, b"\x30\x07\x00\x01t\x03\x08\x00\x00" => ProtocolError, "Response Topic";
    mqtt5_3_3_2_3_8_subscription_identifier_0: Mqtt5, b"\x30\x06\x00\x01t\x02\x0B\x00" => ProtocolError, "Identifier is 0";
    mqtt5_3_3_2_3_8_subscription_identifier_of_five_bytes: Mqtt5,
        b"\x30\x0A\x00\x01t\x06\x0B\x80\x80\x80\x80\x01" => MalformedPacket, "four bytes";
    mqtt5_3_8_2_1_2_subscription_identifier_twice: Mqtt5,
        b"\x82\x0B\x00\x01\x04\x0B\x01\x0B\x02\x00\x01a\x00" => ProtocolError, "twice";
    mqtt5_3_8_2_1_2_subscription_identifier_0: Mqtt5,
        b"\x82\x09\x00\x01\x02\x0B\x00\x00\x01a\x00" => ProtocolError, "Identifier is 0";
    mqtt5_1_5_7_1_user_property_name_utf8: Mqtt5,
        b"\x30\x0A\x00\x01t\x06\x26\x00\x01\xFF\x00\x00" => MalformedPacket, "UTF-8";
    mqtt5_1_5_7_1_user_property_value_nul: Mqtt5,
        b"\x30\x0A\x00\x01t\x06\x26\x00\x00\x00\x01\x00" => MalformedPacket, "U+0000";
    mqtt5_1_5_7_user_property_without_value: Mqtt5,
        b"\x30\x08\x00\x01t\x04\x26\x00\x01k" => MalformedPacket, "ends inside";
    mqtt5_2_2_2_2_unknown_property: Mqtt5, b"\x30\x06\x00\x01t\x02\x04\x00" => MalformedPacket, "unknown property";
    mqtt5_2_2_2_2_property_identifier_of_two_bytes: Mqtt5,
        b"\x30\x07\x00\x01t\x03\x81\x00\x01" => MalformedPacket, "unknown property";
    mqtt5_2_2_2_property_past_the_property_length: Mqtt5,
        b"\x30\x08\x00\x01t\x02\x02\x00\x00\x00" => MalformedPacket, "ends inside";
}

const PLACES: [PropertyPlace; 14] = [
    PropertyPlace::Packet(PacketType::Connect),
    PropertyPlace::Packet(PacketType::Connack),
    PropertyPlace::Packet(PacketType::Publish),
    PropertyPlace::Packet(PacketType::Puback),
    PropertyPlace::Packet(PacketType::Pubrec),
    PropertyPlace::Packet(PacketType::Pubrel),
    PropertyPlace::Packet(PacketType::Pubcomp),
    PropertyPlace::Packet(PacketType::Subscribe),
    PropertyPlace::Packet(PacketType::Suback),
    PropertyPlace::Packet(PacketType::Unsubscribe),
    PropertyPlace::Packet(PacketType::Unsuback),
    PropertyPlace::Packet(PacketType::Disconnect),
    PropertyPlace::Packet(PacketType::Auth),
    PropertyPlace::Will,
];

/// Table 2-4 written out: the bytes of one property, and one letter per place of `PLACES`.
#[rustfmt::skip]
const TABLE_2_4: [(&[u8], &str); 27] = [
    (b"\x01\x01",                 "..P..........W"),
    (b"\x02\x00\x00\x00\x01",     "..P..........W"),
    (b"\x03\x00\x01c",            "..P..........W"),
    (b"\x08\x00\x01r",            "..P..........W"),
    (b"\x09\x00\x01d",            "..P..........W"),
    (b"\x0B\x01",                 "..P....S......"),
    (b"\x11\x00\x00\x00\x01",     "CC.........D.."),
    (b"\x12\x00\x01a",            ".C............"),
    (b"\x13\x00\x01",             ".C............"),
    (b"\x15\x00\x01m",            "CC..........A."),
    (b"\x16\x00\x01d",            "CC..........A."),
    (b"\x17\x01",                 "C............."),
    (b"\x18\x00\x00\x00\x01",     ".............W"),
    (b"\x19\x01",                 "C............."),
    (b"\x1A\x00\x01i",            ".C............"),
    (b"\x1C\x00\x01s",            ".C.........D.."),
    (b"\x1F\x00\x01r",            ".C.PPPP.S.UDA."),
    (b"\x21\x00\x01",             "CC............"),
    (b"\x22\x00\x01",             "CC............"),
    (b"\x23\x00\x01",             "..P..........."),
    (b"\x24\x01",                 ".C............"),
    (b"\x25\x01",                 ".C............"),
    (b"\x26\x00\x01k\x00\x01v",   "CCPPPPPSSUUDAW"),
    (b"\x27\x00\x00\x00\x01",     "CC............"),
    (b"\x28\x01",                 ".C............"),
    (b"\x29\x01",                 ".C............"),
    (b"\x2A\x01",                 ".C............"),
];

#[test]
fn mqtt5_2_2_2_2_every_property_only_where_it_belongs() {
    for (property, belongs) in TABLE_2_4 {
        for (place, belongs) in PLACES.into_iter().zip(belongs.chars()) {
            let mut bytes = property.to_vec();
            if property[0] == 0x16 && belongs != '.' {
                bytes.extend_from_slice(b"\x15\x00\x01m"); // data needs its method
            }
            let parsed = Properties::parse(&bytes, place);
            if belongs == '.' {
                let error = parsed.expect_err("misplaced");
                assert_eq!(
                    error.reason,
                    ReasonCode::MalformedPacket,
                    "{property:?} in {place:?}"
                );
                assert!(error.what.contains("does not belong here"), "{error}");
            } else {
                assert_eq!(parsed.expect("in its place").as_bytes(), bytes);
            }
        }
    }
}

#[test]
fn mqtt5_2_2_2_2_every_property_once_unless_the_standard_says_otherwise() {
    for (property, belongs) in TABLE_2_4 {
        for (place, _) in PLACES
            .into_iter()
            .zip(belongs.chars())
            .filter(|(_, c)| *c != '.')
        {
            let in_publish = place == PropertyPlace::Packet(PacketType::Publish);
            let repeats = property[0] == 0x26 || property[0] == 0x0B && in_publish;
            let twice = [property, property].concat();
            match Properties::parse(&twice, place) {
                Ok(properties) => assert!(repeats && properties.iter().count() == 2),
                Err(error) => {
                    assert!(
                        !repeats && error.reason == ReasonCode::ProtocolError,
                        "{error}"
                    );
                }
            }
        }
    }
}

#[test]
fn mqtt5_2_2_2_every_property_cut_short() {
    for (property, belongs) in TABLE_2_4 {
        let place = PLACES[belongs.find(|c| c != '.').expect("belongs somewhere")];
        for end in 1..property.len() {
            let error = Properties::parse(&property[..end], place).expect_err("cut");
            assert_eq!(
                error.reason,
                ReasonCode::MalformedPacket,
                "{property:?} cut at {end}"
            );
        }
    }
}
