//! A request, its response, and why there is none.

use std::fmt;

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE`, `HEAD` or `OPTIONS`.
    pub method: String,
    /// An absolute URL whose origin is listed; at most 8 KiB.
    pub url: String,
    /// At most 64 fields of at most 8 KiB each. What the connection itself needs (`Host`,
    /// `Content-Length`, `Connection` and the like) cannot be set.
    pub headers: Vec<(String, String)>,
    /// At most 1 MiB; empty for none.
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code, 200 to 599. One that says "no" is an answer like any other.
    pub status: u16,
    /// At most 64 fields, names in lower case. A value that is not UTF-8 has U+FFFD where it is not.
    pub headers: Vec<(String, String)>,
    /// At most 1 MiB.
    pub body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The origin is not listed, or its name stands for a private address; says which.
    NotGranted(String),
    /// The deadline was over before the whole answer was there.
    TimedOut,
    /// The request was not fit to send, there was no connection, TLS refused, or the answer was
    /// too long or not HTTP.
    Failed(String),
}

impl fmt::Display for HttpError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted(what) => write!(out, "not granted: {what}"),
            Self::TimedOut => out.write_str("no answer in time"),
            Self::Failed(why) => out.write_str(why),
        }
    }
}

impl std::error::Error for HttpError {}
