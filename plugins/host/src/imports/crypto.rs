//! Cryptography, natively.

use std::time::Instant;

use dunlin_auth::PasswordHash;
use dunlin_plugin_services::TokenError;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::{Condvar, Mutex};
use sha2::Sha256;

use super::contract::crypto::{Host, TokenError as Refusal};
use crate::state::State;

impl Host for State {
    fn verify_password(
        &mut self,
        hash: String,
        password: Vec<u8>,
    ) -> wasmtime::Result<Result<bool, String>> {
        self.serving()?;
        let hash = match PasswordHash::parse(&hash) {
            Ok(hash) => hash,
            Err(error) => return Ok(Err(error)),
        };
        if hash.is_slow() && self.shared.class.is_inline() {
            return Ok(Err(
                "this hash takes too long for a plugin that must answer at once; verify it in an \
                 auth plugin"
                    .into(),
            ));
        }
        let _place = match hash.is_slow() {
            true => match self.shared.hashing.enter(self.deadline) {
                Some(place) => Some(place),
                None => return Ok(Err("too many passwords are being verified".into())),
            },
            false => None,
        };
        let verified = hash.verify(&password).map_err(|error| error.to_string());
        self.in_time()?;
        Ok(verified)
    }

    fn verify_token(
        &mut self,
        key_set: String,
        token: String,
    ) -> wasmtime::Result<Result<String, Refusal>> {
        self.serving()?;
        let now_seconds = super::clock::wall().as_secs();
        let verified = self.shared.key_sets.verify(&key_set, &token, now_seconds);
        self.in_time()?;
        Ok(verified.map_err(|error| match error {
            TokenError::Invalid => Refusal::Invalid,
            TokenError::Expired => Refusal::Expired,
            TokenError::Claims => Refusal::Claims,
            TokenError::Unavailable(what) => Refusal::Unavailable(what),
        }))
    }

    fn hmac_sha256(&mut self, key: Vec<u8>, data: Vec<u8>) -> wasmtime::Result<Vec<u8>> {
        self.serving()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key)?;
        mac.update(&data);
        Ok(mac.finalize().into_bytes().to_vec())
    }
}

/// Bounds how many slow hashes are computed for plugins at a time: each may ask for 256 MiB.
#[derive(Debug)]
pub(crate) struct HashingGate {
    free: Mutex<usize>,
    freed: Condvar,
}

pub(crate) struct Place<'a>(&'a HashingGate);

impl HashingGate {
    pub(crate) fn new(places: usize) -> Self {
        HashingGate {
            free: Mutex::new(places),
            freed: Condvar::new(),
        }
    }

    /// `None` if there is no place until the deadline.
    fn enter(&self, deadline: Instant) -> Option<Place<'_>> {
        let mut free = self.free.lock();
        while *free == 0 {
            if self.freed.wait_until(&mut free, deadline).timed_out() && *free == 0 {
                return None;
            }
        }
        *free -= 1;
        Some(Place(self))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free.lock() += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::*;

    #[test]
    fn places_are_few_and_given_back() {
        let gate = HashingGate::new(1);
        let soon = || Instant::now() + Duration::from_millis(5);
        let place = gate.enter(soon()).expect("free");
        assert!(gate.enter(soon()).is_none());
        let late = Instant::now() + Duration::from_secs(30);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.enter(late).is_some());
            drop(place);
            assert!(waiting.join().expect("no panic"));
        });
        assert!(gate.enter(soon()).is_some());
    }
}
