//! `/api/v1`: JSON over HTTP.
//!
//! | Request | Does |
//! |---|---|
//! | `GET stats` | the broker in numbers |
//! | `GET listeners` | what listens |
//! | `GET bridges` | the bridges, and how they do |
//! | `GET plugins` | which plugins are loaded, and how they do |
//! | `GET clients?limit=&after=&connected=` | a page of sessions, by client id |
//! | `GET clients/{id}` | one session, with its subscriptions |
//! | `DELETE clients/{id}` | disconnects the client with 0x98 |
//! | `POST publish` | publishes `{"topic", "payload" or "payload_base64", "qos", "retain"}` |
//! | `POST reload` | reads the configuration again |

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use dunlin_codec::Qos;
use dunlin_router::{Origin, Publication};
use dunlin_topic::TopicName;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::reply::{self, Reply};
use super::stats::{self, Figure};
use super::{Admin, bridges, clients, health, plugins, query};

/// Bytes of the largest request body.
const BODY_MAX: usize = 2 * 1024 * 1024;
/// How long a request body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The answer to a request below `/api/v1/` that may be answered.
pub async fn answer(admin: &Admin, request: Request<Incoming>) -> Reply {
    let path = request
        .uri()
        .path()
        .trim_start_matches("/api/v1/")
        .to_owned();
    let search = request.uri().query().map(str::to_owned);
    let method = request.method().clone();
    match (path.as_str(), method) {
        ("stats", Method::GET) => statistics(admin),
        ("listeners", Method::GET) => listeners(admin),
        ("bridges", Method::GET) => bridges::list(admin),
        ("plugins", Method::GET) => plugins::list(admin),
        ("clients", Method::GET) => clients::list(admin, search.as_deref()),
        ("publish", Method::POST) => match body(request).await {
            Ok(body) => publish(admin, &body).await,
            Err(refusal) => refusal,
        },
        ("reload", Method::POST) => reload(admin).await,
        ("stats" | "listeners" | "bridges" | "plugins" | "clients", _) => {
            reply::method_not_allowed("GET")
        }
        ("publish" | "reload", _) => reply::method_not_allowed("POST"),
        (path, method) => match path.strip_prefix("clients/").and_then(query::decode) {
            Some(client_id) => clients::one(admin, &method, &client_id),
            None => reply::not_found("no such resource in /api/v1"),
        },
    }
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Reply> {
    let body = Limited::new(request.into_body(), BODY_MAX).collect();
    match timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(reply::error(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("the request is longer than {BODY_MAX} bytes"),
        )),
        Ok(Err(error)) => Err(reply::bad_request(&error.to_string())),
        Err(_) => Err(reply::error(
            StatusCode::REQUEST_TIMEOUT,
            "the request did not come in time",
        )),
    }
}

fn statistics(admin: &Admin) -> Reply {
    let object = |figures: Vec<Figure>| {
        let entries = figures.into_iter();
        let entries = entries.map(|figure| (figure.name.to_owned(), number(figure.value)));
        entries.collect::<Map<String, Value>>()
    };
    reply::json(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": health::unready(admin).is_none(),
        "gauges": object(stats::gauges(admin)),
        "counters": object(stats::counters(admin)),
    }))
}

/// A whole number without a point behind it.
fn number(value: f64) -> Value {
    match value.fract() == 0.0 {
        true => (value as u64).into(),
        false => value.into(),
    }
}

fn listeners(admin: &Admin) -> Reply {
    let open = admin.listeners.borrow().open_now();
    let listeners = open.iter().map(|listener| {
        json!({
            "name": listener.name,
            "address": listener.address,
            "protocol": listener.protocol,
            "tls": listener.tls,
            "path": listener.path,
            "connections": listener.connections,
        })
    });
    reply::json(&json!({ "listeners": listeners.collect::<Vec<_>>() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Publish {
    topic: String,
    #[serde(default)]
    payload: Option<String>,
    #[serde(default)]
    payload_base64: Option<String>,
    #[serde(default)]
    qos: u8,
    #[serde(default)]
    retain: bool,
}

impl Publish {
    fn payload(&self) -> Result<Vec<u8>, String> {
        match (&self.payload, &self.payload_base64) {
            (Some(_), Some(_)) => Err("payload and payload_base64 exclude each other".into()),
            (Some(text), None) => Ok(text.clone().into_bytes()),
            (None, Some(text)) => BASE64_STANDARD
                .decode(text)
                .map_err(|error| format!("payload_base64: {error}")),
            (None, None) => Ok(Vec::new()),
        }
    }
}

async fn publish(admin: &Admin, body: &[u8]) -> Reply {
    let request: Publish = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(error) => return reply::bad_request(&error.to_string()),
    };
    let payload = match request.payload() {
        Ok(payload) => payload,
        Err(what) => return reply::bad_request(&what),
    };
    let topic = match TopicName::new(&request.topic) {
        Ok(topic) if topic.is_system() => {
            return reply::bad_request("topic: names that begin with $ are the broker's own");
        }
        Ok(topic) => topic,
        Err(error) => return reply::bad_request(&format!("topic: {error}")),
    };
    let Some(qos) = Qos::from_u8(request.qos) else {
        return reply::bad_request("qos: needs 0, 1 or 2");
    };
    let published = {
        let mut dispatch = admin.dispatch.borrow_mut();
        let published = dispatch.publish(Publication {
            topic,
            publisher: 0,
            qos,
            retain: request.retain,
            expires: None,
            forwarded: &[],
            payload: &payload,
            origin: Origin::Anyone,
        });
        dispatch.flush();
        published
    };
    let (reason, matched, full) = (published.reason(), published.matched, published.full);
    admin.router.until_committed(published.commit).await;
    reply::json(&json!({
        "matched": matched,
        "dropped": full,
        "reason_code": reason as u8,
    }))
}

async fn reload(admin: &Admin) -> Reply {
    let (sender, outcome) = oneshot::channel();
    if admin.reload.try_send(sender).is_err() {
        return reply::error(StatusCode::CONFLICT, "other reloads are under way");
    }
    match outcome.await {
        Ok(Ok(reloaded)) => reply::json(&json!({
            "changed": reloaded.live,
            "changes_at_restart": reloaded.restart,
        })),
        Ok(Err(what)) => reply::error(StatusCode::UNPROCESSABLE_ENTITY, &what),
        Err(_) => reply::error(StatusCode::SERVICE_UNAVAILABLE, "the broker is stopping"),
    }
}
