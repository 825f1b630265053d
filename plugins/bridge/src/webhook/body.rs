//! Messages as JSON.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

use crate::map::Mapped;

/// A message as the server gets it. Members that it has no value for are left out.
#[derive(Serialize)]
struct Element<'m> {
    topic: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    qos: u8,
    retain: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_topic: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_data: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    user_properties: Vec<(&'m str, &'m str)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiry: Option<u32>,
}

impl<'m> Element<'m> {
    fn new(message: &'m Mapped) -> Self {
        let text = std::str::from_utf8(&message.payload).ok();
        let base64 = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
        let properties = message.properties.as_properties();
        Element {
            topic: &message.topic,
            payload: text,
            payload_base64: text.is_none().then(|| base64(&message.payload)),
            qos: message.qos as u8,
            retain: message.retain,
            content_type: properties.content_type(),
            response_topic: properties.response_topic(),
            correlation_data: properties.correlation_data().map(base64),
            user_properties: properties.user_properties().collect(),
            expiry: message.expiry,
        }
    }
}

/// The array of these messages.
///
/// # Errors
/// It has no encoding.
pub(crate) fn encode(messages: &[Mapped]) -> Result<Vec<u8>, String> {
    let elements: Vec<_> = messages.iter().map(Element::new).collect();
    serde_json::to_vec(&elements).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use dunlin_codec::{Property, Qos};

    use super::*;

    fn text(messages: &[Mapped]) -> String {
        String::from_utf8(encode(messages).unwrap()).unwrap()
    }

    #[test]
    fn a_bare_message_has_no_members_without_a_value() {
        let message = Mapped::new("a/b".into(), b"say \"hi\"\n".to_vec());
        let expected = r#"[{"topic":"a/b","payload":"say \"hi\"\n","qos":0,"retain":false}]"#;
        assert_eq!(text(&[message]), expected);
        assert_eq!(text(&[]), "[]");
    }

    #[test]
    fn bytes_that_are_no_text_go_as_base64_and_properties_keep_their_order() {
        let mut message = Mapped::new("t".into(), vec![0xff, 0x00, 0x01]);
        (message.qos, message.retain, message.expiry) = (Qos::ExactlyOnce, true, Some(60));
        for property in [
            Property::ContentType("text/x"),
            Property::ResponseTopic("r"),
            Property::CorrelationData(&[0, 1, 2]),
            Property::UserProperty("b", "1"),
            Property::UserProperty("a", "2"),
            Property::UserProperty("b", "3"),
        ] {
            message.properties.push(property).unwrap();
        }
        let expected = concat!(
            r#"[{"topic":"t","payload_base64":"/wAB","qos":2,"retain":true,"#,
            r#""content_type":"text/x","response_topic":"r","correlation_data":"AAEC","#,
            r#""user_properties":[["b","1"],["a","2"],["b","3"]],"expiry":60}]"#,
        );
        assert_eq!(text(&[message]), expected);
    }
}
