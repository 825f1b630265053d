//! The port for those who say who a client is.

use std::{any::Any, borrow::Cow, fmt, future::Future, pin::Pin, time::Duration};

use bytes::Bytes;

use crate::{ConnectRequest, GrantedRules};

/// A future that an [`Authenticator`] returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Says who a client is, or that it cannot tell.
///
/// The futures may be dropped at any point, when the client leaves or its
/// time to connect is over.
pub trait Authenticator: Send + Sync {
    /// Judges a CONNECT, or the AUTH that begins a re-authentication.
    fn authenticate<'a>(&'a self, request: &'a ConnectRequest) -> BoxFuture<'a, Outcome>;

    /// Judges the client's next data after an [`Outcome::Continue`], whose `state` comes back.
    ///
    /// An authenticator that never continues need not implement it.
    fn resume<'a>(
        &'a self,
        request: &'a ConnectRequest,
        state: Box<dyn Any + Send>,
        data: Bytes,
    ) -> BoxFuture<'a, Outcome> {
        let _ = (request, state, data);
        Box::pin(async { Outcome::Denied(Denial::BadMethod) })
    }
}

/// What one [`Authenticator`] thinks.
pub enum Outcome {
    /// The client is who it says.
    Granted(Grant),
    /// The client is refused; nobody else is asked.
    Denied(Denial),
    /// More is needed: send `data` in an AUTH 0x18 (MQTT 5, 4.12).
    Continue {
        /// The authentication data to send.
        data: Bytes,
        /// Handed back to [`Authenticator::resume`].
        state: Box<dyn Any + Send>,
    },
    /// Not mine to judge: ask the next in the chain.
    Next,
}

/// Who a client turned out to be.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    /// The user that rules are looked up for; `None` is an anonymous client.
    pub username: Option<String>,
    /// How long the grant holds; after it the client must authenticate again.
    /// `None` holds as long as the connection.
    pub expires: Option<Duration>,
    /// What rules and plugins are told of the client besides.
    pub attributes: Vec<(String, String)>,
    /// What the client may do at most: beside the rules of its listener.
    pub rules: Option<GrantedRules>,
    /// Authentication data for the CONNACK or the closing AUTH (MQTT 5, 3.2.2.3.18).
    pub data: Option<Bytes>,
}

impl Grant {
    /// A grant without end for `username`.
    pub fn to(username: Option<String>) -> Self {
        Self {
            username,
            ..Self::default()
        }
    }
}

/// Why a client may not connect. The caller maps each to one reason code.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denial {
    /// Unknown user or wrong password; nobody is told which (0x86).
    BadCredentials,
    /// Nobody asked for credentials, but without them there is no access (0x87).
    NotAuthorized,
    /// No authenticator knows the authentication method (0x8C).
    BadMethod,
    /// It could not be decided now; the text says what lacked (0x88).
    Unavailable(Cow<'static, str>),
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadCredentials => f.write_str("bad user name or password"),
            Self::NotAuthorized => f.write_str("not authorized"),
            Self::BadMethod => f.write_str("authentication method not supported"),
            Self::Unavailable(lacking) => write!(f, "authentication unavailable: {lacking}"),
        }
    }
}

impl std::error::Error for Denial {}
