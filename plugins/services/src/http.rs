//! Requests to listed origins.
//!
//! ```text
//!   Request -> Exchange (is it fit to send?) -> Grants (is its origin listed?)
//!           -> Gate (addresses, checked) -> TCP, Tls -> Response
//!           -> a redirect? the next Exchange, from the top, at most 5 times
//! ```

mod address;
mod exchange;
mod grants;
mod message;
mod resolve;
#[cfg(test)]
mod tests;
mod tls;
mod url;

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Connector, TcpConnector};
use ureq::{Agent, Body, Error};

use exchange::{Exchange, MAX_BODY_BYTES, MAX_FIELD_BYTES, MAX_FIELDS};
use grants::Grants;
pub use message::{HttpError, Request, Response};
use resolve::{Closed, Gate, Lookup, system_lookup};
use tls::{Tls, Trust};
use url::Scheme;
pub(crate) use url::origin_of;

/// Redirects that are followed for one request.
const MAX_REDIRECTS: usize = 5;

/// Bytes of the status line and the header of an answer; also of the buffer for reading.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// Bytes of the buffer for writing.
const OUTPUT_BYTES: usize = 16 << 10;

/// Connections that are kept open while nothing is sent.
const MAX_IDLE: usize = 32;

/// Those of them to one origin.
const MAX_IDLE_PER_ORIGIN: usize = 16;

/// For how long an idle connection is kept. Shorter than the 5 s after which common servers
/// close theirs: a request that crosses with that fails.
const MAX_IDLE_AGE: Duration = Duration::from_secs(4);

/// A client for HTTP/1.1 and HTTPS that goes to listed origins only.
///
/// An origin is `scheme://host[:port]`, without a path, and without wildcards; a missing scheme is
/// `https`. The host is one of:
///
/// - a name: every address that it resolves to must be public;
/// - a name, and `private:` in front of the entry: its addresses may be private or loopback, too;
/// - an address: that address is permitted, wherever it leads;
/// - `localhost`: this machine, without asking a resolver.
///
/// The addresses are checked where they are resolved for the connection, so a name cannot lead
/// elsewhere afterwards. No proxy is used, whatever the environment says.
///
/// Clones of a plugin's instances share one: it is `Sync`, and keeps a small pool of connections.
#[derive(Debug)]
pub struct Http {
    agent: Agent,
    grants: Arc<Grants>,
    trust: Trust,
    lookup: LookupField,
}

impl Http {
    /// A client for these origins, at most 256, that trusts the certificates that the system does.
    pub fn new(origins: &[String]) -> Result<Self, String> {
        let grants = Grants::parse(origins)?;
        let encrypted = grants
            .origins()
            .any(|origin| origin.scheme == Scheme::Https);
        // Reading some hundred certificates for a client that needs none would be a waste.
        let trust = if encrypted {
            Trust::system()
        } else {
            Trust::nothing()
        };
        Self::with_parts(Arc::new(grants), trust, system_lookup())
    }

    /// Trusts the certificates in a PEM text besides those of the system.
    pub fn with_root(self, pem: &str) -> Result<Self, String> {
        let mut trust = self.trust;
        trust.add(pem)?;
        Self::with_parts(self.grants, trust, self.lookup.0)
    }

    /// Resolves names in another way than the system's.
    #[cfg(test)]
    fn with_lookup(self, lookup: Lookup) -> Self {
        Self::with_parts(self.grants, self.trust, lookup).unwrap()
    }

    fn with_parts(grants: Arc<Grants>, trust: Trust, lookup: Lookup) -> Result<Self, String> {
        let connector = TcpConnector::default().chain(Tls::new(&trust)?);
        let gate = Gate::new(Arc::clone(&grants), Arc::clone(&lookup));
        Ok(Self {
            agent: Agent::with_parts(settings(), connector, gate),
            grants,
            trust,
            lookup: LookupField(lookup),
        })
    }

