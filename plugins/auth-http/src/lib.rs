//! Asks a web service who a client is.
//!
//! ```text
//!   200, 201 with JSON or nothing   granted: username, attributes, rules, ttl
//!   401, 403                        denied
//!   204, 404                        the next plugin is asked
//!   anything else                   unavailable
//! ```
#![forbid(unsafe_code)]

use std::{collections::BTreeMap, time::Duration};

use dunlin_sdk::{
    Auth, Denial, Grant, Import, Manifest, Outcome, Plugin, Request, clock, http, json, metrics,
};
use serde::Deserialize;
use serde_json::Value;

pub mod cache;
pub mod template;

use cache::{Cache, Key};
use template::Body;

/// The plugin and its configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthHttp {
    url: String,
    body: Body,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default = "four_seconds")]
    timeout_ms: u32,
    #[serde(default)]
    cache: Cache,
}

/// What the service says of a client that it lets in.
#[derive(Deserialize)]
struct Answer {
    /// Absent: the name that the client claimed. Null: none.
    #[serde(default, deserialize_with = "present")]
    username: Option<Option<String>>,
    #[serde(default)]
    attributes: BTreeMap<String, Value>,
    rules: Option<Value>,
    /// Seconds.
    ttl: Option<u32>,
}

fn four_seconds() -> u32 {
    4000
}

/// Some, even if it is null.
fn present<'de, D>(json: D) -> Result<Option<Option<String>>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    Option::deserialize(json).map(Some)
}

impl Plugin for AuthHttp {
    fn describe() -> Manifest {
        Manifest::new("auth-http", env!("CARGO_PKG_VERSION"))
            .needs([Import::Http])
            .schema(include_str!("../schema.json"))
    }

    fn configure(self) -> Result<Self, String> {
        self.body.check()?;
        Ok(self)
    }
}

impl Auth for AuthHttp {
    fn authenticate(&mut self, request: &Request) -> Outcome {
        // A method is a conversation, which this is not.
        if request.method.is_some() {
            return Outcome::Next;
        }
        let Some((content_type, body)) = self.body.fill(request) else {
            // A password that is not text cannot stand in JSON or a form.
            return Outcome::Denied(Denial::BadCredentials);
        };
        let key = Key::of(request.username.as_deref(), &body);
        let now = clock::monotonic();
        if let Some(outcome) = self.cache.get(&key, now) {
            metrics::add("cache_hits", 1);
            return outcome;
        }
        let outcome = self.ask(request, content_type, body);
        self.cache.keep(key, now, &outcome);
        outcome
    }
}

impl AuthHttp {
    fn ask(&self, request: &Request, content_type: &str, body: Vec<u8>) -> Outcome {
        let mut question = http::Request::post(&self.url, content_type, body)
            .timeout(Duration::from_millis(self.timeout_ms.into()));
        for (name, value) in &self.headers {
            question = question.header(name, value);
        }
        metrics::add("requests", 1);
        let response = match question.send() {
            Ok(response) => response,
            Err(error) => return unavailable(error.to_string()),
        };
        match response.status {
            200 | 201 => match grant(request, &response.body) {
                Ok(grant) => Outcome::Granted(grant),
                Err(error) => unavailable(format!("the service's answer: {error}")),
            },
            204 | 404 => Outcome::Next,
            401 => Outcome::Denied(Denial::BadCredentials),
            403 => Outcome::Denied(Denial::NotAuthorized),
            status => unavailable(format!("the service answered with status {status}")),
        }
    }
}

fn grant(request: &Request, body: &[u8]) -> Result<Grant, String> {
    let body = match body.trim_ascii() {
        b"" => b"{}",
        body => body,
    };
    let answer: Answer = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let mut attributes = Vec::new();
    for (name, value) in &answer.attributes {
        json::attribute(&mut attributes, name, value);
    }
    Ok(Grant {
        username: answer.username.unwrap_or_else(|| request.username.clone()),
        attributes,
        expires_in: answer.ttl.map(|ttl| ttl.max(1)),
        rules: answer.rules.as_ref().map(json::rules).transpose()?,
        data: Vec::new(),
    })
}

fn unavailable(lacking: String) -> Outcome {
    Outcome::Denied(Denial::Unavailable(lacking))
}

dunlin_sdk::auth!(AuthHttp);

#[cfg(test)]
mod tests;
