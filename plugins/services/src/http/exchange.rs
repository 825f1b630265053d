//! One request as it goes out, and what the next one is when the answer is a redirect.

use ureq::http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, COOKIE,
};
use ureq::http::{self, HeaderMap, HeaderName, HeaderValue, Method};

use super::message::{HttpError, Request, Response};
use super::url::Url;

/// Bytes that a body may have, either way.
pub(super) const MAX_BODY_BYTES: usize = 1 << 20;

/// Header fields that a message may have, either way.
pub(super) const MAX_FIELDS: usize = 64;

/// Bytes that the name and value of a field may have.
pub(super) const MAX_FIELD_BYTES: usize = 8 << 10;

/// Fields that are the connection's own affair (RFC 9110, 7.6.1 and 7.2): to set them is to
/// disagree with the client about where a message ends or whom it is for.
const RESERVED: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A request that is fit to send.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub method: Method,
    pub url: Url,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Exchange {
    /// Checks a request, all but its origin.
    pub(super) fn new(request: &Request) -> Result<Self, HttpError> {
        let failed = HttpError::Failed;
        let method = method(&request.method).map_err(failed)?;
        let url = Url::parse(&request.url).map_err(failed)?;
        if request.body.len() > MAX_BODY_BYTES {
            let length = request.body.len();
            return Err(failed(format!("a body of {length} bytes is too long")));
        }
        if !request.body.is_empty() && matches!(method, Method::GET | Method::HEAD) {
            return Err(failed(format!("a {method} has no body")));
        }
        Ok(Self {
            method,
            url,
            headers: headers(&request.headers).map_err(failed)?,
            body: request.body.clone(),
        })
    }

    /// The request as the client takes it.
    pub(super) fn to_http(&self) -> Result<http::Request<&[u8]>, HttpError> {
        let failed = |error: http::Error| HttpError::Failed(error.to_string());
        let mut request = http::Request::builder()
            .method(self.method.clone())
            .uri(self.url.to_string())
            .body(self.body.as_slice())
            .map_err(failed)?;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }

    /// Whether a `Content-Length` goes with it even if it is 0 (RFC 9110, 8.6).
    pub(super) fn has_body(&self) -> bool {
        !self.body.is_empty() || matches!(self.method, Method::POST | Method::PUT | Method::PATCH)
    }

    /// What to send next if the answer is a redirect (RFC 9110, 15.4), else nothing.
    pub(super) fn redirected(&self, response: &Response) -> Result<Option<Self>, HttpError> {
        if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let Some((_, location)) = response.headers.iter().find(|(name, _)| name == "location")
        else {
            return Ok(None);
        };
        let bad = |why| HttpError::Failed(format!("redirected to a bad address: {why}"));
        let mut next = self.clone();
        next.url = self.url.join(location).map_err(bad)?;
        let turns_to_get = match response.status {
            303 => self.method != Method::HEAD,
            301 | 302 => self.method == Method::POST,
            _ => false,
        };
        if turns_to_get {
            next.method = Method::GET;
            next.body.clear();
            for field in [
                CONTENT_ENCODING,
                CONTENT_LANGUAGE,
                CONTENT_LOCATION,
                CONTENT_TYPE,
            ] {
                next.headers.remove(field);
            }
        }
        if next.url.origin != self.url.origin {
            next.headers.remove(AUTHORIZATION);
            next.headers.remove(COOKIE);
        }
        Ok(Some(next))
    }
}

fn method(name: &str) -> Result<Method, String> {
    match name {
        "GET" => Ok(Method::GET),
        "HEAD" => Ok(Method::HEAD),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        "OPTIONS" => Ok(Method::OPTIONS),
        _ => Err(format!("{name:?} is not a method that can be sent")),
    }
}

