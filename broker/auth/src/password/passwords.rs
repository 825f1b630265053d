//! The authenticator over a password file.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    HashError, HashingPool, PasswordFile,
    cache::{CredentialsTag, VerifiedCache},
};
use crate::{Authenticator, BoxFuture, ConnectRequest, Denial, Grant, Outcome};

/// Grants clients whose user name and password stand in a password file.
///
/// A client without user name, or one that uses enhanced authentication, is left to the next in
/// the chain; a name that is not listed is refused. At reload make a new one: what was
/// verified before is then forgotten.
pub struct Passwords {
    file: Arc<PasswordFile>,
    pool: Arc<HashingPool>,
    verified: VerifiedCache,
}

/// Credentials kept as verified: 10,000 take about 1 MiB.
const MAX_VERIFIED: usize = 10_000;

/// How long credentials are kept as verified.
const VERIFIED_LIFETIME: Duration = Duration::from_secs(600);

impl Passwords {
    /// Verifies against `file`, computing slow hashes in `pool`.
    ///
    /// # Errors
    /// If the operating system gives no random bytes to protect the verified credentials.
    pub fn new(file: PasswordFile, pool: Arc<HashingPool>) -> Result<Self, HashError> {
        Ok(Self {
            file: Arc::new(file),
            pool,
            verified: VerifiedCache::new(MAX_VERIFIED, VERIFIED_LIFETIME)?,
        })
    }

    async fn judge(&self, request: &ConnectRequest) -> Outcome {
        let (Some(username), None) = (&request.username, &request.authentication) else {
            return Outcome::Next;
        };
        let Some(password) = &request.password else {
            return Outcome::Denied(Denial::BadCredentials);
        };
        match self.verify(username, password).await {
            Ok(true) => Outcome::Granted(Grant::to(Some(username.clone()))),
            Ok(false) => Outcome::Denied(Denial::BadCredentials),
            Err(lacking) => Outcome::Denied(Denial::Unavailable(lacking)),
        }
    }

    /// Whether the credentials are right; the error says what we lack to tell.
    async fn verify(&self, username: &str, password: &Bytes) -> Result<bool, Cow<'static, str>> {
        let candidate = self.file.candidate(username);
        if !candidate.hash.is_slow() {
            return candidate.verify(password).map_err(unavailable);
        }
        let tag = self.verified.tag(username, password, candidate.hash);
        if self.verified.contains(&tag, Instant::now()) {
            return Ok(true);
        }
        let matches = self.verify_slowly(username, password, &tag).await?;
        if matches {
            self.verified.insert(tag, Instant::now());
        }
        Ok(matches)
    }

    async fn verify_slowly(
        &self,
        username: &str,
        password: &Bytes,
        tag: &CredentialsTag,
    ) -> Result<bool, Cow<'static, str>> {
        let slot = self
            .pool
            .slot()
            .await
            .ok_or("too many passwords to verify at a time")?;
        // Many clients with the same credentials may have waited: one hash serves them all.
        if self.verified.contains(tag, Instant::now()) {
            return Ok(true);
        }
        let file = Arc::clone(&self.file);
        let (username, password) = (username.to_owned(), password.clone());
        slot.run(move || file.verify(&username, &password))
            .await
            .ok_or("the broker is shutting down")?
            .map_err(unavailable)
    }
}

impl Authenticator for Passwords {
    fn authenticate<'a>(&'a self, request: &'a ConnectRequest) -> BoxFuture<'a, Outcome> {
        Box::pin(self.judge(request))
    }
}

fn unavailable(error: HashError) -> Cow<'static, str> {
    error.to_string().into()
}

#[cfg(test)]
#[path = "passwords_tests.rs"]
mod tests;
