//! What the broker does for plugins, in native tests.
//!
//! Everything here belongs to the thread, hence to one test. Nothing is set up at first: time stands
//! still at 2026-01-01T00:00:00Z, no key set is known and no request is answered.
//!
//! ```
//! use dunlin_sdk::{http, mock};
//!
//! mock::http(|request| {
//!     assert_eq!(request.url, "https://example.org/who");
//!     Ok(http::Response::new(200, "alice"))
//! });
//! let response = http::Request::get("https://example.org/who").send()?;
//! assert_eq!(response.body, b"alice");
//! # Ok::<(), http::Error>(())
//! ```

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use crate::{Qos, crypto::TokenError, http::Error, http::Request, http::Response, log::Level};

pub(crate) mod imports;
mod token;

/// 2026-01-01T00:00:00Z.
const BEGINNING: Duration = Duration::from_secs(1_767_225_600);

type Http = Box<dyn FnMut(&Request) -> Result<Response, Error>>;
type Tokens = Box<dyn FnMut(&str, &str) -> Result<String, TokenError>>;

thread_local! {
    static BROKER: RefCell<Broker> = RefCell::default();
    // Apart: they call plugins' tests back, which may ask for the rest.
    static HTTP: RefCell<Option<Http>> = const { RefCell::new(None) };
    static TOKENS: RefCell<Option<Tokens>> = const { RefCell::new(None) };
}

struct Broker {
    wall: Duration,
    monotonic: Duration,
    random: u64,
    keys: BTreeMap<String, Vec<u8>>,
    passwords: BTreeMap<String, Vec<u8>>,
    lines: Vec<(Level, String)>,
    counters: BTreeMap<String, u64>,
    gauges: BTreeMap<String, f64>,
    published: Vec<Published>,
    disconnected: Vec<String>,
    invalidated: u64,
}

impl Default for Broker {
    fn default() -> Self {
        Broker {
            wall: BEGINNING,
            monotonic: Duration::from_secs(1),
            random: 0,
            keys: BTreeMap::new(),
            passwords: BTreeMap::new(),
            lines: Vec::new(),
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
            published: Vec::new(),
            disconnected: Vec::new(),
            invalidated: 0,
        }
    }
}

/// A message that the plugin had the broker publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Topic name.
    pub topic: String,
    /// The application's bytes.
    pub payload: Vec<u8>,
    /// QoS.
    pub qos: Qos,
    /// RETAIN.
    pub retain: bool,
}

/// Answers the plugin's requests from now on.
pub fn http(answer: impl FnMut(&Request) -> Result<Response, Error> + 'static) {
    HTTP.set(Some(Box::new(answer)));
}

/// Sets the wall clock, since 1970-01-01T00:00:00Z.
pub fn time(wall: Duration) {
    with(|broker| broker.wall = wall);
}

/// Lets time pass on both clocks.
pub fn pass(time: Duration) {
    with(|broker| {
        broker.wall += time;
        broker.monotonic += time;
    });
}

/// Adds a key set with one secret, with which [`sign`] makes tokens and
/// [`crypto::verify_token`](crate::crypto::verify_token) accepts them (HS256).
pub fn keys(key_set: impl Into<String>, secret: impl Into<Vec<u8>>) {
    with(|broker| broker.keys.insert(key_set.into(), secret.into()));
}

/// A token with these claims (a JSON object), signed with a key set of [`keys`].
///
/// # Panics
/// If there is no such key set.
pub fn sign(key_set: &str, claims: &str) -> String {
    let secret = with(|broker| broker.keys.get(key_set).cloned());
    match secret {
        Some(secret) => token::sign(&secret, claims),
        None => panic!("there is no key set {key_set}: call mock::keys"),
    }
}

/// Answers [`crypto::verify_token`](crate::crypto::verify_token) from now on, instead of [`keys`].
pub fn tokens(answer: impl FnMut(&str, &str) -> Result<String, TokenError> + 'static) {
    TOKENS.set(Some(Box::new(answer)));
}

/// Makes `hash` the hash of `password` for
/// [`crypto::verify_password`](crate::crypto::verify_password).
pub fn password(hash: impl Into<String>, password: impl Into<Vec<u8>>) {
    with(|broker| broker.passwords.insert(hash.into(), password.into()));
}

/// The lines logged so far.
pub fn lines() -> Vec<(Level, String)> {
    with(|broker| broker.lines.clone())
}

/// What a counter stands at.
pub fn counter(name: &str) -> u64 {
    with(|broker| broker.counters.get(name).copied().unwrap_or(0))
}

/// What a gauge stands at.
pub fn gauge(name: &str) -> Option<f64> {
    with(|broker| broker.gauges.get(name).copied())
}

/// The messages published so far.
pub fn published() -> Vec<Published> {
    with(|broker| broker.published.clone())
}

/// The clients disconnected so far.
pub fn disconnected() -> Vec<String> {
    with(|broker| broker.disconnected.clone())
}

/// How often the answers kept by the broker were forgotten.
pub fn invalidated() -> u64 {
    with(|broker| broker.invalidated)
}

fn with<R>(work: impl FnOnce(&mut Broker) -> R) -> R {
    BROKER.with_borrow_mut(work)
}
