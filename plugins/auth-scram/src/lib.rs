//! SCRAM-SHA-256 (RFC 5802, RFC 7677) as enhanced authentication (MQTT 5, 4.12).
//!
//! ```text
//!   CONNECT  client-first  ->  authenticate
//!   AUTH     server-first  <-
//!   AUTH     client-final  ->  resume
//!   CONNACK  server-final  <-
//! ```
//!
//! Names and passwords are compared as they come, without SASLprep: ASCII is not changed by it.
//! Channel binding is not offered.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use dunlin_sdk::{Auth, Denial, Grant, Import, Manifest, Outcome, Plugin, Request, Step, random};
use serde::Deserialize;
use subtle::ConstantTimeEq;

pub mod keys;
pub mod message;
pub mod users;

use message::{ClientFinal, ClientFirst};
use users::{User, Users};

const METHOD: &str = "SCRAM-SHA-256";

/// Bytes of randomness in the server's part of the nonce.
const NONCE_BYTES: u32 = 18;

/// The plugin and its configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthScram {
    users: Vec<User>,
    #[serde(default = "least_iterations")]
    iterations: u32,
    #[serde(skip)]
    by_name: Users,
}

/// What the second step has to know of the first.
#[derive(Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
struct State {
    gs2_header: String,
    client_first_bare: String,
    server_first: String,
    username: String,
    nonce: String,
}

/// RFC 7677, section 4.
fn least_iterations() -> u32 {
    4096
}

impl Plugin for AuthScram {
    fn describe() -> Manifest {
        Manifest::new("auth-scram", env!("CARGO_PKG_VERSION"))
            .needs([Import::Random])
            .schema(include_str!("../schema.json"))
    }

    fn configure(mut self) -> Result<Self, String> {
        self.by_name = Users::new(std::mem::take(&mut self.users), self.iterations)?;
        Ok(self)
    }
}

impl Auth for AuthScram {
    fn authenticate(&mut self, request: &Request) -> Outcome {
        if request.method.as_deref() != Some(METHOD) {
            return Outcome::Next;
        }
        let Some(first) = ClientFirst::read(&request.data) else {
            return refused();
        };
        if first.binds_channel {
            // The method that binds has another name, which nobody offered.
            return Outcome::Denied(Denial::BadMethod);
        }
        if first
            .authorize_as
            .as_ref()
            .is_some_and(|name| *name != first.username)
        {
            return Outcome::Denied(Denial::NotAuthorized);
        }
        let user = self.by_name.get(&first.username);
        let nonce = BASE64_STANDARD.encode(random::bytes(NONCE_BYTES));
        let nonce = format!("{}{nonce}", first.nonce);
        let salt = BASE64_STANDARD.encode(&user.keys.salt);
        let server_first = format!("r={nonce},s={salt},i={}", user.keys.iterations);
        let state = State {
            gs2_header: first.gs2_header.to_owned(),
            client_first_bare: first.bare.to_owned(),
            server_first: server_first.clone(),
            username: first.username,
            nonce,
        };
        match serde_json::to_vec(&state) {
            Ok(state) => Outcome::Continue(Step {
                data: server_first.into_bytes(),
                state,
            }),
            Err(error) => Outcome::Denied(Denial::Unavailable(error.to_string())),
        }
    }

    fn resume(&mut self, _: &Request, state: &[u8], data: &[u8]) -> Outcome {
        let Ok(state) = serde_json::from_slice::<State>(state) else {
            return Outcome::Denied(Denial::Unavailable("its own state is not readable".into()));
        };
        let Some(last) = ClientFinal::read(data) else {
            return refused();
        };
        if last.nonce != state.nonce || last.channel_binding != state.gs2_header.as_bytes() {
            return refused();
        }
        let user = self.by_name.get(&state.username);
        let signed = [
            state.client_first_bare.as_str(),
            state.server_first.as_str(),
            last.without_proof,
        ]
        .join(",");
        // Also done for users who do not exist, so that they take as long.
        let proven = user.keys.proves(signed.as_bytes(), &last.proof);
        if !bool::from(proven & user.exists.ct_eq(&1)) {
            return refused();
        }
        let signature = BASE64_STANDARD.encode(user.keys.sign(signed.as_bytes()));
        Outcome::Granted(Grant {
            username: Some(state.username),
            attributes: user.attributes.clone(),
            expires_in: None,
            rules: user.rules.clone(),
            data: format!("v={signature}").into_bytes(),
        })
    }
}

/// The same for everything that a client may get wrong.
fn refused() -> Outcome {
    Outcome::Denied(Denial::BadCredentials)
}

/// Attributes in the configuration, by name.
type Attributes = BTreeMap<String, String>;

dunlin_sdk::auth!(AuthScram);

#[cfg(test)]
mod tests;
