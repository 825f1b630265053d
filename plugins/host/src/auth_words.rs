//! Requests and outcomes of authentication in the words of the contract, and back.

use std::time::Duration;

use bytes::Bytes;
use dunlin_auth::{ConnectRequest, Denial, Grant, GrantedRules, Permission};

use crate::{
    bindings::exports::dunlin::plugin::auth::{
        self, Certificate, Outcome, Permission as ContractPermission, Request, Step,
    },
    client::AddressText,
    fault::shorten,
};

/// See `auth.wit`.
const MAX_ATTRIBUTES: usize = 64;
const MAX_RULES: usize = 1_024;
const MAX_STATE_BYTES: usize = 16 << 10;

/// The most that a string or binary data in a packet may have (MQTT 5, 1.5.4 and 1.5.6).
const MAX_FIELD_BYTES: usize = 65_535;

/// What of a reason is kept.
const MAX_REASON_BYTES: usize = 1_024;

/// What is borrowed while a plugin is asked.
pub(crate) struct Asked<'a> {
    request: &'a ConnectRequest,
    user_properties: Vec<(&'a str, &'a str)>,
    address: Option<AddressText>,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(request: &'a ConnectRequest) -> Self {
        let properties = request.user_properties.iter();
        Asked {
            request,
            user_properties: properties
                .map(|(name, value)| (&**name, &**value))
                .collect(),
            address: request.peer.address.map(AddressText::new),
        }
    }

    pub(crate) fn request(&self) -> Request<'_> {
        let ConnectRequest {
            client_id,
            username,
            password,
            peer,
            authentication,
            ..
        } = self.request;
        Request {
            client_id,
            username: username.as_deref(),
            password: password.as_deref(),
            address: self.address.as_ref().map(AddressText::as_str),
            listener: &peer.listener,
            certificate: peer.certificate.as_ref().map(|certificate| Certificate {
                common_name: certificate.common_name.as_deref(),
                subject: &certificate.subject,
            }),
            user_properties: &self.user_properties,
            method: authentication.as_ref().map(|begun| &*begun.method),
            data: authentication.as_ref().map_or(&[], |begun| &begun.data),
        }
    }
}

/// An answer that keeps the contract.
#[derive(Debug)]
pub(crate) enum Judged {
    Granted(Grant),
    Denied(Denial),
    Next,
    Continue { data: Bytes, state: Vec<u8> },
}

/// Checks an answer. `enhanced` tells whether the client can be asked back.
///
/// # Errors
/// If it breaks the contract.
pub(crate) fn outcome(outcome: Outcome, enhanced: bool) -> Result<Judged, String> {
    match outcome {
        Outcome::Granted(granted) => grant(granted).map(Judged::Granted),
        Outcome::Denied(refusal) => Ok(Judged::Denied(denial(refusal))),
        Outcome::Next => Ok(Judged::Next),
        Outcome::Continue(_) if !enhanced => {
            Err("it asks a client back that has no authentication method".into())
        }
        Outcome::Continue(Step { data, state }) => {
            if state.len() > MAX_STATE_BYTES {
                return Err(format!(
                    "a state of {} bytes; {MAX_STATE_BYTES} are allowed",
                    state.len()
                ));
            }
            check_length("authentication data", data.len())?;
            Ok(Judged::Continue {
                data: data.into(),
                state,
            })
        }
    }
}

fn denial(refusal: auth::Denial) -> Denial {
    match refusal {
        auth::Denial::BadCredentials => Denial::BadCredentials,
        auth::Denial::NotAuthorized => Denial::NotAuthorized,
        auth::Denial::BadMethod => Denial::BadMethod,
        auth::Denial::Unavailable(mut what) => {
            shorten(&mut what, MAX_REASON_BYTES);
            Denial::Unavailable(what.into())
        }
    }
}

