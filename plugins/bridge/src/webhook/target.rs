//! Where requests go and what they say of themselves: the URL and the header.

use ureq::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use ureq::http::uri::{Scheme, Uri};

/// By which a server knows a batch that it has taken already.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Header fields that may be set.
const MAX_FIELDS: usize = 64;
/// Bytes that the name and value of one may have.
const MAX_FIELD_BYTES: usize = 8 << 10;
/// Bytes of a URL.
const MAX_URL_BYTES: usize = 8 << 10;

/// Fields that are the connection's affair (RFC 9110, sections 7.2 and 7.6.1), or ours.
const RESERVED: [&str; 13] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A URL and a header that are fit to send.
#[derive(Clone)]
pub(crate) struct Target {
    pub url: Uri,
    pub headers: HeaderMap,
}

impl Target {
    /// # Errors
    /// What is wrong, without the value of any header field.
    pub fn new(url: &str, headers: &[(String, String)]) -> Result<Self, String> {
        Ok(Target {
            url: parse(url)?,
            headers: fields(headers)?,
        })
    }

    pub fn is_encrypted(&self) -> bool {
        self.url.scheme() == Some(&Scheme::HTTPS)
    }

    /// The URL for the log: its path may be a secret, as with many chat services.
    pub fn origin(&self) -> String {
        let scheme = self.url.scheme_str().unwrap_or_default();
        let authority = self
            .url
            .authority()
            .map_or("", |authority| authority.as_str());
        format!("{scheme}://{authority}")
    }
}

fn parse(text: &str) -> Result<Uri, String> {
    if text.len() > MAX_URL_BYTES {
        return Err("the url is too long".into());
    }
    let url: Uri = text.parse().map_err(|error| format!("the url: {error}"))?;
    let scheme = url.scheme();
    if scheme != Some(&Scheme::HTTP) && scheme != Some(&Scheme::HTTPS) {
        return Err("the url does not begin with http:// or https://".into());
    }
    let authority = url.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err("the url has credentials: they belong into a header".into());
    }
    let host = url.host().unwrap_or_default();
    let port = authority.strip_prefix(host).unwrap_or_default();
    if host.is_empty() || (!port.is_empty() && url.port_u16().is_none_or(|port| port == 0)) {
        return Err(format!("the url has no host and port in {authority:?}"));
    }
    Ok(url)
}

fn fields(given: &[(String, String)]) -> Result<HeaderMap, String> {
    if given.len() > MAX_FIELDS {
        return Err(format!("more than {MAX_FIELDS} headers"));
    }
    let mut headers = HeaderMap::with_capacity(given.len() + 2);
    for (name, value) in given {
        if name.len() + value.len() > MAX_FIELD_BYTES {
            return Err(format!("a header is longer than {MAX_FIELD_BYTES} bytes"));
        }
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("{name:?} is not the name of a header"))?;
        if RESERVED.contains(&name.as_str()) {
            return Err(format!("the header {name} cannot be set"));
        }
        // Refuses line ends, NUL, and all else that RFC 9110, section 5.5 does not have.
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| format!("the value of the header {name} has a control character"))?;
        headers.append(name, value);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(url: &str, headers: &[(&str, &str)]) -> Option<String> {
        let own = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        let headers: Vec<_> = headers.iter().map(own).collect();
        Target::new(url, &headers).err()
    }

    #[test]
    fn urls_are_http_with_a_host() {
        for good in [
            "http://a",
            "https://a.example/x?y=z",
            "http://127.0.0.1:8080/x",
            "https://[::1]:8443/",
            "HTTP://a/",
        ] {
            assert_eq!(why(good, &[]), None, "{good}");
        }
        for bad in [
            "",
            "/x",
            "a.example",
            "ftp://a/",
            "http://",
            "http://user:secret@a/",
            "http://a:0/",
            "http://a:70000/",
            "http://a:x/",
            "http://a b/",
        ] {
            let why = why(bad, &[]).expect(bad);
            assert!(!why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn a_header_cannot_end_its_line_nor_frame_the_message() {
        assert_eq!(why("http://a", &[("Authorization", "Bearer 1")]), None);
        for (name, value) in [
            ("x", "secret\r\nhost: evil"),
            ("x", "secret\n"),
            ("x", "secret\0"),
            ("x y", "secret"),
            ("x\r\ny", "secret"),
            ("", "secret"),
            ("Host", "secret"),
            ("Content-Length", "secret"),
            ("Transfer-Encoding", "secret"),
            ("Idempotency-Key", "secret"),
        ] {
            let why = why("http://a", &[(name, value)]).expect(name);
            assert!(!why.contains("secret"), "{why}");
        }
        let long = "v".repeat(MAX_FIELD_BYTES);
        assert!(why("http://a", &[("x", &long)]).is_some());
        assert!(why("http://a", &[("x", "v"); MAX_FIELDS + 1]).is_some());
    }

    #[test]
    fn the_log_has_no_path() {
        let target = Target::new("https://a.example:8443/secret?token=1", &[]).unwrap();
        assert_eq!(target.origin(), "https://a.example:8443");
    }
}
