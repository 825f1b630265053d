//! Absolute URLs of the two schemes, taken apart once, so that what is checked is what is dialled.
//!
//! Stricter than RFC 3986: no user info, no percent-encoding in hosts, no fragments sent, no
//! numbers that only old C libraries take for addresses. An internationalised name must come in
//! its ASCII form.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Bytes that a URL may have.
pub(super) const MAX_URL_BYTES: usize = 8 << 10;

/// Bytes that a host name may have (RFC 1035, 2.3.4).
const MAX_NAME_BYTES: usize = 253;

/// How to speak with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

/// Whom to speak with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// In lower case.
    Name(String),
    /// Written as a literal.
    Address(IpAddr),
}

/// Scheme, host and port (RFC 6454, 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub scheme: Scheme,
    pub host: Host,
    pub port: u16,
}

/// An origin, and what to ask it for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub origin: Origin,
    /// Path and query; begins with `/`.
    pub target: String,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        check_characters(text)?;
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| format!("{text}: not an absolute URL"))?;
        let scheme = Scheme::parse(scheme)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let origin = Origin::parse_authority(scheme, authority)?;
        Ok(Self {
            origin,
            target: absolute_target(target),
        })
    }

    /// The URL that a `Location` means when it comes from this one (RFC 3986, 5.2).
    pub(super) fn join(&self, location: &str) -> Result<Self, String> {
        check_characters(location)?;
        let reference = location.split('#').next().unwrap_or_default();
        if let Some(rest) = reference.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.origin.scheme));
        }
        let before_path = &reference[..reference.find(['/', '?']).unwrap_or(reference.len())];
        if before_path.contains(':') {
            return Self::parse(reference);
        }
        let base = self.target.split('?').next().unwrap_or("/");
        let target = match reference.as_bytes().first() {
            None => self.target.clone(),
            Some(b'/') => without_dots(reference),
            Some(b'?') => format!("{base}{reference}"),
            Some(_) => {
                // The base begins with a slash, so there is one to find.
                let directory = &base[..=base.rfind('/').unwrap_or(0)];
                without_dots(&format!("{directory}{reference}"))
            }
        };
        Ok(Self {
            origin: self.origin.clone(),
            target,
        })
    }
}

impl Origin {
    /// `scheme://host[:port]`; without a scheme, `https`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        check_characters(text)?;
        let (scheme, authority) = text.split_once("://").unwrap_or(("https", text));
        if authority.contains(['/', '?', '#']) {
            return Err(format!("{text}: an origin ends with its host or port"));
        }
        Self::parse_authority(Scheme::parse(scheme)?, authority)
    }

    fn parse_authority(scheme: Scheme, authority: &str) -> Result<Self, String> {
        if authority.contains('@') {
            // The text is left out: it may have a password in it.
            return Err("a URL must not carry a user name".to_owned());
        }
        let bad = || format!("{authority}: not a host");
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or_else(bad)?;
                let address: Ipv6Addr = address.parse().map_err(|_| bad())?;
                (Host::Address(address.into()), port)
            }
            None => {
                let end = authority.find(':').unwrap_or(authority.len());
                let (host, port) = authority.split_at(end);
                (Host::parse(host).ok_or_else(bad)?, port)
            }
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => scheme.default_port(),
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(bad)?,
            _ => return Err(bad()),
        };
        Ok(Self { scheme, host, port })
    }
}

impl Host {
    /// A name, or an IPv4 address.
    fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Address(address));
        }
        let label = |label: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            (1..=63).contains(&label.len()) && label.bytes().all(allowed)
        };
        // `127.1` and `0x7f.0.0.1` are addresses to some resolvers; no top-level name has a digit
        // in front (RFC 3696, 2).
        let last = text.rsplit('.').next().unwrap_or_default();
        let named = !last.starts_with(|first: char| first.is_ascii_digit());
        (text.len() <= MAX_NAME_BYTES && named && text.split('.').all(label))
            .then(|| Self::Name(text.to_ascii_lowercase()))
    }
}

impl Scheme {
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            _ => Err(format!("{text}: the scheme must be https or http")),
        }
    }

    pub(super) fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The origin of a URL, written as in a list of origins.
pub(crate) fn origin_of(url: &str) -> Result<String, String> {
    Ok(Url::parse(url)?.origin.to_string())
}

/// A URL consists of visible ASCII characters; a backslash is a slash to some parsers.
fn check_characters(text: &str) -> Result<(), String> {
    if text.len() > MAX_URL_BYTES {
        return Err(format!("a URL of {} bytes is too long", text.len()));
    }
    match text.chars().find(|c| !c.is_ascii_graphic() || *c == '\\') {
        None => Ok(()),
        Some(c) => Err(format!("a URL must not have {c:?} in it")),
    }
}

