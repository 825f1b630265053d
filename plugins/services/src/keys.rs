//! Tokens, verified with keys that are kept fresh.
//!
//! ```text
//!   token, name of a key set -> Source (which keys are there now?) -> Verified (known already?)
//!         -> Token (taken apart) -> Key (signed by one of them?) -> claims (for us, and now?)
//! ```
//!
//! Signatures are verified by `ring`, which TLS has in the binary anyway. The crate `jsonwebtoken`
//! is not used: its last version on `ring` is 9.3, which takes an `nbf` that is no number for none
//! (CVE-2026-25537); those since bring a second implementation of every algorithm, or want one
//! set for the whole process. What there is to a token besides the signature is in `token.rs`.

mod algorithm;
mod cache;
mod fetch;
mod jwk;
mod key;
mod pem;
mod settings;
mod source;
#[cfg(test)]
mod tests;
mod token;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::http::{Http, origin_of};
use algorithm::{Algorithm, Kind};
use cache::Verified;
use fetch::{Fetched, Pace};
use key::Key;
pub use settings::{KeySetSettings, KeySource, TokenError};
use source::{Snapshot, Source, WatchedFile};
use token::{MAX_TOKEN_BYTES, Token, judge};

/// Key sets that there may be: each with a URL has a thread.
const MAX_SETS: usize = 64;

/// The key sets of the configuration, by name.
///
/// Keys at a URL are fetched by a thread for each such set: at the start, every 5 minutes, and at
/// once when a token names a key that is not there, though for that reason at most once in 10 s.
/// Keys stay in use when they cannot be fetched or read any more. The host of such a URL may
/// have a private address, because the configuration names it; redirects to other origins are
/// not followed.
pub struct KeySets {
    sets: HashMap<String, KeySet>,
}

struct KeySet {
    source: Source,
    issuers: Vec<String>,
    audiences: Vec<String>,
    /// None of them for another kind of key than the source has.
    algorithms: Vec<Algorithm>,
    verified: Verified,
}

impl KeySets {
    /// Checks the settings, reads files, and starts to fetch what is at URLs, without waiting for
    /// it. An error names the key set.
    pub fn new(settings: &[KeySetSettings]) -> Result<Self, String> {
        Self::with_roots(settings, &[])
    }

    /// The same, trusting the certificates in these PEM texts besides those of the system.
    pub fn with_roots(settings: &[KeySetSettings], roots: &[String]) -> Result<Self, String> {
        Self::with_pace(settings, roots, Pace::default())
    }

    fn with_pace(
        settings: &[KeySetSettings],
        roots: &[String],
        pace: Pace,
    ) -> Result<Self, String> {
        if settings.len() > MAX_SETS {
            return Err(format!("{} key sets are too many", settings.len()));
        }
        let mut sets = HashMap::with_capacity(settings.len());
        for one in settings {
            let named = |error: String| format!("key set {:?}: {error}", one.name);
            let set = KeySet::new(one, roots, pace).map_err(named)?;
            if sets.insert(one.name.clone(), set).is_some() {
                return Err(named("there are two of this name".to_owned()));
            }
        }
        Ok(Self { sets })
    }

    /// Verifies a JWT (RFC 7519) in its compact form, at most 16 KiB, and gives its claims: the
    /// JSON text that was signed.
    ///
    /// `exp` must be there and not be over, `nbf` be reached if it is there, both with 30 s for
    /// clocks that differ. Never waits for the network: if a key may come yet, the answer is
    /// [`TokenError::Unavailable`], and the same question may have another answer soon.
    pub fn verify(
        &self,
        key_set: &str,
        token: &str,
        now_seconds: u64,
    ) -> Result<String, TokenError> {
        match self.sets.get(key_set) {
            Some(set) => set.verify(token, now_seconds),
            None => Err(TokenError::Unavailable(format!(
                "there is no key set {key_set:?}"
            ))),
        }
    }

