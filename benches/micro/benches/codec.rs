//! PUBLISH and PUBACK through the codec, in nanoseconds per packet: `cargo bench -p dunlin-micro
//! --bench codec`. Prints the fastest of many batches, which a busy machine disturbs least.

use std::hint::black_box;

use dunlin_codec::{
    AckKind, Packet, PacketId, PropertiesBuf, Property, Publish, PublishParts, Qos, ReasonCode,
    Version, decode, encode, encode_ack,
};
use dunlin_micro::report;

const TOPIC: &str = "site/7/device/42/temp";
const PAYLOAD: &[u8] = &[b'x'; 64];

fn main() {
    for version in [Version::Mqtt311, Version::Mqtt5] {
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce] {
            decode_publish(version, qos, &PropertiesBuf::new(), "");
            encode_publish(version, qos, &[], "");
        }
    }
    let properties = forwarded_properties();
    let forwarded = properties.as_properties().as_bytes();
    decode_publish(
        Version::Mqtt5,
        Qos::AtLeastOnce,
        &properties,
        ", 4 properties",
    );
    encode_publish(
        Version::Mqtt5,
        Qos::AtLeastOnce,
        forwarded,
        ", 4 properties",
    );
    acknowledge();
}

fn forwarded_properties() -> PropertiesBuf {
    let mut properties = PropertiesBuf::new();
    for property in [
        Property::PayloadFormatIndicator(true),
        Property::ContentType("text/plain"),
        Property::ResponseTopic("site/7/answers"),
        Property::UserProperty("trace", "0af7651916cd43dd"),
    ] {
        properties.push(property).expect("short texts");
    }
    properties
}

fn decode_publish(version: Version, qos: Qos, properties: &PropertiesBuf, note: &str) {
    let publish = Publish {
        qos,
        topic: TOPIC,
        packet_id: packet_id(qos),
        properties: properties.as_properties(),
        payload: PAYLOAD,
        ..Publish::default()
    };
    let mut bytes = Vec::new();
    encode(&Packet::Publish(publish), version, &mut bytes).expect("a valid packet");
    report(&format!("decode {version:?} PUBLISH {qos:?}{note}"), || {
        black_box(&decode(black_box(&bytes), version, 1 << 20))
            .as_ref()
            .expect("a valid packet");
    });
}

fn encode_publish(version: Version, qos: Qos, forwarded: &[u8], note: &str) {
    let parts = PublishParts {
        qos,
        topic: TOPIC.as_bytes(),
        packet_id: packet_id(qos),
        forwarded,
        payload: PAYLOAD,
        ..PublishParts::default()
    };
    let mut out = Vec::with_capacity(4096);
    report(&format!("encode {version:?} PUBLISH {qos:?}{note}"), || {
        out.clear();
        black_box(&parts)
            .encode(version, &mut out)
            .expect("a valid packet");
        black_box(&out);
    });
}

fn acknowledge() {
    let mut out = Vec::with_capacity(4096);
    let id = PacketId::MAX;
    report("encode PUBACK", || {
        out.clear();
        encode_ack(
            AckKind::Puback,
            black_box(id),
            ReasonCode::Success,
            Version::Mqtt5,
            &mut out,
        );
        black_box(&out);
    });
    report("decode PUBACK", || {
        black_box(&decode(black_box(&out), Version::Mqtt5, 1 << 20))
            .as_ref()
            .expect("a valid packet");
    });
}

fn packet_id(qos: Qos) -> Option<PacketId> {
    (qos != Qos::AtMostOnce).then_some(PacketId::MIN)
}
