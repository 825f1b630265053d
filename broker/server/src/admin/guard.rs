//! Who may ask.
//!
//! The door needs no token where only this machine can reach it. But a web page that somebody on
//! this machine looks at can reach it too: by a form or a script that posts here (cross-site
//! request forgery), or by a host name that suddenly means 127.0.0.1 (DNS rebinding). So without a
//! token the Host must be an address or `localhost`, which no foreign page has; and whatever
//! changes something must not come from a page of another origin.

use std::net::IpAddr;

use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::{Method, StatusCode};
use subtle::ConstantTimeEq;

use super::reply::{self, Reply};
use crate::config::Secret;

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A token is configured, and this is not it.
    Token,
    /// The Host header is a name that may be anybody's.
    Host,
    /// The request comes from a page of another origin.
    Origin,
    /// A POST of something that a plain form could send.
    ContentType,
}

impl Refusal {
    /// The answer.
    pub fn reply(self) -> Reply {
        match self {
            Refusal::Token => {
                let what = "needs Authorization: Bearer with the admin.token";
                let mut reply = reply::error(StatusCode::UNAUTHORIZED, what);
                let challenge = hyper::header::HeaderValue::from_static("Bearer");
                reply
                    .headers_mut()
                    .insert(hyper::header::WWW_AUTHENTICATE, challenge);
                reply
            }
            Refusal::Host => reply::error(
                StatusCode::FORBIDDEN,
                "without an admin.token only an IP address or localhost is answered as Host",
            ),
            Refusal::Origin => reply::error(
                StatusCode::FORBIDDEN,
                "pages of other origins may change nothing here",
            ),
            Refusal::ContentType => reply::error(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "needs Content-Type: application/json",
            ),
        }
    }
}

/// Whether a request may be answered.
///
/// # Errors
/// Why not.
pub fn check(method: &Method, headers: &HeaderMap, token: &Option<Secret>) -> Result<(), Refusal> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(HOST).unwrap_or_default();
    match token {
        Some(token) if !carries(headers, token) => return Err(Refusal::Token),
        None if !is_own_name(host) => return Err(Refusal::Host),
        _ => {}
    }
    if method == Method::GET || method == Method::HEAD {
        return Ok(());
    }
    let own_origin = |origin: &str| {
        let bare = origin.split_once("://").map(|(_, host)| host);
        bare.is_some_and(|bare| bare.eq_ignore_ascii_case(host))
    };
    if headers.contains_key(ORIGIN) && !text(ORIGIN).is_some_and(own_origin) {
        return Err(Refusal::Origin);
    }
    let json = |kind: &str| kind.split(';').next().map(str::trim) == Some("application/json");
    if method == Method::POST && !text(CONTENT_TYPE).is_some_and(json) {
        return Err(Refusal::ContentType);
    }
    Ok(())
}

fn carries(headers: &HeaderMap, token: &Secret) -> bool {
    let value = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
    let given = value.and_then(|value| value.strip_prefix(b"Bearer "));
    // The time says nothing about the token but its length.
    given.is_some_and(|given| bool::from(given.ct_eq(token.reveal().as_bytes())))
}

/// Whether a Host is an IP address or `localhost`, with or without a port.
fn is_own_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::scalar::Scalar;

    fn checked(method: Method, pairs: &[(&str, &str)], token: Option<&str>) -> Result<(), Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.insert(name, value.parse().unwrap());
        }
        check(&method, &headers, &token.and_then(Secret::from_text))
    }

    const OWN: (&str, &str) = ("host", "127.0.0.1:9883");
    const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

    #[test]
    fn without_a_token_the_host_is_an_address() {
        for host in ["127.0.0.1:9883", "localhost", "[::1]:9883", "LOCALHOST:1"] {
            assert_eq!(
                checked(Method::GET, &[("host", host)], None),
                Ok(()),
                "{host}"
            );
        }
        for host in ["example.org", "127.0.0.1.example.org:9883", "", "[x]"] {
            let refused = checked(Method::GET, &[("host", host)], None);
            assert_eq!(refused, Err(Refusal::Host), "{host}");
        }
    }

    #[test]
    fn with_a_token_only_the_token_counts() {
        let token = Some("0123456789abcdef");
        let good = ("authorization", "Bearer 0123456789abcdef");
        let host = ("host", "broker.example.org");
        assert_eq!(checked(Method::GET, &[host, good], token), Ok(()));
        for bad in ["Bearer 0123456789abcdeX", "0123456789abcdef", "Bearer "] {
            let refused = checked(Method::GET, &[OWN, ("authorization", bad)], token);
            assert_eq!(refused, Err(Refusal::Token), "{bad}");
        }
        assert_eq!(checked(Method::GET, &[OWN], token), Err(Refusal::Token));
    }

    #[test]
    fn pages_of_other_origins_change_nothing() {
        let own = ("origin", "http://127.0.0.1:9883");
        assert_eq!(checked(Method::POST, &[OWN, JSON, own], None), Ok(()));
        assert_eq!(checked(Method::POST, &[OWN, JSON], None), Ok(()));
        assert_eq!(checked(Method::DELETE, &[OWN], None), Ok(()));
        for origin in ["http://example.org", "null", "http://127.0.0.1:80"] {
            for method in [Method::POST, Method::DELETE] {
                let refused = checked(method, &[OWN, JSON, ("origin", origin)], None);
                assert_eq!(refused, Err(Refusal::Origin), "{origin}");
            }
        }
    }

    #[test]
    fn what_a_form_can_post_is_refused() {
        for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
            let refused = checked(Method::POST, &[OWN, ("content-type", kind)], None);
            assert_eq!(refused, Err(Refusal::ContentType), "{kind}");
        }
    }
}
