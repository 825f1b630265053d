//! From what a plugin answers to the JSON of a case.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::read;
use crate::{Answer, Denial, Effect, Grant, Outcome, Permission, Rule, Verdict};

pub(super) fn outcome(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Granted(granted) => json!({"granted": grant(granted)}),
        Outcome::Denied(Denial::BadCredentials) => json!({"denied": "bad-credentials"}),
        Outcome::Denied(Denial::NotAuthorized) => json!({"denied": "not-authorized"}),
        Outcome::Denied(Denial::BadMethod) => json!({"denied": "bad-method"}),
        Outcome::Denied(Denial::Unavailable(lacking)) => {
            json!({"denied": "unavailable", "what": lacking})
        }
        Outcome::Next => json!({"next": true}),
        Outcome::Continue(step) => json!({"continue": {
            "data": bytes(&step.data),
            "state": bytes(&step.state),
        }}),
    }
}

fn grant(grant: &Grant) -> Value {
    json!({
        "username": grant.username,
        "attributes": grant.attributes,
        "expires_in": grant.expires_in,
        "rules": grant.rules.as_ref().map(|rules| rules.iter().map(rule).collect::<Value>()),
        "data": bytes(&grant.data),
    })
}

fn rule(rule: &Rule) -> Value {
    let permission = match rule.permission {
        Permission::Deny => "deny",
        Permission::Read => "read",
        Permission::Write => "write",
        Permission::ReadWrite => "read-write",
    };
    json!({"permission": permission, "filter": rule.filter})
}

pub(super) fn answer(answer: &Answer) -> Value {
    let effect = match answer.effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
        Effect::Next => "next",
    };
    json!({"effect": effect, "ttl_ms": answer.ttl_ms, "scope": answer.scope})
}

pub(super) fn verdict(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Pass => json!("pass"),
        Verdict::Drop(reason) => json!({"drop": reason}),
        Verdict::Replace(replacement) => json!({"replace": {
            "topic": replacement.topic,
            "payload": replacement.payload.as_deref().map(bytes),
            "user_properties": replacement.user_properties,
            "content_type": replacement.content_type,
        }}),
    }
}

/// A string, or base64 if it is not UTF-8.
fn bytes(bytes: &[u8]) -> Value {
    match str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({"base64": BASE64_STANDARD.encode(bytes)}),
    }
}

/// Whether everything that is expected is found.
///
/// Lists have to be as long as expected.
pub(super) fn agrees(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) if !expected.contains_key("base64") => {
            let mut fields = expected.iter();
            fields.all(|(name, value)| found.get(name).is_some_and(|found| agrees(value, found)))
        }
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len()
                && expected
                    .iter()
                    .zip(found)
                    .all(|(expected, found)| agrees(expected, found))
        }
        (Value::Object(_), _) => read::bytes(expected) == read::bytes(found),
        _ => expected == found,
    }
}