fn headers(fields: &[(String, String)]) -> Result<HeaderMap, String> {
    if fields.len() > MAX_FIELDS {
        return Err(format!("{} header fields are too many", fields.len()));
    }
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        if name.len() + value.len() > MAX_FIELD_BYTES {
            return Err("a header field is too long".to_owned());
        }
        // Both refuse CR, LF and NUL, and all else that RFC 9110, 5.5 does not have.
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("{name:?} is not the name of a header field"))?;
        if RESERVED.contains(&name.as_str()) {
            return Err(format!("the header field {name} cannot be set"));
        }
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| format!("the value of the header field {name} has a control character"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            method: "POST".to_owned(),
            url: "https://a.example/x".to_owned(),
            headers: [
                ("Authorization", "Bearer 1"),
                ("cookie", "a=b"),
                ("content-type", "text/plain"),
                ("x-mine", "1"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
            body: b"body".to_vec(),
        }
    }

    fn redirect(status: u16, location: &str) -> Response {
        Response {
            status,
            headers: vec![("location".to_owned(), location.to_owned())],
            body: Vec::new(),
        }
    }

    fn next(status: u16, location: &str) -> Exchange {
        let exchange = Exchange::new(&request()).unwrap();
        exchange
            .redirected(&redirect(status, location))
            .unwrap()
            .unwrap()
    }

    fn names(exchange: &Exchange) -> Vec<&str> {
        let mut names: Vec<_> = exchange.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_header_field_cannot_end_its_line() {
        for (name, value) in [
            ("x", "a\r\nHost: evil"),
            ("x", "a\nb"),
            ("x", "a\rb"),
            ("x", "a\0b"),
            ("x\r\ny", "a"),
            ("x y", "a"),
            ("x:", "a"),
            ("", "a"),
            ("x\u{e4}", "a"),
        ] {
            let headers = vec![(name.to_owned(), value.to_owned())];
            let sent = Exchange::new(&Request {
                headers,
                ..request()
            });
            assert!(
                matches!(sent, Err(HttpError::Failed(_))),
                "{name:?} {value:?}"
            );
        }
    }

    #[test]
    fn what_frames_a_message_cannot_be_set() {
        for name in [
            "Host",
            "Content-Length",
            "Transfer-Encoding",
            "CONNECTION",
            "te",
            "Upgrade",
            "Expect",
        ] {
            let headers = vec![(name.to_owned(), "1".to_owned())];
            let sent = Exchange::new(&Request {
                headers,
                ..request()
            });
            assert!(matches!(sent, Err(HttpError::Failed(_))), "{name}");
        }
    }

    #[test]
    fn requests_have_bounds() {
        let field = |bytes: usize| ("x".to_owned(), "v".repeat(bytes));
        let table = [
            (
                Request {
                    headers: vec![field(1); 65],
                    ..request()
                },
                false,
            ),
            (
                Request {
                    headers: vec![field(1); 64],
                    ..request()
                },
                true,
            ),
            (
                Request {
                    headers: vec![field(8 << 10)],
                    ..request()
                },
                false,
            ),
            (
                Request {
                    body: vec![0; (1 << 20) + 1],
                    ..request()
                },
                false,
            ),
            (
                Request {
                    body: vec![0; 1 << 20],
                    ..request()
                },
                true,
            ),
            (
                Request {
                    method: "GET".to_owned(),
                    ..request()
                },
                false,
            ),
            (
                Request {
                    method: "post".to_owned(),
                    ..request()
                },
                false,
            ),
            (
                Request {
                    method: "CONNECT".to_owned(),
                    ..request()
                },
                false,
            ),
            (
                Request {
                    url: "/x".to_owned(),
                    ..request()
                },
                false,
            ),
        ];
        for (index, (request, fit)) in table.iter().enumerate() {
            assert_eq!(Exchange::new(request).is_ok(), *fit, "{index}");
        }
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        assert!(names(&next(307, "/y")).contains(&"authorization"));
        for location in [
            "https://b.example/",
            "http://a.example/",
            "https://a.example:8443/",
        ] {
            assert_eq!(
                names(&next(307, location)),
                ["content-type", "x-mine"],
                "{location}"
            );
        }
    }

    #[test]
    fn a_post_turns_into_a_get_where_the_standard_says_so() {
        for (status, method, body) in [
            (301, Method::GET, ""),
            (302, Method::GET, ""),
            (303, Method::GET, ""),
            (307, Method::POST, "body"),
            (308, Method::POST, "body"),
        ] {
            let next = next(status, "/y");
            assert_eq!(next.method, method, "{status}");
            assert_eq!(next.body, body.as_bytes(), "{status}");
            assert_eq!(names(&next).contains(&"content-type"), !body.is_empty());
        }
    }

    #[test]
    fn only_a_redirect_with_a_location_is_one() {
        let exchange = Exchange::new(&request()).unwrap();
        for status in [200, 201, 300, 304, 305, 404] {
            assert!(
                exchange
                    .redirected(&redirect(status, "/y"))
                    .unwrap()
                    .is_none()
            );
        }
        let nowhere = Response {
            headers: Vec::new(),
            ..redirect(302, "")
        };
        assert!(exchange.redirected(&nowhere).unwrap().is_none());
        assert!(exchange.redirected(&redirect(302, "ftp://a/")).is_err());
    }
}
