//! Requests to listed origins.

mod message;

use std::time::Instant;

pub use message::{HttpError, Request, Response};

/// A client for HTTP and HTTPS that goes to listed origins only.
#[derive(Debug)]
pub struct Http {}

impl Http {
    /// A client for these origins, each `scheme://host[:port]`.
    pub fn new(origins: &[String]) -> Result<Self, String> {
        match origins.first() {
            None => Ok(Self {}),
            Some(origin) => Err(format!("{origin}: origins are not supported yet")),
        }
    }

    /// Trusts the certificates in this PEM text besides those of the system.
    pub fn with_root(self, pem: &str) -> Result<Self, String> {
        Err(format!("{} bytes of PEM: not supported yet", pem.len()))
    }

    /// Sends a request and waits for the answer until the deadline.
    pub fn send(&self, request: &Request, _deadline: Instant) -> Result<Response, HttpError> {
        Err(HttpError::NotGranted(request.url.clone()))
    }
}
