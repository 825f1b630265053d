//! `dunlin store dump`: a JSON object a line, for people and `jq`.
//!
//! | `kind` | Has |
//! |---|---|
//! | `session` | its client, subscriptions and queue; queues name messages by number |
//! | `retained` | a topic, and the number of its message |
//! | `message` | once, however many refer to it |
//!
//! Times are milliseconds since 1970; what never ends is `null`.

use std::io::{self, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dunlin_session::{Message, Will};
use dunlin_store::{Contents, Delivered, StoredEntry, StoredSession, StoredSubscription};
use serde_json::{Value, json};

/// Writes all that lives; payloads only if asked for: they may be long, and somebody's secret.
pub fn write(out: &mut impl Write, contents: &Contents, payloads: bool) -> io::Result<()> {
    for one in contents.sessions() {
        writeln!(out, "{}", session(&one, payloads))?;
    }
    for message in contents.retained() {
        let retained = json!({
            "kind": "retained",
            "topic": message.topic(),
            "message": message.stored_as(),
        });
        writeln!(out, "{retained}")?;
    }
    for (number, one) in contents.messages() {
        writeln!(out, "{}", message(number, one, payloads))?;
    }
    Ok(())
}

fn session(session: &StoredSession<'_>, payloads: bool) -> Value {
    let expiry = Some(session.expiry()).filter(|seconds| *seconds != u32::MAX);
    json!({
        "kind": "session",
        "client_id": session.client_id(),
        "expiry_seconds": expiry,
        "left_ms": session.left().map(|at| at.0),
        "will": session.will().map(|one| will(one, payloads)),
        "subscriptions": session.subscriptions().map(subscription).collect::<Vec<_>>(),
        "received": session.received().map(|id| id.get()).collect::<Vec<_>>(),
        "queue_length": session.queue().len(),
        "queue": session.queue().map(|one| entry(&one)).collect::<Vec<_>>(),
    })
}

fn will(will: &Will, payloads: bool) -> Value {
    json!({
        "topic": will.topic,
        "qos": will.qos as u8,
        "retain": will.retain,
        "delay_seconds": will.delay.as_secs(),
        "expiry_seconds": will.expiry,
        "payload_bytes": will.payload.len(),
        "payload": payload(&will.payload, payloads),
    })
}

fn subscription(subscription: StoredSubscription<'_>) -> Value {
    json!({
        "filter": subscription.filter,
        "qos": subscription.options.qos() as u8,
        "no_local": subscription.options.no_local(),
        "retain_as_published": subscription.options.retain_as_published(),
        "identifier": subscription.identifier,
    })
}

fn entry(entry: &StoredEntry<'_>) -> Value {
    let (state, packet_id) = match entry.delivered() {
        Delivered::Not => ("waiting", None),
        Delivered::Sent(id) => ("sent", Some(id.get())),
        Delivered::Taken(id) => ("received", Some(id.get())),
    };
    let message = entry.message();
    json!({
        "message": message.map(|_| entry.number()),
        "topic": message.map(Message::topic),
        "qos": entry.qos() as u8,
        "state": state,
        "packet_id": packet_id,
    })
}

fn message(number: u64, message: &Message, payloads: bool) -> Value {
    json!({
        "kind": "message",
        "number": number,
        "topic": message.topic(),
        "qos": message.qos() as u8,
        "retain": message.retain(),
        "expires_ms": message.expires().map(|at| at.0),
        "payload_bytes": message.payload().len(),
        "payload": payload(message.payload(), payloads),
    })
}

fn payload(bytes: &[u8], wanted: bool) -> Option<String> {
    wanted.then(|| BASE64_STANDARD.encode(bytes))
}