fn grant(granted: auth::Grant) -> Result<Grant, String> {
    if let Some(username) = &granted.username {
        check_length("a user name", username.len())?;
        if username.is_empty() || username.contains('\0') {
            return Err("a user name that is empty or has U+0000 in it".into());
        }
    }
    let attributes = granted.attributes.len();
    if attributes > MAX_ATTRIBUTES {
        return Err(format!(
            "{attributes} attributes; {MAX_ATTRIBUTES} are allowed"
        ));
    }
    check_length("authentication data", granted.data.len())?;
    Ok(Grant {
        username: granted.username,
        expires: granted
            .expires_in
            .map(|seconds| Duration::from_secs(seconds.into())),
        attributes: granted.attributes,
        rules: granted.rules.as_deref().map(rules).transpose()?,
        data: (!granted.data.is_empty()).then(|| granted.data.into()),
    })
}

fn rules(rules: &[auth::Rule]) -> Result<GrantedRules, String> {
    if rules.len() > MAX_RULES {
        return Err(format!("{} rules; {MAX_RULES} are allowed", rules.len()));
    }
    GrantedRules::new(rules.iter().map(|rule| {
        let permission = match rule.permission {
            ContractPermission::Deny => Permission::Deny,
            ContractPermission::Read => Permission::Read,
            ContractPermission::Write => Permission::Write,
            ContractPermission::ReadWrite => Permission::ReadWrite,
        };
        (permission, &*rule.filter)
    }))
}

fn check_length(what: &str, bytes: usize) -> Result<(), String> {
    match bytes > MAX_FIELD_BYTES {
        true => Err(format!(
            "{what} of {bytes} bytes; {MAX_FIELD_BYTES} are allowed"
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted() -> auth::Grant {
        auth::Grant {
            username: Some("bob".into()),
            attributes: vec![("role".into(), "driver".into())],
            expires_in: Some(60),
            rules: None,
            data: Vec::new(),
        }
    }

    #[test]
    fn a_grant_is_taken_over() {
        let Ok(Judged::Granted(grant)) = outcome(Outcome::Granted(granted()), false) else {
            panic!("granted");
        };
        assert_eq!(grant.username.as_deref(), Some("bob"));
        assert_eq!(grant.expires, Some(Duration::from_secs(60)));
        assert_eq!(grant.attributes, [("role".into(), "driver".into())]);
        assert!(grant.rules.is_none() && grant.data.is_none());
    }

    #[test]
    fn grants_that_break_the_contract_are_none() {
        let rule = |filter: &str| auth::Rule {
            permission: ContractPermission::Read,
            filter: filter.into(),
        };
        for (bad, expected) in [
            (
                auth::Grant {
                    username: Some(String::new()),
                    ..granted()
                },
                "user name",
            ),
            (
                auth::Grant {
                    username: Some("a\0".into()),
                    ..granted()
                },
                "user name",
            ),
            (
                auth::Grant {
                    username: Some("x".repeat(MAX_FIELD_BYTES + 1)),
                    ..granted()
                },
                "user name",
            ),
            (
                auth::Grant {
                    attributes: vec![Default::default(); MAX_ATTRIBUTES + 1],
                    ..granted()
                },
                "attributes",
            ),
            (
                auth::Grant {
                    data: vec![0; MAX_FIELD_BYTES + 1],
                    ..granted()
                },
                "data",
            ),
            (
                auth::Grant {
                    rules: Some(vec![rule("a#")]),
                    ..granted()
                },
                "a#",
            ),
            (
                auth::Grant {
                    rules: Some((0..=MAX_RULES).map(|_| rule("a")).collect()),
                    ..granted()
                },
                "rules",
            ),
        ] {
            let error = outcome(Outcome::Granted(bad), true).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn steps_are_bounded_and_need_a_method() {
        let step = |state, data| {
            Outcome::Continue(Step {
                data: vec![0; data],
                state: vec![0; state],
            })
        };
        assert!(outcome(step(MAX_STATE_BYTES, MAX_FIELD_BYTES), true).is_ok());
        assert!(outcome(step(MAX_STATE_BYTES + 1, 0), true).is_err());
        assert!(outcome(step(0, MAX_FIELD_BYTES + 1), true).is_err());
        assert!(outcome(step(0, 0), false).is_err());
    }
}
