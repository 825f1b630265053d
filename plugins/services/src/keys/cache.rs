//! Tokens that were verified already, because a signature costs much more than a look here, and
//! clients come back with the token that they have.

use std::collections::HashMap;

use parking_lot::Mutex;
use ring::digest;

use super::settings::TokenError;
use super::token::Validity;

/// Tokens that are remembered.
const MAX_TOKENS: usize = 1024;

/// SHA-256 of a token, so that no token lies in memory for longer than it must.
pub(super) type Digest = [u8; 32];

/// The verified tokens of one key set.
#[derive(Default)]
pub(super) struct Verified {
    /// A lock because all threads share it; held for a look or an insertion.
    tokens: Mutex<Tokens>,
}

#[derive(Default)]
struct Tokens {
    /// Of the keys that verified these.
    generation: u64,
    by_digest: HashMap<Digest, Entry>,
}

struct Entry {
    validity: Validity,
    claims: String,
}

pub(super) fn digest(token: &str) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    bytes
}

impl Verified {
    /// The claims of a token, if these keys have verified it.
    pub(super) fn get(
        &self,
        generation: u64,
        token: &Digest,
        now: u64,
    ) -> Option<Result<String, TokenError>> {
        let mut tokens = self.tokens.lock();
        tokens.of(generation);
        let entry = tokens.by_digest.get(token)?;
        if let Err(error) = entry.validity.check(now) {
            return Some(Err(error));
        }
        Some(Ok(entry.claims.clone()))
    }

    /// Remembers what these keys have verified.
    pub(super) fn put(
        &self,
        generation: u64,
        token: Digest,
        validity: Validity,
        claims: &str,
        now: u64,
    ) {
        let mut tokens = self.tokens.lock();
        if tokens.generation != generation {
            // The keys were changed meanwhile.
            return;
        }
        if tokens.by_digest.len() >= MAX_TOKENS {
            tokens.make_room(now);
        }
        let claims = claims.to_owned();
        tokens.by_digest.insert(token, Entry { validity, claims });
    }
}

impl Tokens {
    /// Forgets all if the keys are others.
    fn of(&mut self, generation: u64) {
        if self.generation != generation {
            self.by_digest.clear();
            self.generation = generation;
        }
    }

    /// Forgets what is over, or if nothing is, what will be first.
    fn make_room(&mut self, now: u64) {
        self.by_digest
            .retain(|_, entry| entry.validity.check(now).is_ok());
        if self.by_digest.len() < MAX_TOKENS {
            return;
        }
        let soonest = self
            .by_digest
            .iter()
            .min_by_key(|(_, entry)| entry.validity.expires)
            .map(|(digest, _)| *digest);
        if let Some(soonest) = soonest {
            self.by_digest.remove(&soonest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1000;

    fn until(expires: u64) -> Validity {
        Validity {
            expires,
            not_before: 0,
        }
    }

    #[test]
    fn a_token_is_remembered_until_it_expires() {
        let verified = Verified::default();
        let token = digest("a.b.c");
        assert_eq!(verified.get(0, &token, NOW), None);
        verified.put(0, token, until(NOW), "{}", NOW);
        assert_eq!(verified.get(0, &token, NOW + 29), Some(Ok("{}".to_owned())));
        assert_eq!(
            verified.get(0, &token, NOW + 30),
            Some(Err(TokenError::Expired))
        );
        assert_eq!(verified.get(0, &digest("a.b.d"), NOW), None);
    }

    #[test]
    fn other_keys_know_nothing_of_it() {
        let verified = Verified::default();
        let token = digest("a.b.c");
        verified.put(0, token, until(NOW), "{}", NOW);
        assert_eq!(verified.get(1, &token, NOW), None);
        // What the old keys verified meanwhile comes too late.
        verified.put(0, token, until(NOW), "{}", NOW);
        assert_eq!(verified.get(1, &token, NOW), None);
        assert_eq!(verified.get(0, &token, NOW), None);
    }

    #[test]
    fn at_most_1024_are_remembered_and_the_shortest_lived_goes_first() {
        let verified = Verified::default();
        for index in 0..1025 {
            verified.put(0, digest(&index.to_string()), until(NOW + index), "{}", NOW);
        }
        assert_eq!(verified.tokens.lock().by_digest.len(), 1024);
        assert_eq!(verified.get(0, &digest("0"), NOW), None);
        assert!(verified.get(0, &digest("1"), NOW).is_some());
        // Those that are over go all together.
        let later = NOW + 500 + 30;
        verified.put(0, digest("x"), until(later), "{}", later);
        assert_eq!(verified.tokens.lock().by_digest.len(), 525);
    }
}
