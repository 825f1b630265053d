//! Requests to origins that the configuration lists. Needs [`Import::Http`](crate::Import::Http),
//! and works in [`Auth`](crate::Auth) plugins only: the others must answer at once.

use std::time::Duration;

use crate::{Property, client::values, host};

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, `PUT`, ...
    pub method: String,
    /// Its origin must be granted.
    pub url: String,
    /// Header fields.
    pub headers: Vec<Property>,
    /// Empty for none; at most 1 MiB.
    pub body: Vec<u8>,
    /// Milliseconds to wait; bounded by what is left of the plugin's own deadline.
    pub timeout_ms: u32,
}

impl Request {
    /// A request without body that waits for 5 seconds.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Request {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout_ms: 5000,
        }
    }

    /// `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Request::new("GET", url)
    }

    /// `POST` of a body of this Content-Type.
    pub fn post(
        url: impl Into<String>,
        content_type: impl Into<String>,
        body: impl Into<Vec<u8>>,
    ) -> Self {
        Request {
            body: body.into(),
            ..Request::new("POST", url).header("content-type", content_type)
        }
    }

    /// With a header field more.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Waits so long.
    #[must_use]
    pub fn timeout(self, time: Duration) -> Self {
        Request {
            timeout_ms: u32::try_from(time.as_millis()).unwrap_or(u32::MAX),
            ..self
        }
    }

    /// Sends the request and waits for the answer.
    ///
    /// # Errors
    /// Nothing came back. Any status is an answer.
    pub fn send(&self) -> Result<Response, Error> {
        host::send(self)
    }
}

/// What came back. Redirects are followed to granted origins only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header fields; names in lower case.
    pub headers: Vec<Property>,
    /// At most 1 MiB.
    pub body: Vec<u8>,
}

impl Response {
    /// A response without header fields.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Response {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// The first value of a header field; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        values(&self.headers, name).next()
    }
}

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The origin is not granted, or is a private address that is not listed.
    NotGranted(String),
    /// No answer in time.
    TimedOut,
    /// No connection, TLS refused, or an answer that is too long or not HTTP.
    Failed(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::NotGranted(what) => write!(f, "not granted: {what}"),
            Error::TimedOut => f.write_str("no answer in time"),
            Error::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}
