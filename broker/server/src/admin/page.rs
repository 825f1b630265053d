//! The dashboard: three small files, built in. They hold no data; what they show they ask the API
//! for.

use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY};
use hyper::{Method, StatusCode};

use super::reply::{self, Reply};

/// Nothing from elsewhere, but WebSocket to any broker.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; \
                      form-action 'none'";

const FILES: [(&str, &str, &str); 3] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("page/index.html"),
    ),
    (
        "/dashboard.css",
        "text/css; charset=utf-8",
        include_str!("page/dashboard.css"),
    ),
    (
        "/dashboard.js",
        "text/javascript; charset=utf-8",
        include_str!("page/dashboard.js"),
    ),
];

/// One of the files; `None` for another path.
pub fn answer(method: &Method, path: &str) -> Option<Reply> {
    let (_, kind, text) = FILES.iter().find(|(name, _, _)| *name == path)?;
    if method != Method::GET && method != Method::HEAD {
        return Some(reply::method_not_allowed("GET"));
    }
    let mut reply = reply::new(StatusCode::OK, kind, *text);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Some(reply)
}
