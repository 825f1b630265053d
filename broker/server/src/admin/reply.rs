//! Answers.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// An answer: small enough to be in memory.
pub type Reply = Response<Full<Bytes>>;

/// Any answer.
pub fn new(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    reply
}

/// 200 with JSON.
pub fn json(value: &Value) -> Reply {
    with_json(StatusCode::OK, value)
}

/// A line of text.
pub fn text(status: StatusCode, line: &str) -> Reply {
    new(status, "text/plain; charset=utf-8", format!("{line}\n"))
}

/// 204.
pub fn no_content() -> Reply {
    new(StatusCode::NO_CONTENT, "text/plain", Bytes::new())
}

/// An error: `{"error": "..."}`.
pub fn error(status: StatusCode, what: &str) -> Reply {
    with_json(status, &json!({ "error": what }))
}

/// 400.
pub fn bad_request(what: &str) -> Reply {
    error(StatusCode::BAD_REQUEST, what)
}

/// 404.
pub fn not_found(what: &str) -> Reply {
    error(StatusCode::NOT_FOUND, what)
}

/// 405, with what is allowed.
pub fn method_not_allowed(allowed: &'static str) -> Reply {
    let mut reply = error(
        StatusCode::METHOD_NOT_ALLOWED,
        &format!("only {allowed} is answered here"),
    );
    let headers = reply.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(allowed));
    reply
}

fn with_json(status: StatusCode, value: &Value) -> Reply {
    new(status, "application/json", value.to_string())
}
