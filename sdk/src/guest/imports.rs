//! What the broker does for a plugin, by calling the broker.

use crate::{
    Qos,
    crypto::TokenError,
    guest::bindings::dunlin::plugin as host,
    http::{Error, Request, Response},
    log::Level,
};

pub fn log(level: Level, line: &str) {
    let level = match level {
        Level::Error => host::log::Level::Error,
        Level::Warn => host::log::Level::Warn,
        Level::Info => host::log::Level::Info,
        Level::Debug => host::log::Level::Debug,
    };
    host::log::write(level, line);
}

pub fn add(name: &str, amount: u64) {
    host::metrics::add(name, amount);
}

pub fn set(name: &str, value: f64) {
    host::metrics::set(name, value);
}

pub fn wall_ms() -> u64 {
    host::clock::wall_ms()
}

pub fn monotonic_ns() -> u64 {
    host::clock::monotonic_ns()
}

pub fn random(count: u32) -> Vec<u8> {
    host::random::bytes(count)
}

pub fn verify_password(hash: &str, password: &[u8]) -> Result<bool, String> {
    host::crypto::verify_password(hash, password)
}

pub fn verify_token(key_set: &str, token: &str) -> Result<String, TokenError> {
    host::crypto::verify_token(key_set, token).map_err(|error| match error {
        host::crypto::TokenError::Invalid => TokenError::Invalid,
        host::crypto::TokenError::Expired => TokenError::Expired,
        host::crypto::TokenError::Claims => TokenError::Claims,
        host::crypto::TokenError::Unavailable(why) => TokenError::Unavailable(why),
    })
}

pub fn hmac_sha256(key: &[u8], data: &[u8]) -> Vec<u8> {
    host::crypto::hmac_sha256(key, data)
}

pub fn send(request: &Request) -> Result<Response, Error> {
    let request = host::http::Request {
        method: request.method.clone(),
        url: request.url.clone(),
        headers: request.headers.clone(),
        body: request.body.clone(),
        timeout_ms: request.timeout_ms,
    };
    match host::http::send(&request) {
        Ok(response) => Ok(Response {
            status: response.status,
            headers: response.headers,
            body: response.body,
        }),
        Err(host::http::Error::NotGranted(what)) => Err(Error::NotGranted(what)),
        Err(host::http::Error::TimedOut) => Err(Error::TimedOut),
        Err(host::http::Error::Failed(why)) => Err(Error::Failed(why)),
    }
}

pub fn publish(topic: &str, payload: &[u8], qos: Qos, retain: bool) -> Result<(), String> {
    host::broker::publish(topic, payload, qos.into(), retain)
}

pub fn disconnect(client_id: &str) {
    host::broker::disconnect(client_id);
}

pub fn invalidate() {
    host::broker::invalidate();
}