    /// Sends a request and waits for the answer until the deadline, which covers all there is to
    /// it: names, connection, TLS, redirects, header and body. Blocks the thread.
    ///
    /// Redirects are followed up to 5 times and to listed origins only. `Authorization` and
    /// `Cookie` are left out when the origin changes; other fields, whatever secret a plugin may
    /// put there, go along. An answer with any status is an answer.
    pub fn send(&self, request: &Request, deadline: Instant) -> Result<Response, HttpError> {
        let mut exchange = Exchange::new(request)?;
        for _ in 0..=MAX_REDIRECTS {
            let response = self.exchange(&exchange, deadline)?;
            match exchange.redirected(&response)? {
                None => return Ok(response),
                Some(next) => exchange = next,
            }
        }
        Err(HttpError::Failed(format!(
            "more than {MAX_REDIRECTS} redirects"
        )))
    }

    /// One request and one answer.
    fn exchange(&self, exchange: &Exchange, deadline: Instant) -> Result<Response, HttpError> {
        let origin = &exchange.url.origin;
        if self.grants.addresses(origin).is_none() {
            return Err(HttpError::NotGranted(format!("{origin} is not listed")));
        }
        let remaining = deadline.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return Err(HttpError::TimedOut);
        }
        let request = exchange.to_http()?;
        let answer = if exchange.has_body() {
            let request = self.agent.configure_request(request);
            self.agent
                .run(request.timeout_global(Some(remaining)).build())
        } else {
            let request = self.agent.configure_request(request.map(|_| ()));
            self.agent
                .run(request.timeout_global(Some(remaining)).build())
        };
        read(answer.map_err(failure)?)
    }
}

fn settings() -> ureq::config::Config {
    Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        // They are followed here, where each hop is checked.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("dunlin/", env!("CARGO_PKG_VERSION")))
        .max_response_header_size(MAX_HEAD_BYTES)
        .input_buffer_size(MAX_HEAD_BYTES)
        .output_buffer_size(OUTPUT_BYTES)
        .max_idle_connections(MAX_IDLE)
        .max_idle_connections_per_host(MAX_IDLE_PER_ORIGIN)
        .max_idle_age(MAX_IDLE_AGE)
        .build()
}

/// Reads an answer to its end.
fn read(answer: ureq::http::Response<Body>) -> Result<Response, HttpError> {
    let (head, mut body) = answer.into_parts();
    if head.headers.len() > MAX_FIELDS {
        let count = head.headers.len();
        return Err(HttpError::Failed(format!(
            "an answer with {count} header fields"
        )));
    }
    let mut headers = Vec::with_capacity(head.headers.len());
    for (name, value) in &head.headers {
        if name.as_str().len() + value.len() > MAX_FIELD_BYTES {
            return Err(HttpError::Failed(format!(
                "the field {name} of the answer is too long"
            )));
        }
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.push((name.as_str().to_owned(), value));
    }
    let mut bytes = Vec::new();
    let mut reader = body.as_reader().take(MAX_BODY_BYTES as u64 + 1);
    reader
        .read_to_end(&mut bytes)
        .map_err(|error| failure(Error::from(error)))?;
    if bytes.len() > MAX_BODY_BYTES {
        return Err(HttpError::Failed("an answer of more than 1 MiB".to_owned()));
    }
    Ok(Response {
        status: head.status.as_u16(),
        headers,
        body: bytes,
    })
}

/// What an error of the client means here.
fn failure(error: Error) -> HttpError {
    match error {
        Error::Timeout(_) => HttpError::TimedOut,
        Error::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<Error>()) => {
            match error.downcast::<Error>() {
                Ok(inner) => failure(inner),
                Err(error) => HttpError::Failed(error.to_string()),
            }
        }
        Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => HttpError::TimedOut,
        Error::Other(error) => match error.downcast::<Closed>() {
            Ok(closed) => HttpError::NotGranted(closed.0),
            Err(error) => HttpError::Failed(error.to_string()),
        },
        error => HttpError::Failed(error.to_string()),
    }
}

/// The way names are resolved, which has no text to show.
struct LookupField(Lookup);

impl std::fmt::Debug for LookupField {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Lookup")
    }
}
