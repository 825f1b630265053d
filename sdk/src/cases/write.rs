//! From what a plugin answers to the JSON of a case.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::read;
use crate::{
    Answer, Denial, Effect, Grant, Mapped, Outcome, Permission, Rule, Verdict, bridge::Message,
};

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

/// What the broker would not accept of a bridge plugin.
pub(super) fn check_places(mapped: &[Mapped], batch: usize) -> Result<(), String> {
    let mut next = 0;
    for one in mapped {
        let (Mapped::Pass(place) | Mapped::Replace(place, _)) = one else {
            continue;
        };
        let place = *place as usize;
        if place < next || place >= batch {
            return Err(format!(
                "the place {place} is beyond the batch, or not after those before it"
            ));
        }
        next = place + 1;
    }
    Ok(())
}

pub(super) fn mapped(mapped: &Result<Vec<Mapped>, String>) -> Value {
    let one = |mapped: &Mapped| match mapped {
        Mapped::Pass(origin) => json!({"pass": origin}),
        Mapped::Replace(origin, message) => {
            json!({"replace": {"origin": origin, "message": carried(message)}})
        }
        Mapped::Add(message) => json!({"add": carried(message)}),
    };
    match mapped {
        Ok(mapped) => mapped.iter().map(one).collect(),
        Err(error) => json!({"error": error}),
    }
}

fn carried(message: &Message) -> Value {
    json!({
        "topic": message.topic,
        "payload": bytes(&message.payload),
        "qos": message.qos as u8,
        "retain": message.retain,
        "expires_in": message.expires_in,
        "text": message.text,
        "content_type": message.content_type,
        "response_topic": message.response_topic,
        "correlation_data": message.correlation_data.as_deref().map(bytes),
        "user_properties": message.user_properties,
    })
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
