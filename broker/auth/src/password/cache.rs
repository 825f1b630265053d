//! Credentials that were verified lately.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;
use hashbrown::HashSet;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use sha2::Sha256;

use super::hash::{HashError, PasswordHash};

/// Remembers that a user and password matched a hash, so that clients which come back do not
/// cost a slow hash each time.
///
/// Holds no passwords: an entry is an HMAC under a key that lives and dies with the cache.
/// When it is full the oldest entry goes.
pub(super) struct VerifiedCache {
    key: [u8; 32],
    max_entries: usize,
    lifetime: Duration,
    /// A lock, because every worker authenticates; held for one lookup or insertion.
    entries: Mutex<Entries>,
}

/// Stands for a user, a password and the hash that they are compared with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct CredentialsTag([u8; 32]);

#[derive(Default)]
struct Entries {
    known: HashSet<CredentialsTag, RandomState>,
    /// The same, oldest first, with the time at which each expires.
    by_age: VecDeque<(Instant, CredentialsTag)>,
}

impl VerifiedCache {
    pub(super) fn new(max_entries: usize, lifetime: Duration) -> Result<Self, HashError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|_| HashError::NoRandomness)?;
        Ok(Self {
            key,
            max_entries,
            lifetime,
            entries: Mutex::default(),
        })
    }

    pub(super) fn tag(&self, user: &str, password: &[u8], hash: &PasswordHash) -> CredentialsTag {
        let [salt, digest] = hash.identity();
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        for part in [user.as_bytes(), password, salt, digest] {
            // The length keeps apart what would read the same when joined.
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        CredentialsTag(mac.finalize().into_bytes().into())
    }

    pub(super) fn contains(&self, tag: &CredentialsTag, now: Instant) -> bool {
        let mut entries = self.entries.lock();
        entries.expire(now);
        entries.known.contains(tag)
    }

    pub(super) fn insert(&self, tag: CredentialsTag, now: Instant) {
        let mut entries = self.entries.lock();
        entries.expire(now);
        if self.max_entries == 0 || !entries.known.insert(tag) {
            return;
        }
        if entries.known.len() > self.max_entries {
            entries.forget_oldest();
        }
        entries.by_age.push_back((now + self.lifetime, tag));
    }
}

impl Entries {
    fn expire(&mut self, now: Instant) {
        while self
            .by_age
            .front()
            .is_some_and(|&(expires, _)| expires <= now)
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, tag)) = self.by_age.pop_front() {
            self.known.remove(&tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(60);

    fn tag(cache: &VerifiedCache, user: &str, password: &str) -> CredentialsTag {
        cache.tag(user, password.as_bytes(), &PasswordHash::decoy())
    }

    #[test]
    fn an_entry_lives_for_its_lifetime_and_not_longer() {
        let cache = VerifiedCache::new(10, LIFETIME).unwrap();
        let start = Instant::now();
        let bob = tag(&cache, "bob", "pw");
        assert!(!cache.contains(&bob, start));
        cache.insert(bob, start);
        // A second use does not prolong it.
        cache.insert(bob, start + LIFETIME / 2);
        assert!(cache.contains(&bob, start + LIFETIME - Duration::from_nanos(1)));
        assert!(!cache.contains(&bob, start + LIFETIME));
        assert!(cache.entries.lock().known.is_empty());
    }

    #[test]
    fn the_oldest_goes_when_full() {
        let cache = VerifiedCache::new(2, LIFETIME).unwrap();
        let now = Instant::now();
        let tags = ["a", "b", "c"].map(|user| tag(&cache, user, "pw"));
        for tag in tags {
            cache.insert(tag, now);
        }
        assert_eq!(
            tags.map(|tag| cache.contains(&tag, now)),
            [false, true, true]
        );
        assert_eq!(cache.entries.lock().by_age.len(), 2);
    }

    #[test]
    fn a_cache_of_none_keeps_none() {
        let cache = VerifiedCache::new(0, LIFETIME).unwrap();
        let now = Instant::now();
        let bob = tag(&cache, "bob", "pw");
        cache.insert(bob, now);
        assert!(!cache.contains(&bob, now));
    }

    #[test]
    fn tags_differ_by_every_part_and_by_cache() {
        let cache = VerifiedCache::new(1, LIFETIME).unwrap();
        let other = VerifiedCache::new(1, LIFETIME).unwrap();
        let hash = PasswordHash::parse(&crate::hash_password(b"pw").unwrap()).unwrap();
        let tags = [
            tag(&cache, "bob", "pw"),
            tag(&cache, "bobp", "w"),
            tag(&cache, "bo", "bpw"),
            tag(&other, "bob", "pw"),
            cache.tag("bob", b"pw", &hash),
        ];
        let distinct: std::collections::HashSet<_> = tags.iter().map(|tag| tag.0).collect();
        assert_eq!(distinct.len(), tags.len());
    }
}
