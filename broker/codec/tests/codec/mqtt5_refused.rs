//! Bytes that version 5 refuses.

use dunlin_codec::{ReasonCode, Version};

use crate::table::refuses;

refuses! {
    mqtt5_1_5_4_1_ill_formed_utf8: Mqtt5, b"\x30\x04\x00\x01\xFF\x00" => MalformedPacket, "UTF-8";
    mqtt5_1_5_4_1_surrogates: Mqtt5, b"\x30\x06\x00\x03\xED\xA0\x80\x00" => MalformedPacket, "UTF-8";
    mqtt5_1_5_4_1_overlong_utf8: Mqtt5, b"\x30\x05\x00\x02\xC0\xAF\x00" => MalformedPacket, "UTF-8";
    mqtt5_1_5_4_1_cut_utf8: Mqtt5, b"\x30\x05\x00\x02\xE2\x82\x00" => MalformedPacket, "UTF-8";
    mqtt5_1_5_4_1_above_10ffff: Mqtt5, b"\x30\x07\x00\x04\xF4\x90\x80\x80\x00" => MalformedPacket, "UTF-8";
    mqtt5_1_5_4_2_nul: Mqtt5, b"\x30\x05\x00\x02a\x00\x00" => MalformedPacket, "U+0000";
    mqtt5_1_5_4_2_nul_in_a_long_string: Mqtt5,
        b"\x30\x0F\x00\x0Cabcd\x00efghijk\x00" => MalformedPacket, "U+0000";
    mqtt5_1_5_5_1_length_longer_than_needed: Mqtt5, b"\xC0\x80\x00" => MalformedPacket, "more bytes";
    mqtt5_1_5_5_1_connect_length_longer_than_needed: Mqtt311,
        b"\x10\x8D\x00\x00\x04MQTT\x05\x02\x00\x3C\x00\x00\x00" => MalformedPacket, "more bytes";
    mqtt5_1_5_5_1_property_length_longer_than_needed: Mqtt5,
        b"\x30\x05\x00\x01t\x80\x00" => MalformedPacket, "more bytes";
    mqtt5_1_5_5_length_of_five_bytes: Mqtt5, b"\x30\x80\x80\x80\x80\x01" => MalformedPacket, "four bytes";
    mqtt5_1_5_5_length_that_cannot_end_in_four_bytes: Mqtt5, b"\x30\xFF\xFF\xFF\xFF" => MalformedPacket, "four bytes";
    mqtt5_2_1_2_packet_type_0: Mqtt5, b"\x00" => MalformedPacket, "type 0";
    mqtt5_2_2_1_3_packet_id_0_in_publish: Mqtt5, b"\x32\x06\x00\x01t\x00\x00\x00" => ProtocolError, "identifier 0";
    mqtt5_2_2_1_3_packet_id_0_in_subscribe: Mqtt5, b"\x82\x07\x00\x00\x00\x00\x01a\x00" => ProtocolError, "identifier 0";
    mqtt5_2_2_1_3_packet_id_0_in_unsubscribe: Mqtt5, b"\xA2\x06\x00\x00\x00\x00\x01a" => ProtocolError, "identifier 0";
    mqtt5_2_2_1_3_packet_id_0_in_puback: Mqtt5, b"\x40\x02\x00\x00" => ProtocolError, "identifier 0";

    mqtt5_3_1_2_1_protocol_name: Mqtt5, b"\x10\x0D\x00\x04MQTX\x05\x02\x00\x3C\x00\x00\x00" => UnsupportedProtocolVersion, "name";
    mqtt5_3_1_2_2_protocol_level_6: Mqtt5, b"\x10\x0D\x00\x04MQTT\x06\x02\x00\x3C\x00\x00\x00" => UnsupportedProtocolVersion, "level";
    mqtt5_3_1_2_2_bridge_bit_on_level_5: Mqtt5, b"\x10\x0D\x00\x04MQTT\x85\x02\x00\x3C\x00\x00\x00" => UnsupportedProtocolVersion, "level";
    mqtt5_3_1_2_3_reserved_flag: Mqtt5, b"\x10\x0D\x00\x04MQTT\x05\x03\x00\x3C\x00\x00\x00" => MalformedPacket, "reserved CONNECT flag";
    mqtt5_3_1_2_11_will_qos_without_will: Mqtt5, b"\x10\x0D\x00\x04MQTT\x05\x0A\x00\x3C\x00\x00\x00" => MalformedPacket, "without a will";
    mqtt5_3_1_2_13_will_retain_without_will: Mqtt5, b"\x10\x0D\x00\x04MQTT\x05\x22\x00\x3C\x00\x00\x00" => MalformedPacket, "without a will";
    mqtt5_3_1_2_12_will_qos_3: Mqtt5,
        b"\x10\x13\x00\x04MQTT\x05\x1E\x00\x3C\x00\x00\x00\x00\x00\x01t\x00\x00" => MalformedPacket, "Will QoS 3";
    mqtt5_3_1_3_4_client_id_utf8: Mqtt5, b"\x10\x0E\x00\x04MQTT\x05\x02\x00\x3C\x00\x00\x01\xFF" => MalformedPacket, "UTF-8";
    mqtt5_3_1_3_11_will_topic_utf8: Mqtt5,
        b"\x10\x13\x00\x04MQTT\x05\x06\x00\x3C\x00\x00\x00\x00\x00\x01\xFF\x00\x00" => MalformedPacket, "UTF-8";
    mqtt5_3_1_3_12_user_name_utf8: Mqtt5, b"\x10\x10\x00\x04MQTT\x05\x82\x00\x3C\x00\x00\x00\x00\x01\xFF" => MalformedPacket, "UTF-8";
    mqtt5_3_1_2_17_announced_user_name_missing: Mqtt5, b"\x10\x0D\x00\x04MQTT\x05\x82\x00\x3C\x00\x00\x00" => MalformedPacket, "ends inside";
    mqtt5_3_1_2_19_announced_password_missing: Mqtt5, b"\x10\x0D\x00\x04MQTT\x05\x42\x00\x3C\x00\x00\x00" => MalformedPacket, "ends inside";
    mqtt5_3_1_2_16_user_name_not_announced: Mqtt5, b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3C\x00\x00\x00\x00\x01u" => MalformedPacket, "last field";
    mqtt5_3_1_connect_without_client_id: Mqtt5, b"\x10\x0B\x00\x04MQTT\x05\x02\x00\x3C\x00" => MalformedPacket, "ends inside";

    mqtt5_3_2_2_1_connack_flags: Mqtt5, b"\x20\x03\x02\x00\x00" => MalformedPacket, "CONNACK flags";
    mqtt5_3_2_2_6_refusal_with_session_present: Mqtt5, b"\x20\x03\x01\x87\x00" => ProtocolError, "Session Present";
    mqtt5_3_2_2_8_connack_reason_of_another_packet: Mqtt5, b"\x20\x03\x00\x8E\x00" => ProtocolError, "does not belong";
    mqtt5_3_2_2_8_connack_reason_unknown: Mqtt5, b"\x20\x03\x00\x7F\x00" => MalformedPacket, "does not exist";
    mqtt5_3_2_2_3_connack_without_property_length: Mqtt5, b"\x20\x02\x00\x00" => MalformedPacket, "ends inside";
    mqtt5_3_2_connack_followed: Mqtt5, b"\x20\x04\x00\x00\x00\x00" => MalformedPacket, "last field";

    mqtt5_3_3_1_2_dup_at_qos_0: Mqtt5, b"\x38\x04\x00\x01t\x00" => ProtocolError, "DUP";
    mqtt5_3_3_1_4_qos_3: Mqtt5, b"\x36\x06\x00\x01t\x00\x01\x00" => MalformedPacket, "QoS 3";
    mqtt5_3_3_1_4_qos_3_before_the_length_comes: Mqtt5, b"\x36" => MalformedPacket, "QoS 3";
    mqtt5_3_3_2_publish_ends_in_topic: Mqtt5, b"\x30\x04\x00\x05ab" => MalformedPacket, "ends inside";
    mqtt5_3_3_2_publish_ends_before_packet_id: Mqtt5, b"\x32\x03\x00\x01t" => MalformedPacket, "ends inside";
    mqtt5_3_3_2_3_publish_without_property_length: Mqtt5, b"\x30\x03\x00\x01t" => MalformedPacket, "ends inside";
    mqtt5_3_3_2_3_publish_ends_in_properties: Mqtt5, b"\x30\x05\x00\x01t\x02\x01" => MalformedPacket, "ends inside";

    mqtt5_3_4_2_1_puback_reason: Mqtt5, b"\x40\x03\x00\x01\x92" => ProtocolError, "does not belong";
    mqtt5_3_5_2_1_pubrec_reason: Mqtt5, b"\x50\x03\x00\x01\x92" => ProtocolError, "does not belong";
    mqtt5_3_6_2_1_pubrel_reason: Mqtt5, b"\x62\x03\x00\x01\x10" => ProtocolError, "does not belong";
    mqtt5_3_7_2_1_pubcomp_reason: Mqtt5, b"\x70\x03\x00\x01\x87" => ProtocolError, "does not belong";
    mqtt5_3_4_2_puback_reason_unknown: Mqtt5, b"\x40\x03\x00\x01\x03" => MalformedPacket, "does not exist";
    mqtt5_3_4_2_puback_without_packet_id: Mqtt5, b"\x40\x01\x00" => MalformedPacket, "ends inside";
    mqtt5_3_4_2_puback_followed: Mqtt5, b"\x40\x05\x00\x01\x00\x00\x00" => MalformedPacket, "last field";

    mqtt5_3_8_3_1_filter_utf8: Mqtt5, b"\x82\x07\x00\x01\x00\x00\x01\xFF\x00" => MalformedPacket, "UTF-8";
    mqtt5_3_8_3_2_subscribe_without_filter: Mqtt5, b"\x82\x03\x00\x01\x00" => ProtocolError, "without topic filter";
    mqtt5_3_8_3_4_no_local_on_a_shared_subscription: Mqtt5,
        b"\x82\x10\x00\x01\x00\x00\x0A$share/g/t\x04" => ProtocolError, "No Local";
    mqtt5_3_8_3_5_reserved_option_bits: Mqtt5, b"\x82\x07\x00\x01\x00\x00\x01a\x40" => MalformedPacket, "reserved subscription";
    mqtt5_3_8_3_1_retain_handling_3: Mqtt5, b"\x82\x07\x00\x01\x00\x00\x01a\x30" => ProtocolError, "Retain Handling 3";
    mqtt5_3_8_3_1_maximum_qos_3: Mqtt5, b"\x82\x07\x00\x01\x00\x00\x01a\x03" => ProtocolError, "QoS 3";
    mqtt5_3_8_3_filter_without_options: Mqtt5, b"\x82\x06\x00\x01\x00\x00\x01a" => MalformedPacket, "ends inside";
    mqtt5_3_8_3_second_filter_cut: Mqtt5, b"\x82\x08\x00\x01\x00\x00\x01a\x00\x00" => MalformedPacket, "ends inside";

    mqtt5_3_9_3_2_suback_reason: Mqtt5, b"\x90\x04\x00\x01\x00\x11" => ProtocolError, "does not belong";
    mqtt5_3_9_3_suback_without_reason: Mqtt5, b"\x90\x03\x00\x01\x00" => ProtocolError, "without reason";
    mqtt5_3_10_3_1_filter_utf8: Mqtt5, b"\xA2\x06\x00\x01\x00\x00\x01\xFF" => MalformedPacket, "UTF-8";
    mqtt5_3_10_3_2_unsubscribe_without_filter: Mqtt5, b"\xA2\x03\x00\x01\x00" => ProtocolError, "without topic filter";
    mqtt5_3_11_3_2_unsuback_reason: Mqtt5, b"\xB0\x04\x00\x01\x00\x01" => ProtocolError, "does not belong";
    mqtt5_3_11_3_unsuback_without_reason: Mqtt5, b"\xB0\x03\x00\x01\x00" => ProtocolError, "without reason";

    mqtt5_3_12_pingreq_with_body: Mqtt5, b"\xC0\x01\x00" => MalformedPacket, "last field";
    mqtt5_3_13_pingresp_with_body: Mqtt5, b"\xD0\x01\x00" => MalformedPacket, "last field";
    mqtt5_3_14_2_1_disconnect_reason: Mqtt5, b"\xE0\x01\x10" => ProtocolError, "does not belong";
    mqtt5_3_14_2_disconnect_followed: Mqtt5, b"\xE0\x03\x00\x00\x00" => MalformedPacket, "last field";
    mqtt5_3_15_2_1_auth_reason: Mqtt5, b"\xF0\x06\x87\x04\x15\x00\x01m" => ProtocolError, "does not belong";
    mqtt5_3_15_2_2_2_auth_without_method: Mqtt5, b"\xF0\x02\x18\x00" => ProtocolError, "without Authentication Method";
    mqtt5_3_15_2_auth_without_property_length: Mqtt5, b"\xF0\x01\x18" => MalformedPacket, "ends inside";
    mqtt5_3_15_2_auth_followed: Mqtt5, b"\xF0\x07\x18\x04\x15\x00\x01m\x00" => MalformedPacket, "last field";
}

/// The one value of the low four bits that each type but PUBLISH may have (table 2-2).
#[test]
fn mqtt5_2_1_3_1_reserved_flags_of_every_type() {
    let reason = ReasonCode::MalformedPacket;
    for packet_type in (2..=15_u8).filter(|&packet_type| packet_type != 3) {
        let right = if matches!(packet_type, 6 | 8 | 10) {
            2
        } else {
            0
        };
        for flags in (0..16).filter(|&flags| flags != right) {
            let bytes = [packet_type << 4 | flags];
            crate::table::refused(Version::Mqtt5, &bytes, reason, "fixed header flags");
            crate::table::refused(Version::Mqtt5, &[bytes[0], 0], reason, "fixed header flags");
        }
    }
    // A CONNECT has to say its version first.
    for flags in 1..16 {
        let mut bytes = *b"\x10\x0D\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00";
        bytes[0] |= flags;
        crate::table::refused(Version::Mqtt5, &bytes, reason, "fixed header flags");
    }
}
