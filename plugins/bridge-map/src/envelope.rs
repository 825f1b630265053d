//! A JSON object with all of a message in it.

use base64::{Engine, prelude::BASE64_STANDARD};
use dunlin_sdk::{Property, bridge::Message};
use serde::Serialize;

#[derive(Serialize)]
struct Envelope<'m> {
    bridge: &'m str,
    topic: &'m str,
    qos: u8,
    retain: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_topic: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_data_base64: Option<String>,
    #[serde(skip_serializing_if = "<[Property]>::is_empty")]
    user_properties: &'m [Property],
    #[serde(flatten)]
    payload: Payload<'m>,
}

#[derive(Serialize)]
enum Payload<'m> {
    #[serde(rename = "payload")]
    Text(&'m str),
    #[serde(rename = "payload_base64")]
    Bytes(String),
}

/// Makes a JSON object the payload, with all of the message, and says so in its content type.
pub fn wrap(bridge: &str, message: &mut Message) {
    let data = message.correlation_data.as_ref();
    let envelope = Envelope {
        bridge,
        topic: &message.topic,
        qos: message.qos as u8,
        retain: message.retain,
        expires_in: message.expires_in,
        content_type: message.content_type.as_deref(),
        response_topic: message.response_topic.as_deref(),
        correlation_data_base64: data.map(|data| BASE64_STANDARD.encode(data)),
        user_properties: &message.user_properties,
        payload: match text(&message.payload) {
            Some(text) => Payload::Text(text),
            None => Payload::Bytes(BASE64_STANDARD.encode(&message.payload)),
        },
    };
    let json = serde_json::to_vec(&envelope).expect("texts and numbers are always JSON");
    message.payload = json;
    message.text = true;
    message.content_type = Some("application/json".into());
}

/// A payload as text, if JSON writes it with twice the bytes at most: a control character but a tab
/// or the end of a line would take six.
fn text(payload: &[u8]) -> Option<&str> {
    let long = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x7f);
    match payload.iter().any(long) {
        true => None,
        false => str::from_utf8(payload).ok(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn payloads_are_text_or_base64() {
        for (payload, name, expected) in [
            (&b""[..], "payload", ""),
            (b"{\"a\": \"\\\\\"}", "payload", "{\"a\": \"\\\\\"}"),
            ("20 °C\t\r\n\x7f".as_bytes(), "payload", "20 °C\t\r\n\x7f"),
            (b"a\0b", "payload_base64", "YQBi"),
            (b"\xff", "payload_base64", "/w=="),
        ] {
            let mut message = Message::new("a", payload);
            wrap("b", &mut message);
            let json: Value = serde_json::from_slice(&message.payload).unwrap();
            assert_eq!(json[name], expected);
            assert_eq!(json["topic"], "a");
            let other = ["payload_base64", "payload"][usize::from(name != "payload")];
            assert_eq!(json[other], Value::Null, "{json}");
        }
    }

    #[test]
    fn an_envelope_has_at_most_twice_the_bytes() {
        for byte in 0..=255 {
            let mut message = Message::new("a", vec![byte; 1_000]);
            wrap("b", &mut message);
            assert!(message.payload.len() < 2_100, "{byte}");
        }
    }
}
