//! Answers as JSON, and whether they are as expected.

use base64::{Engine, engine::general_purpose::STANDARD};
use dunlin_auth::{Denial, Filtered};
use serde_json::{Map, Value, json};

use crate::{
    auth_words::Judged,
    bindings::exports::dunlin::plugin::{acl, auth},
    fault::Fault,
};

/// The answer of an ACL plugin.
pub(super) fn authorized(answers: &[acl::Answer]) -> Value {
    let answer = |answer: &acl::Answer| {
        let effect = match answer.effect {
            acl::Effect::Allow => "allow",
            acl::Effect::Deny => "deny",
            acl::Effect::Next => "next",
        };
        json!({"effect": effect, "ttl_ms": answer.ttl_ms, "scope": answer.scope})
    };
    answers.iter().map(answer).collect()
}

/// The answer of an auth plugin. `rules` are those of a grant, which it keeps in another form.
pub(super) fn authenticated(judged: &Judged, rules: Option<&[auth::Rule]>) -> Value {
    match judged {
        Judged::Granted(grant) => json!({"granted": {
            "username": grant.username,
            "attributes": grant.attributes,
            "expires_in": grant.expires.map(|time| time.as_secs()),
            "rules": rules.map(|rules| rules.iter().map(rule).collect::<Value>()),
            "data": bytes(grant.data.as_deref().unwrap_or_default()),
        }}),
        Judged::Denied(denial) => match denial {
            Denial::BadCredentials => json!({"denied": "bad-credentials"}),
            Denial::NotAuthorized => json!({"denied": "not-authorized"}),
            Denial::BadMethod => json!({"denied": "bad-method"}),
            Denial::Unavailable(what) => json!({"denied": "unavailable", "what": what}),
            // Denials are made in `auth_words` and are those above.
            other => json!({"denied": other.to_string()}),
        },
        Judged::Next => json!({"next": true}),
        Judged::Continue { data, state } => {
            json!({"continue": {"data": bytes(data), "state": bytes(state)}})
        }
    }
}

fn rule(rule: &auth::Rule) -> Value {
    let permission = match rule.permission {
        auth::Permission::Deny => "deny",
        auth::Permission::Read => "read",
        auth::Permission::Write => "write",
        auth::Permission::ReadWrite => "read-write",
    };
    json!({"permission": permission, "filter": rule.filter})
}

/// The answer of a filter plugin.
pub(super) fn filtered(verdict: &Filtered) -> Value {
    match verdict {
        Filtered::Pass => json!("pass"),
        Filtered::Drop(reason) => json!({"drop": reason}),
        Filtered::Replace(parts) => json!({"replace": {
            "topic": parts.topic,
            "payload": parts.payload.as_deref().map(bytes),
            "user_properties": parts.user_properties,
            "content_type": parts.content_type,
        }}),
        // Never the answer of a plugin, only what stands for none.
        Filtered::Unavailable => json!({"fault": "unavailable"}),
    }
}

/// There is no answer.
pub(super) fn faulty(fault: &Fault) -> Value {
    json!({"fault": fault.kind.as_str(), "what": fault.what})
}

/// A string if they are text.
pub(super) fn bytes(bytes: &[u8]) -> Value {
    match str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({"base64": STANDARD.encode(bytes)}),
    }
}

/// Whether all that `expected` names is so in `actual`.
///
/// Objects may have more fields, arrays not more elements. `"next"` is short for
/// `{"next": true}`, and bytes may be written either way.
pub(super) fn matches(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) if encoded(expected).is_none() => {
            expected.iter().all(|(key, value)| {
                let found = actual.get(key).unwrap_or(&Value::Null);
                key == "next" && found == &json!(true) || matches(value, found)
            })
        }
        (Value::Object(object), actual) => encoded(object).is_some_and(|expected| {
            let found = match actual {
                Value::String(text) => Some(text.clone().into_bytes()),
                Value::Object(actual) => encoded(actual),
                _ => None,
            };
            found == Some(expected)
        }),
        (Value::Array(expected), Value::Array(actual)) => {
            let pairs = expected.iter().zip(actual);
            expected.len() == actual.len()
                && pairs
                    .into_iter()
                    .all(|(expected, actual)| matches(expected, actual))
        }
        (Value::String(next), Value::Object(actual)) if next == "next" => {
            actual.contains_key("next")
        }
        (expected, actual) => expected == actual,
    }
}

/// The bytes of `{"base64": "..."}`.
fn encoded(object: &Map<String, Value>) -> Option<Vec<u8>> {
    match (object.len(), object.get("base64")) {
        (1, Some(Value::String(text))) => STANDARD.decode(text).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_compared() {
        let actual = json!({"granted": {"username": "bob", "attributes": [["a", "b"]],
            "data": "hi", "expires_in": null}});
        for expected in [
            json!({}),
            json!({"granted": {}}),
            json!({"granted": {"username": "bob"}}),
            json!({"granted": {"attributes": [["a", "b"]], "expires_in": null}}),
            json!({"granted": {"data": {"base64": "aGk="}}}),
        ] {
            assert!(matches(&expected, &actual), "{expected}");
        }
        for expected in [
            json!({"denied": "bad-credentials"}),
            json!({"granted": {"username": "eve"}}),
            json!({"granted": {"attributes": []}}),
            json!({"granted": {"expires_in": 1}}),
            json!({"granted": {"data": {"base64": "aGg="}}}),
            json!("next"),
            json!({"next": true}),
            json!([]),
        ] {
            assert!(!matches(&expected, &actual), "{expected}");
        }
        for expected in [json!("next"), json!({"next": true}), json!({"next": null})] {
            assert!(matches(&expected, &json!({"next": true})), "{expected}");
        }
        let binary = json!({"base64": "/w=="});
        assert!(matches(&binary, &bytes(&[0xff])));
        assert!(!matches(&binary, &bytes(b"")));
    }
}
