use super::*;
use crate::{
    Answer, Client, Fate, Grant, Manifest, Mapped, Message, Question, Request, Step, Verdict,
    bridge,
};

/// Echoes.
#[derive(serde::Deserialize)]
struct Echo {}

impl Plugin for Echo {
    fn describe() -> Manifest {
        Manifest::new("echo", "1.0.0")
    }
}

impl Auth for Echo {
    fn authenticate(&mut self, request: &Request) -> Outcome {
        match &request.method {
            Some(_) => Outcome::Continue(Step {
                data: b"more".to_vec(),
                state: request.data.clone(),
            }),
            None => Outcome::Granted(Grant::to(request.username.clone().unwrap_or_default())),
        }
    }

    fn resume(&mut self, _: &Request, state: &[u8], data: &[u8]) -> Outcome {
        Outcome::Granted(Grant {
            data: [state, data].concat(),
            ..Grant::anonymous()
        })
    }
}

impl Acl for Echo {
    fn authorize(&mut self, client: &Client, question: &Question) -> Answer {
        Answer::allow_if(question.topic == client.client_id)
    }
}

impl Filter for Echo {
    fn on_publish(&mut self, _: &Client, message: &Message) -> Verdict {
        Verdict::payload(message.payload.clone())
    }
}

impl Bridge for Echo {
    fn egress(&mut self, bridge: &str, message: bridge::Message) -> Fate {
        Fate::Replace(bridge::Message {
            content_type: Some(bridge.into()),
            ..message
        })
    }

    fn ingress_all(&mut self, _: &str, batch: Vec<bridge::Message>) -> Result<Vec<Mapped>, String> {
        match batch.as_slice() {
            [] => Err("nothing".into()),
            [one] => Ok(vec![Mapped::Add(one.clone()), Mapped::Pass(0)]),
            _ => Ok(vec![Mapped::Pass(1), Mapped::Pass(0)]),
        }
    }
}

#[test]
fn cases_are_replayed() {
    auth::<Echo>(
        "{}",
        r#"
{"authenticate": {"client_id": "c", "username": "alice"}, "expect": {"granted": {"username": "alice"}}}
{"authenticate": {"method": "M", "data": {"base64": "/w=="}}, "expect": {"continue": {"data": "more"}}}
// An answer.
{"authenticate": {"method": "M", "data": {"base64": "/w=="}}, "then": ["x"], "expect": {"granted": {"data": {"base64": "/3g="}, "username": null}}}
"#,
    );
    acl::<Echo>(
        "{}",
        r#"{"authorize": {"client": {"client_id": "c"}, "questions":
            [{"action": "publish", "topic": "c"}, {"action": "receive", "topic": "d"}]},
            "expect": [{"effect": "allow"}, {"effect": "next", "ttl_ms": 0}]}"#
            .replace('\n', " ")
            .as_str(),
    );
    filter::<Echo>(
        "{}",
        r#"{"publish": {"client": {}, "message": {"topic": "a", "payload": "x"}}, "expect": {"replace": {"payload": "x"}}}"#,
    );
    super::bridge::<Echo>(
        "{}",
        r#"
{"egress": {"bridge": "b", "batch": [{"topic": "a", "qos": 2, "expires_in": 7, "correlation_data": {"base64": "/w=="}}]}, "expect": [{"replace": {"origin": 0, "message": {"topic": "a", "qos": 2, "expires_in": 7, "content_type": "b", "correlation_data": {"base64": "/w=="}}}}]}
{"ingress": {"bridge": "b", "batch": [{"topic": "a"}]}, "expect": [{"add": {"topic": "a"}}, {"pass": 0}]}
{"ingress": {"batch": []}, "expect": {"error": "nothing"}}
"#,
    );
}

#[test]
#[should_panic(expected = "not after those before it")]
fn places_rise() {
    let case = r#"{"ingress": {"batch": [{"topic": "a"}, {"topic": "b"}]}, "expect": []}"#;
    super::bridge::<Echo>("{}", case);
}

#[test]
#[should_panic(expected = "case \"not bob\" in line 1")]
fn another_answer_is_a_failure() {
    let case = r#"{"name": "not bob", "authenticate": {"username": "alice"}, "expect": {"granted": {"username": "bob"}}}"#;
    auth::<Echo>("{}", case);
}

#[test]
#[should_panic(expected = "authenticate has no field user")]
fn a_misspelled_field_is_a_failure() {
    auth::<Echo>(
        "{}",
        r#"{"authenticate": {"user": "alice"}, "expect": {"next": true}}"#,
    );
}

#[test]
#[should_panic(expected = "it expects nothing")]
fn a_case_expects_something() {
    auth::<Echo>("{}", r#"{"authenticate": {"client_id": "c"}}"#);
}

#[test]
fn what_is_expected_is_compared_by_its_fields() {
    let agree = |expected: &str, found: &str| {
        let read = |json| serde_json::from_str::<Value>(json).unwrap();
        write::agrees(&read(expected), &read(found))
    };
    assert!(agree(r#"{"a": 1}"#, r#"{"a": 1, "b": 2}"#));
    assert!(!agree(r#"{"a": 1, "b": 2}"#, r#"{"a": 1}"#));
    assert!(!agree("[1]", "[1, 2]"));
    assert!(agree(
        r#"{"denied": "unavailable"}"#,
        r#"{"denied": "unavailable", "what": "why"}"#
    ));
    assert!(!agree(
        r#"{"denied": "bad-method"}"#,
        r#"{"denied": "unavailable"}"#
    ));
    assert!(agree(r#"{"base64": "eA=="}"#, r#""x""#));
    assert!(!agree(r#"{"base64": "eQ=="}"#, r#""x""#));
}
