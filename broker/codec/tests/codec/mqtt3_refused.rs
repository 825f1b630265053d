//! Bytes that 3.1 and 3.1.1 refuse, and how a refused CONNECT can still be answered.

use dunlin_codec::{ReasonCode, Version};

use crate::table::{refused, refuses};

refuses! {
    mqtt311_1_5_3_1_ill_formed_utf8: Mqtt311, b"\x30\x03\x00\x01\xFF" => MalformedPacket, "UTF-8";
    mqtt311_1_5_3_2_nul: Mqtt311, b"\x30\x03\x00\x01\x00" => MalformedPacket, "U+0000";
    mqtt311_2_2_1_packet_type_15: Mqtt311, b"\xF0\x00" => MalformedPacket, "type 15";
    mqtt31_2_1_packet_type_15: Mqtt31, b"\xF0\x00" => MalformedPacket, "type 15";
    mqtt311_2_2_2_2_connect_flags: Mqtt311, b"\x11\x0C\x00\x04MQTT\x04\x02\x00\x0A\x00\x00" => MalformedPacket, "fixed header flags";
    mqtt311_2_2_2_2_pingreq_flags: Mqtt311, b"\xC1\x00" => MalformedPacket, "fixed header flags";
    mqtt311_3_6_1_1_pubrel_flags: Mqtt311, b"\x60\x02\x00\x01" => MalformedPacket, "fixed header flags";
    mqtt311_3_8_1_1_subscribe_flags: Mqtt311, b"\x8A\x06\x00\x01\x00\x01a\x00" => MalformedPacket, "fixed header flags";
    mqtt311_3_10_1_1_unsubscribe_flags: Mqtt311, b"\xA0\x05\x00\x01\x00\x01a" => MalformedPacket, "fixed header flags";
    mqtt311_3_14_1_1_disconnect_flags: Mqtt311, b"\xE2\x00" => MalformedPacket, "fixed header flags";
    mqtt31_2_1_pingreq_flags: Mqtt31, b"\xC8\x00" => MalformedPacket, "fixed header flags";
    mqtt31_2_1_subscribe_at_qos_0: Mqtt31, b"\x80\x06\x00\x01\x00\x01a\x00" => MalformedPacket, "fixed header flags";
    mqtt311_2_2_3_length_of_five_bytes: Mqtt311, b"\x30\x80\x80\x80\x80\x01" => MalformedPacket, "four bytes";
    mqtt311_2_3_1_1_packet_id_0: Mqtt311, b"\x32\x05\x00\x01t\x00\x00" => ProtocolError, "identifier 0";
    mqtt311_3_1_2_1_protocol_name: Mqtt311, b"\x10\x0C\x00\x04mqtt\x04\x02\x00\x0A\x00\x00" => UnsupportedProtocolVersion, "name";
    mqtt311_3_1_2_2_level_3_with_the_new_name: Mqtt311, b"\x10\x0C\x00\x04MQTT\x03\x02\x00\x0A\x00\x00" => UnsupportedProtocolVersion, "level";
    mqtt31_3_1_level_4_with_the_old_name: Mqtt31, b"\x10\x0E\x00\x06MQIsdp\x04\x02\x00\x0A\x00\x00" => UnsupportedProtocolVersion, "level";
    mqtt311_3_1_2_3_reserved_flag: Mqtt311, b"\x10\x0C\x00\x04MQTT\x04\x03\x00\x0A\x00\x00" => MalformedPacket, "reserved CONNECT flag";
    mqtt311_3_1_2_13_will_qos_without_will: Mqtt311, b"\x10\x0C\x00\x04MQTT\x04\x12\x00\x0A\x00\x00" => MalformedPacket, "without a will";
    mqtt311_3_1_2_14_will_qos_3: Mqtt311, b"\x10\x11\x00\x04MQTT\x04\x1E\x00\x0A\x00\x00\x00\x01t\x00\x00" => MalformedPacket, "Will QoS 3";
    mqtt311_3_1_2_15_will_retain_without_will: Mqtt311, b"\x10\x0C\x00\x04MQTT\x04\x22\x00\x0A\x00\x00" => MalformedPacket, "without a will";
    mqtt311_3_1_2_19_announced_user_name_missing: Mqtt311, b"\x10\x0C\x00\x04MQTT\x04\x82\x00\x0A\x00\x00" => MalformedPacket, "ends inside";
    mqtt311_3_1_2_22_password_alone: Mqtt311, b"\x10\x0F\x00\x04MQTT\x04\x42\x00\x0A\x00\x00\x00\x01p" => MalformedPacket, "password";
    mqtt31_3_1_password_alone: Mqtt31, b"\x10\x11\x00\x06MQIsdp\x03\x42\x00\x0A\x00\x00\x00\x01p" => MalformedPacket, "password";
    mqtt31_3_1_user_name_cut: Mqtt31, b"\x10\x11\x00\x06MQIsdp\x03\x82\x00\x0A\x00\x00\x00\x05u" => MalformedPacket, "ends inside";
    mqtt311_3_1_connect_followed: Mqtt311, b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x0A\x00\x00\x00" => MalformedPacket, "last field";
    mqtt311_3_2_2_1_connack_flags: Mqtt311, b"\x20\x02\x02\x00" => MalformedPacket, "CONNACK flags";
    mqtt311_3_2_2_3_reserved_return_code: Mqtt311, b"\x20\x02\x00\x06" => MalformedPacket, "return code";
    mqtt311_3_2_2_4_refusal_with_session_present: Mqtt311, b"\x20\x02\x01\x05" => ProtocolError, "Session Present";
    mqtt311_3_3_1_2_dup_at_qos_0: Mqtt311, b"\x38\x03\x00\x01t" => ProtocolError, "DUP";
    mqtt311_3_3_1_4_qos_3: Mqtt311, b"\x36\x05\x00\x01t\x00\x01" => MalformedPacket, "QoS 3";
    mqtt31_3_3_qos_3: Mqtt31, b"\x36\x05\x00\x01t\x00\x01" => MalformedPacket, "QoS 3";
    mqtt311_3_4_puback_with_reason: Mqtt311, b"\x40\x03\x00\x01\x00" => MalformedPacket, "last field";
    mqtt311_3_8_3_3_subscribe_without_filter: Mqtt311, b"\x82\x02\x00\x01" => ProtocolError, "without topic filter";
    mqtt311_3_8_3_4_reserved_option_bits: Mqtt311, b"\x82\x06\x00\x01\x00\x01a\x04" => MalformedPacket, "reserved subscription";
    mqtt311_3_8_3_4_qos_3: Mqtt311, b"\x82\x06\x00\x01\x00\x01a\x03" => ProtocolError, "QoS 3";
    mqtt311_3_9_3_2_reserved_return_code: Mqtt311, b"\x90\x03\x00\x01\x03" => MalformedPacket, "return code";
    mqtt311_3_9_3_2_return_code_of_version_5: Mqtt311, b"\x90\x03\x00\x01\x87" => MalformedPacket, "return code";
    mqtt311_3_9_suback_without_return_code: Mqtt311, b"\x90\x02\x00\x01" => ProtocolError, "without reason";
    mqtt311_3_10_3_2_unsubscribe_without_filter: Mqtt311, b"\xA2\x02\x00\x01" => ProtocolError, "without topic filter";
    mqtt311_3_11_unsuback_with_payload: Mqtt311, b"\xB0\x03\x00\x01\x00" => MalformedPacket, "last field";
    mqtt311_3_12_pingreq_with_body: Mqtt311, b"\xC0\x01\x00" => MalformedPacket, "last field";
    mqtt311_3_14_disconnect_with_reason: Mqtt311, b"\xE0\x01\x00" => MalformedPacket, "last field";
}

