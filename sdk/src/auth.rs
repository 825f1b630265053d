//! Who a client is.

use crate::{Plugin, Property, client::values};

/// A plugin that says who a client is.
///
/// ```
/// use dunlin_sdk::{Auth, Denial, Grant, Manifest, Outcome, Plugin, Request};
///
/// #[derive(serde::Deserialize)]
/// struct OneSecret {
///     secret: String,
/// }
///
/// impl Plugin for OneSecret {
///     fn describe() -> Manifest {
///         dunlin_sdk::manifest!().schema(r#"{"required": ["secret"]}"#)
///     }
/// }
///
/// impl Auth for OneSecret {
///     fn authenticate(&mut self, request: &Request) -> Outcome {
///         match &request.password {
///             None => Outcome::Next,
///             Some(password) if password == self.secret.as_bytes() => {
///                 Outcome::Granted(Grant::to("family").rule("read-write", "home/#"))
///             }
///             Some(_) => Outcome::Denied(Denial::BadCredentials),
///         }
///     }
/// }
///
/// dunlin_sdk::auth!(OneSecret);
/// ```
pub trait Auth: Plugin {
    /// Judges a client that wants to connect.
    fn authenticate(&mut self, request: &Request) -> Outcome;

    /// Judges the client's next Authentication Data after [`Outcome::Continue`], whose `state` comes
    /// back, maybe to another instance. At most 8 steps.
    fn resume(&mut self, request: &Request, state: &[u8], data: &[u8]) -> Outcome {
        let _ = (request, state, data);
        Outcome::Denied(Denial::BadMethod)
    }
}

/// The names in a verified client certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// The most specific common name of the subject.
    pub common_name: Option<String>,
    /// The whole subject, as in RFC 2253.
    pub subject: String,
}

/// A CONNECT, or the AUTH that begins a re-authentication (MQTT 5, 4.12.1).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Client Identifier, already assigned by the broker if it came empty.
    pub client_id: String,
    /// The user name, as claimed.
    pub username: Option<String>,
    /// The password: any bytes.
    pub password: Option<Vec<u8>>,
    /// IP address and port; `None` behind a unix socket.
    pub address: Option<String>,
    /// Name of the listener that it came by.
    pub listener: String,
    /// Present if the listener asked for one and verified it.
    pub certificate: Option<Certificate>,
    /// Of the CONNECT.
    pub user_properties: Vec<Property>,
    /// Authentication Method (MQTT 5, 3.1.2.11.9); `None` for a plain CONNECT.
    pub method: Option<String>,
    /// Authentication Data that came with it; empty if none did.
    pub data: Vec<u8>,
}

impl Request {
    /// A CONNECT without user name and password.
    pub fn new(client_id: impl Into<String>) -> Self {
        Request {
            client_id: client_id.into(),
            ..Request::default()
        }
    }

    /// With user name and password.
    #[must_use]
    pub fn login(self, username: impl Into<String>, password: impl Into<Vec<u8>>) -> Self {
        Request {
            username: Some(username.into()),
            password: Some(password.into()),
            ..self
        }
    }

    /// With an authentication method and its first data.
    #[must_use]
    pub fn method(self, method: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        Request {
            method: Some(method.into()),
            data: data.into(),
            ..self
        }
    }

    /// With a user property more.
    #[must_use]
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.user_properties.push((name.into(), value.into()));
        self
    }

    /// The first value of a user property.
    pub fn user_property(&self, name: &str) -> Option<&str> {
        values(&self.user_properties, name).next()
    }
}

/// Leaves the password and the authentication data out.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("client_id", &self.client_id)
            .field("username", &self.username)
            .field("address", &self.address)
            .field("listener", &self.listener)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// What a rule permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Nothing: it forbids both, and goes before all that permit.
    Deny,
    /// To receive.
    Read,
    /// To publish.
    Write,
    /// Both.
    ReadWrite,
}

impl Permission {
    /// `deny`, `read`, `write` or `read-write`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "deny" => Permission::Deny,
            "read" => Permission::Read,
            "write" => Permission::Write,
            "read-write" => Permission::ReadWrite,
            _ => return None,
        })
    }
}

/// A rule on topics, which the broker evaluates by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it permits.
    pub permission: Permission,
    /// A topic filter. A level that is `%c` or `%u` stands for the client id or the user name; if
    /// that has `/`, `+` or `#` in it, the rule matches nothing.
    pub filter: String,
}

/// A client that is let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// The user name that it has from now on; `None` makes it anonymous.
    pub username: Option<String>,
    /// What ACL and filter plugins are told of it besides; at most 64.
    pub attributes: Vec<Property>,
    /// Seconds after which the client must authenticate again; `None` for the whole connection.
    pub expires_in: Option<u32>,
    /// If present, the client may do what these permit and nothing else; at most 1,024.
    pub rules: Option<Vec<Rule>>,
    /// Authentication Data for the CONNACK or the last AUTH; empty for none.
    pub data: Vec<u8>,
}

impl Grant {
    /// A grant without end for an anonymous client.
    pub fn anonymous() -> Self {
        Grant::default()
    }

    /// A grant without end for `username`.
    pub fn to(username: impl Into<String>) -> Self {
        Grant {
            username: Some(username.into()),
            ..Grant::default()
        }
    }

    /// With an attribute more.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// For so many seconds.
    #[must_use]
    pub fn expires_in(self, seconds: u32) -> Self {
        Grant {
            expires_in: Some(seconds),
            ..self
        }
    }

    /// With a rule more: `deny`, `read`, `write` or `read-write`, and a topic filter.
    ///
    /// # Panics
    /// If the permission is none of these words.
    #[must_use]
    pub fn rule(mut self, permission: &str, filter: impl Into<String>) -> Self {
        let Some(permission) = Permission::from_name(permission) else {
            panic!("{permission} is not deny, read, write or read-write");
        };
        let filter = filter.into();
        let rules = self.rules.get_or_insert_default();
        rules.push(Rule { permission, filter });
        self
    }
}

/// Why a client is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Unknown user or wrong password (0x86).
    BadCredentials,
    /// It may not connect here, whoever it is (0x87).
    NotAuthorized,
    /// The authentication method is not known (0x8C).
    BadMethod,
    /// It could not be decided; what lacked, for the log (0x88).
    Unavailable(String),
}

/// A question back to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Authentication Data for the AUTH that asks.
    pub data: Vec<u8>,
    /// Given back with the answer, maybe to another instance; at most 16 KiB.
    pub state: Vec<u8>,
}

/// What the plugin thinks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client is who it says.
    Granted(Grant),
    /// It is refused, and nobody else is asked.
    Denied(Denial),
    /// Not for this plugin to judge: the next in the chain is asked.
    Next,
    /// The client must say more (MQTT 5, 4.12).
    Continue(Step),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_out_of_debug_output() {
        let request = Request::new("pump")
            .login("alice", "hunter2")
            .method("PLAIN", "hunter3");
        let shown = format!("{request:?}");
        assert!(shown.contains("alice") && shown.contains("PLAIN"));
        assert!(
            !shown.contains("hunter") && !shown.contains("104, 117"),
            "{shown}"
        );
    }

    #[test]
    #[should_panic(expected = "is not deny")]
    fn a_rule_has_a_permission() {
        let _ = Grant::anonymous().rule("readwrite", "#");
    }
}
