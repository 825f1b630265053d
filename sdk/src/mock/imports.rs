//! The functions that stand in for the broker's.

use super::{HTTP, Published, TOKENS, token, with};
use crate::{
    Qos,
    crypto::TokenError,
    http::{Error, Request, Response},
    log::Level,
};

pub(crate) fn log(level: Level, line: &str) {
    eprintln!("{level:?}: {line}");
    with(|broker| broker.lines.push((level, line.to_owned())));
}

pub(crate) fn add(name: &str, amount: u64) {
    with(|broker| *broker.counters.entry(name.to_owned()).or_default() += amount);
}

pub(crate) fn set(name: &str, value: f64) {
    with(|broker| broker.gauges.insert(name.to_owned(), value));
}

pub(crate) fn wall_ms() -> u64 {
    with(|broker| u64::try_from(broker.wall.as_millis()).unwrap_or(u64::MAX))
}

pub(crate) fn monotonic_ns() -> u64 {
    with(|broker| u64::try_from(broker.monotonic.as_nanos()).unwrap_or(u64::MAX))
}

/// Bytes that differ from call to call and are the same in every run.
pub(crate) fn random(count: u32) -> Vec<u8> {
    assert!(
        count <= 4096,
        "the broker gives at most 4,096 bytes at once"
    );
    let mut bytes = Vec::new();
    while bytes.len() < count as usize {
        let number = with(|broker| {
            broker.random += 1;
            broker.random
        });
        bytes.extend(token::hmac(b"random", &number.to_be_bytes()));
    }
    bytes.truncate(count as usize);
    bytes
}

pub(crate) fn verify_password(hash: &str, password: &[u8]) -> Result<bool, String> {
    with(|broker| match broker.passwords.get(hash) {
        Some(expected) => Ok(expected == password),
        None => Err("no such hash: call mock::password".into()),
    })
}

pub(crate) fn verify_token(key_set: &str, token: &str) -> Result<String, TokenError> {
    // Taken out while it answers, so that it may use the mock.
    if let Some(mut answer) = TOKENS.take() {
        let answered = answer(key_set, token);
        TOKENS.set(Some(answer));
        return answered;
    }
    let (secret, now) = with(|broker| (broker.keys.get(key_set).cloned(), broker.wall));
    match secret {
        Some(secret) => token::verify(&secret, token, now),
        None => Err(TokenError::Unavailable(format!("no key set {key_set}"))),
    }
}

pub(crate) fn hmac_sha256(key: &[u8], data: &[u8]) -> Vec<u8> {
    token::hmac(key, data).to_vec()
}

pub(crate) fn send(request: &Request) -> Result<Response, Error> {
    match HTTP.take() {
        Some(mut answer) => {
            let answered = answer(request);
            HTTP.set(Some(answer));
            answered
        }
        None => Err(Error::NotGranted("no answer: call mock::http".into())),
    }
}

pub(crate) fn publish(topic: &str, payload: &[u8], qos: Qos, retain: bool) -> Result<(), String> {
    if topic.is_empty() || topic.contains(['+', '#', '\0']) {
        return Err(format!("not a topic name: {topic}"));
    }
    let published = Published {
        topic: topic.to_owned(),
        payload: payload.to_vec(),
        qos,
        retain,
    };
    with(|broker| broker.published.push(published));
    Ok(())
}

pub(crate) fn disconnect(client_id: &str) {
    with(|broker| broker.disconnected.push(client_id.to_owned()));
}

pub(crate) fn invalidate() {
    with(|broker| broker.invalidated += 1);
}
