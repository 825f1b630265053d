//! JSON Web Tokens as credentials.
//!
//! The broker verifies the token, with keys that it keeps fresh; this decides where the token is, and
//! what its claims make of the client: user name, attributes, rules, and for how long.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use dunlin_sdk::{
    Auth, Denial, Grant, Import, Manifest, Outcome, Plugin, Request, clock,
    crypto::{self, TokenError},
    json, log,
};
use serde::Deserialize;
use serde_json::Value;

pub mod rules;

use rules::Rules;

/// At most so many attributes, as the contract says.
const MAX_ATTRIBUTES: usize = 64;

/// The plugin and its configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthJwt {
    key_set: String,
    #[serde(default = "password")]
    token_from: Vec<Place>,
    #[serde(default = "sub")]
    username: Option<String>,
    #[serde(default)]
    same: Same,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    rules: Option<Rules>,
    #[serde(default)]
    refused: Refused,
    longest: Option<u32>,
}

/// Where a token may be.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Password,
    Username,
    UserProperty(String),
    /// The data of an authentication method, with which a client can send its next token without
    /// a new connection.
    Method(String),
}

/// Claims that must say what the client says of itself.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Same {
    client_id: Option<String>,
    username: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Refused {
    #[default]
    Deny,
    Next,
}

fn password() -> Vec<Place> {
    vec![Place::Password]
}

fn sub() -> Option<String> {
    Some("sub".into())
}

impl Plugin for AuthJwt {
    fn describe() -> Manifest {
        Manifest::new("auth-jwt", env!("CARGO_PKG_VERSION"))
            .needs([Import::Crypto])
            .schema(include_str!("../schema.json"))
    }

    fn configure(self) -> Result<Self, String> {
        if let Some(rules) = &self.rules {
            rules.check()?;
        }
        Ok(self)
    }
}

impl Auth for AuthJwt {
    fn authenticate(&mut self, request: &Request) -> Outcome {
        let places = self.token_from.iter();
        let Some(token) = places.filter_map(|place| place.token(request)).next() else {
            return Outcome::Next;
        };
        match crypto::verify_token(&self.key_set, token) {
            Ok(claims) => match serde_json::from_str(&claims) {
                Ok(claims) => match self.grant(request, &claims) {
                    Ok(grant) => Outcome::Granted(grant),
                    Err(denial) => Outcome::Denied(denial),
                },
                Err(error) => unavailable(format!("claims: {error}")),
            },
            Err(TokenError::Unavailable(lacking)) => unavailable(lacking),
            Err(error) => {
                log::debug(format!("{}: token refused: {error:?}", request.client_id));
                match self.refused {
                    Refused::Deny => Outcome::Denied(Denial::BadCredentials),
                    Refused::Next => Outcome::Next,
                }
            }
        }
    }
}

impl AuthJwt {
    fn grant(&self, request: &Request, claims: &Value) -> Result<Grant, Denial> {
        let same = [
            (&self.same.client_id, Some(&request.client_id)),
            (&self.same.username, request.username.as_ref()),
        ];
        for (name, said) in same {
            let Some(name) = name else { continue };
            let claimed = claim(claims, name).and_then(Value::as_str);
            if claimed.is_none() || claimed != said.map(String::as_str) {
                log::debug(format!(
                    "{}: claim {name} says otherwise",
                    request.client_id
                ));
                return Err(Denial::BadCredentials);
            }
        }
        let mut attributes = Vec::new();
        for (attribute, name) in &self.attributes {
            let value = claim(claims, name).unwrap_or(&Value::Null);
            json::attribute(&mut attributes, attribute, value);
        }
        if attributes.len() > MAX_ATTRIBUTES {
            return Err(Denial::Unavailable(
                "the token makes over 64 attributes".into(),
            ));
        }
        let rules = self
            .rules
            .as_ref()
            .map(|rules| rules.of(claims))
            .transpose();
        Ok(Grant {
            username: self.username_of(claims)?,
            attributes,
            expires_in: self.expires_in(claims),
            rules: rules.map_err(Denial::Unavailable)?,
            data: Vec::new(),
        })
    }

    fn username_of(&self, claims: &Value) -> Result<Option<String>, Denial> {
        let Some(name) = &self.username else {
            return Ok(None);
        };
        match claim(claims, name).and_then(Value::as_str) {
            // A user name with U+0000 could not stand in any CONNECT [MQTT-1.5.4-2].
            Some(found) if !found.is_empty() && !found.contains('\0') => Ok(Some(found.into())),
            _ => {
                log::warn(format!("a token without a user name in its claim {name}"));
                Err(Denial::BadCredentials)
            }
        }
    }

    /// Until `exp`, which the broker may have accepted a little late; at most `longest`.
    fn expires_in(&self, claims: &Value) -> Option<u32> {
        let now = clock::wall().as_secs();
        let left = claims["exp"].as_f64().map(|end| {
            let left = (end as u64).saturating_sub(now).max(1);
            u32::try_from(left).unwrap_or(u32::MAX)
        });
        match (left, self.longest) {
            (Some(left), Some(longest)) => Some(left.min(longest)),
            (left, longest) => left.or(longest),
        }
    }
}

impl Place {
    /// What may be a token in this place: a password that is none is for others to judge.
    fn token<'a>(&self, request: &'a Request) -> Option<&'a str> {
        let text = match self {
            Place::Password => str::from_utf8(request.password.as_deref()?).ok()?,
            Place::Username => request.username.as_deref()?,
            Place::UserProperty(name) => request.user_property(name)?,
            Place::Method(method) if request.method.as_ref() == Some(method) => {
                str::from_utf8(&request.data).ok()?
            }
            Place::Method(_) => return None,
        };
        // A client that asks for a method is not judged by anything else.
        let asks = request.method.is_some() && !matches!(self, Place::Method(_));
        let is_token = text.starts_with("ey") && text.matches('.').count() == 2;
        (is_token && !asks).then_some(text)
    }
}

/// A claim by name, or by JSON pointer (RFC 6901) if it begins with a slash.
fn claim<'a>(claims: &'a Value, name: &str) -> Option<&'a Value> {
    match name.starts_with('/') {
        true => claims.pointer(name),
        false => claims.get(name),
    }
}

fn unavailable(lacking: impl Into<String>) -> Outcome {
    Outcome::Denied(Denial::Unavailable(lacking.into()))
}

dunlin_sdk::auth!(AuthJwt);

#[cfg(test)]
mod tests;