    /// Waits until each URL was asked once, for as long as the deadline allows; whether there are
    /// keys in all sets. For the start of a broker, before clients come.
    pub fn wait(&self, deadline: Instant) -> bool {
        self.sets.values().all(|set| {
            if let Source::Url(fetched) = &set.source {
                fetched.wait_for_fetches(1, deadline);
            }
            set.source.keys().is_ok()
        })
    }
}

impl KeySet {
    fn new(settings: &KeySetSettings, roots: &[String], pace: Pace) -> Result<Self, String> {
        let secret = matches!(settings.source, KeySource::Secret(_));
        let algorithms = algorithms(&settings.algorithms, secret)?;
        let source = match &settings.source {
            KeySource::Secret(secret) => {
                let keys = vec![Key::secret(secret)?];
                let generation = 0;
                Source::Fixed(Arc::new(Snapshot { generation, keys }))
            }
            KeySource::File(path) => Source::File(WatchedFile::open(path)?),
            KeySource::Url(url) => Source::Url(fetched(url, roots, pace)?),
        };
        Ok(Self {
            source,
            issuers: settings.issuers.clone(),
            audiences: settings.audiences.clone(),
            algorithms,
            verified: Verified::default(),
        })
    }

    fn verify(&self, token: &str, now: u64) -> Result<String, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Invalid);
        }
        let current = self.source.keys().map_err(TokenError::Unavailable)?;
        let digest = cache::digest(token);
        if let Some(known) = self.verified.get(current.generation, &digest, now) {
            return known;
        }
        let token = Token::parse(token).ok_or(TokenError::Invalid)?;
        self.check_signature(&token, &current)?;
        let claims = std::str::from_utf8(&token.claims).map_err(|_| TokenError::Invalid)?;
        let validity = judge(&token.claims, &self.issuers, &self.audiences)?;
        validity.check(now)?;
        self.verified
            .put(current.generation, digest, validity, claims, now);
        Ok(claims.to_owned())
    }

    fn check_signature(&self, token: &Token, current: &Snapshot) -> Result<(), TokenError> {
        if !self.algorithms.contains(&token.algorithm) {
            return Err(TokenError::Invalid);
        }
        let id = token.key_id.as_deref();
        let verifies = |key: &Key| {
            key.is_called(id) && key.verifies(token.algorithm, token.message, &token.signature)
        };
        if current.keys.iter().any(verifies) {
            return Ok(());
        }
        match id {
            Some(id) if !current.keys.iter().any(|key| key.is_exactly(id)) => {
                if self.source.may_come() {
                    let what = "the key of the token is not known and is being fetched";
                    return Err(TokenError::Unavailable(what.to_owned()));
                }
                Err(TokenError::Invalid)
            }
            _ => Err(TokenError::Invalid),
        }
    }
}

/// The algorithms that are accepted: those listed, or all that fit.
fn algorithms(names: &[String], secret: bool) -> Result<Vec<Algorithm>, String> {
    let fits = |algorithm: &Algorithm| (algorithm.kind() == Kind::Secret) == secret;
    if names.is_empty() {
        return Ok(Algorithm::ALL.into_iter().filter(fits).collect());
    }
    let algorithm = |name: &String| {
        let algorithm =
            Algorithm::parse(name).ok_or_else(|| format!("{name:?} is not an algorithm"))?;
        if !fits(&algorithm) {
            return Err(match secret {
                true => format!("{name} needs a public key, and this is a secret"),
                false => format!("{name} needs a secret, and these are public keys"),
            });
        }
        Ok(algorithm)
    };
    names.iter().map(algorithm).collect()
}

fn fetched(url: &str, roots: &[String], pace: Pace) -> Result<Fetched, String> {
    let origin = origin_of(url)?;
    if url.starts_with("http://") {
        tracing::warn!(
            url,
            "keys come unprotected: who can change them can forge tokens"
        );
    }
    let mut http = Http::new(&[format!("private:{origin}")])?;
    for root in roots {
        http = http.with_root(root)?;
    }
    Fetched::start(http, url.to_owned(), pace)
}

impl fmt::Debug for KeySets {
    /// The names only: keys may be secret.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.sets.keys()).finish()
    }
}