#[test]
fn mqtt311_3_1_2_2_a_refused_connect_tells_how_to_answer() {
    let unsupported = ReasonCode::UnsupportedProtocolVersion;
    let malformed = ReasonCode::MalformedPacket;
    let answers: [(&[u8], ReasonCode, Option<Version>); 5] = [
        (
            b"\x10\x0C\x00\x04HTTP\x04\x02\x00\x0A\x00\x00",
            unsupported,
            None,
        ),
        (
            b"\x10\x0C\x00\x04MQTT\x09\x02\x00\x0A\x00\x00",
            unsupported,
            Some(Version::Mqtt311),
        ),
        (
            b"\x10\x0C\x00\x04MQTT\x04\x03\x00\x0A\x00\x00",
            malformed,
            Some(Version::Mqtt311),
        ),
        (
            b"\x10\x0D\x00\x04MQTT\x05\x03\x00\x0A\x00\x00\x00",
            malformed,
            Some(Version::Mqtt5),
        ),
        (
            b"\x10\x0E\x00\x06MQIsdp\x03\x42\x00\x0A\x00\x00",
            malformed,
            Some(Version::Mqtt31),
        ),
    ];
    for (bytes, reason, answer_in) in answers {
        let error = refused(Version::Mqtt5, bytes, reason, "");
        assert_eq!(error.connect_version, answer_in, "{error}");
    }
}
