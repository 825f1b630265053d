//! Sends batches, one request each.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use tokio::task::{JoinHandle, spawn_blocking};
use ureq::config::Config;
use ureq::http::header::{HeaderValue, RETRY_AFTER};
use ureq::http::{Method, Request, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::batch::Batch;
use super::settings::WebhookSettings;
use super::target::{IDEMPOTENCY_KEY, Target};
use super::verdict::Verdict;
use crate::tls;

/// Bytes of the status line and the header of an answer.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Bytes of an answer's body that are read, so that the connection can be used again.
const MAX_BODY_BYTES: u64 = 64 << 10;
/// For how long a connection without a request is kept: shorter than the 5 s after which common
/// servers close theirs, since a request that crosses with that fails.
const MAX_IDLE_AGE: Duration = Duration::from_secs(4);

/// A request that is open.
pub(crate) type Flight = JoinHandle<Verdict>;

/// An HTTP client for one URL. Dropped, it breaks off the request that is open.
pub(crate) struct Poster {
    agent: Agent,
    target: Target,
}

impl Poster {
    /// # Errors
    /// The URL or a header cannot be sent, or TLS files cannot be used.
    pub fn new(settings: &WebhookSettings) -> Result<Self, String> {
        let target = Target::new(&settings.url, &settings.headers)?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(settings.timeout))
            .user_agent(concat!("dunlin/", env!("CARGO_PKG_VERSION")))
            .max_response_header_size(MAX_HEAD_BYTES)
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            .max_idle_age(MAX_IDLE_AGE);
        let config: Config = match target.is_encrypted() {
            true => config.tls_config(tls_config(settings)?).build(),
            false => config.build(),
        };
        Ok(Poster {
            agent: config.new_agent(),
            target,
        })
    }

    /// The server, for the log.
    pub fn origin(&self) -> String {
        self.target.origin()
    }

    /// Begins to send a batch, on a thread that may block.
    pub fn begin(&self, batch: &Batch) -> Flight {
        let (agent, target) = (self.agent.clone(), self.target.clone());
        let (key, body) = (batch.key.clone(), batch.body.clone());
        spawn_blocking(move || post(&agent, target, &key, &body))
    }
}

impl Drop for Poster {
    fn drop(&mut self) {
        self.agent.clone().shutdown();
    }
}

/// What came of a request.
pub(crate) async fn landed(flight: &mut Option<Flight>) -> Verdict {
    let Some(open) = flight else {
        return std::future::pending().await;
    };
    let verdict = open.await;
    *flight = None;
    verdict.unwrap_or_else(|error| Verdict::unanswered(format!("the request broke off: {error}")))
}

fn post(agent: &Agent, target: Target, key: &str, body: &[u8]) -> Verdict {
    let Target { url, headers } = target;
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url;
    *request.headers_mut() = headers;
    match HeaderValue::from_str(key) {
        Ok(key) => request.headers_mut().insert(IDEMPOTENCY_KEY, key),
        Err(error) => return Verdict::unanswered(error.to_string()),
    };
    match agent.run(request) {
        Ok(answer) => judge(answer),
        Err(error) => Verdict::unanswered(error.to_string()),
    }
}

fn judge(answer: Response<Body>) -> Verdict {
    let (head, mut body) = answer.into_parts();
    let retry_after = head.headers.get(RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok());
    let verdict = Verdict::new(head.status.as_u16(), retry_after);
    // The status has decided: whether the rest comes matters to the connection alone.
    let rest = io::copy(&mut body.as_reader().take(MAX_BODY_BYTES), &mut io::sink());
    if let Err(error) = rest {
        tracing::debug!(%error, "a webhook's answer was cut short");
    }
    verdict
}

fn tls_config(settings: &WebhookSettings) -> Result<TlsConfig, String> {
    let authorities = tls::authorities(&settings.authorities)?;
    let certificates: Vec<_> = authorities
        .iter()
        .map(|authority| Certificate::from_der(authority).to_owned())
        .collect();
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&certificates))
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .build())
}