/// What is asked for by the part of an absolute URL that follows the authority.
fn absolute_target(rest: &str) -> String {
    let sent = rest.split('#').next().unwrap_or_default();
    match sent.as_bytes().first() {
        Some(b'/') => without_dots(sent),
        // A query, or nothing.
        _ => format!("/{sent}"),
    }
}

/// Removes `.` and `..` segments from the path (RFC 3986, 5.2.4) and leaves the query.
fn without_dots(target: &str) -> String {
    let (path, query) = match target.find('?') {
        Some(at) => target.split_at(at),
        None => (target, ""),
    };
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            "." | ".." => {
                if part == ".." {
                    segments.pop();
                }
                if last {
                    segments.push("");
                }
            }
            _ => segments.push(part),
        }
    }
    format!("/{}{query}", segments.join("/"))
}

impl fmt::Display for Scheme {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => out.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(out, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(out, "[{address}]"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}", self.scheme, self.host)?;
        if self.port == self.scheme.default_port() {
            return Ok(());
        }
        write!(out, ":{}", self.port)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.origin, self.target)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_are_taken_apart_and_written_in_one_form() {
        let table = [
            ("https://Idp.Example", "https://idp.example/"),
            (
                "HTTPS://idp.example:443/a?b=c#d",
                "https://idp.example/a?b=c",
            ),
            ("http://idp.example:80?x", "http://idp.example/?x"),
            ("http://idp.example:8080/", "http://idp.example:8080/"),
            ("http://10.0.0.1/a/../b/./c", "http://10.0.0.1/b/c"),
            ("https://[0:0::1]:8443/..", "https://[::1]:8443/"),
            ("https://a.example#@evil.example", "https://a.example/"),
        ];
        for (text, expected) in table {
            assert_eq!(Url::parse(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_parsers_disagree_about_is_refused() {
        let table = [
            "",
            "/path",
            "idp.example",
            "ftp://idp.example/",
            "https://",
            "https:///a",
            "https://user@idp.example/",
            "https://good.example@evil.example/",
            "https://good.example\\@evil.example/",
            "https://idp.example:/",
            "https://idp.example:0/",
            "https://idp.example:65536/",
            "https://idp.example:+1/",
            "https://a b/",
            "https://a/\r\nX: y",
            "https://a/\t",
            "https://127.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://[::1",
            "https://[::1]x/",
            "https://[127.0.0.1]/",
            "https://::1/",
            "https://a..b/",
            "https://%6c/",
            "https://ex\u{e4}mple/",
            "https://a.example./",
        ];
        for text in table {
            assert!(Url::parse(text).is_err(), "{text:?}");
        }
        assert!(Url::parse(&format!("https://a/{}", "x".repeat(8 << 10))).is_err());
    }

    #[test]
    fn a_location_is_read_as_rfc_3986_has_it() {
        let base = Url::parse("https://idp.example:8443/a/b/c?q").unwrap();
        let table = [
            ("https://other.example/x", "https://other.example/x"),
            ("//other.example/x", "https://other.example/x"),
            ("/x", "https://idp.example:8443/x"),
            ("x", "https://idp.example:8443/a/b/x"),
            ("x:y", ""),
            ("./x", "https://idp.example:8443/a/b/x"),
            ("../x?y", "https://idp.example:8443/a/x?y"),
            ("../../../../x", "https://idp.example:8443/x"),
            ("?y", "https://idp.example:8443/a/b/c?y"),
            (
                "x?u=http://other.example/",
                "https://idp.example:8443/a/b/x?u=http://other.example/",
            ),
            ("#z", "https://idp.example:8443/a/b/c?q"),
            ("javascript:alert(1)", ""),
            ("/\\other.example/", ""),
        ];
        for (location, expected) in table {
            let joined = base.join(location).map(|url| url.to_string());
            assert_eq!(joined.unwrap_or_default(), expected, "{location}");
        }
    }

    #[test]
    fn an_origin_has_no_path_and_is_https_by_default() {
        let origin = |text| Origin::parse(text).map(|origin| origin.to_string());
        assert_eq!(origin("idp.example").unwrap(), "https://idp.example");
        assert_eq!(origin("http://a:80").unwrap(), "http://a");
        assert_ne!(
            origin("http://a:443").unwrap(),
            origin("https://a").unwrap()
        );
        for text in [
            "https://a/",
            "https://a?",
            "https://*.a",
            "*",
            "",
            "private:a",
        ] {
            assert!(origin(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(text in "https?://[a-z0-9.:\\[\\]-]{1,20}[/?#a-z.%]{0,20}") {
            if let Ok(url) = Url::parse(&text) {
                prop_assert_eq!(Url::parse(&url.to_string()).unwrap(), url);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}", location in "\\PC{0,60}") {
            let _ = Url::parse(&text);
            let _ = Url::parse("https://a/b/c").unwrap().join(&location);
        }
    }
}
