//! Answers of the service, for a time.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use dunlin_sdk::{Denial, Outcome};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// How long to keep answers, and those kept.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    granted: u32,
    refused: u32,
    /// Bounds both what follows.
    entries: usize,
    #[serde(skip)]
    kept: BTreeMap<Key, Entry>,
    /// In the order in which they came.
    #[serde(skip)]
    order: VecDeque<(Key, Duration)>,
}

/// What an answer depends on. A hash, so that no password stays in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key([u8; 32]);

struct Entry {
    since: Duration,
    until: Duration,
    outcome: Outcome,
}

impl Key {
    /// Of the claimed user name, which the client may keep, and all that the service sees.
    pub fn of(username: Option<&str>, body: &[u8]) -> Self {
        let mut hash = Sha256::new();
        match username {
            None => hash.update([0]),
            Some(name) => {
                hash.update([1]);
                hash.update((name.len() as u64).to_be_bytes());
                hash.update(name);
            }
        }
        hash.update(body);
        Key(hash.finalize().into())
    }
}

impl Default for Cache {
    fn default() -> Self {
        Cache {
            granted: 0,
            refused: 0,
            entries: 1000,
            kept: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl Cache {
    /// An answer that still holds. A grant ends when it would have ended for whom it was first given.
    pub fn get(&self, key: &Key, now: Duration) -> Option<Outcome> {
        let entry = self.kept.get(key)?;
        if now >= entry.until {
            return None;
        }
        let mut outcome = entry.outcome.clone();
        if let Outcome::Granted(grant) = &mut outcome
            && let Some(left) = &mut grant.expires_in
        {
            let age = (now - entry.since).as_secs();
            *left = left.saturating_sub(u32::try_from(age).unwrap_or(u32::MAX));
            if *left == 0 {
                return None;
            }
        }
        Some(outcome)
    }

    /// Keeps an answer as long as the configuration says.
    pub fn keep(&mut self, key: Key, now: Duration, outcome: &Outcome) {
        let seconds = match outcome {
            Outcome::Granted(_) => self.granted,
            Outcome::Denied(Denial::Unavailable(_)) | Outcome::Continue(_) => 0,
            Outcome::Denied(_) | Outcome::Next => self.refused,
        };
        if seconds == 0 {
            self.kept.remove(&key);
            return;
        }
        while self.order.len() >= self.entries {
            let Some((oldest, since)) = self.order.pop_front() else {
                break;
            };
            // It may have come again since.
            if self
                .kept
                .get(&oldest)
                .is_some_and(|entry| entry.since == since)
            {
                self.kept.remove(&oldest);
            }
        }
        self.order.push_back((key, now));
        let entry = Entry {
            since: now,
            until: now + Duration::from_secs(seconds.into()),
            outcome: outcome.clone(),
        };
        self.kept.insert(key, entry);
    }
}

#[cfg(test)]
mod tests {
    use dunlin_sdk::Grant;

    use super::*;

    fn cache(entries: usize) -> Cache {
        Cache {
            granted: 10,
            refused: 5,
            entries,
            ..Cache::default()
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn answers_hold_for_their_time() {
        let mut cache = cache(10);
        let (yes, no) = (Key::of(None, b"yes"), Key::of(None, b"no"));
        let granted = Outcome::Granted(Grant::to("a"));
        cache.keep(yes, at(0), &granted);
        cache.keep(no, at(0), &Outcome::Denied(Denial::BadCredentials));
        assert_eq!(cache.get(&yes, at(9)), Some(granted));
        assert_eq!(cache.get(&yes, at(10)), None);
        assert!(cache.get(&no, at(4)).is_some());
        assert_eq!(cache.get(&no, at(5)), None);
    }

    #[test]
    fn a_grant_is_not_made_longer() {
        let mut cache = cache(10);
        let key = Key::of(None, b"yes");
        cache.keep(key, at(0), &Outcome::Granted(Grant::to("a").expires_in(7)));
        let Some(Outcome::Granted(grant)) = cache.get(&key, at(4)) else {
            panic!("it is kept");
        };
        assert_eq!(grant.expires_in, Some(3));
        assert_eq!(cache.get(&key, at(7)), None);
    }

    #[test]
    fn what_could_not_be_decided_is_asked_again() {
        let mut cache = cache(10);
        let key = Key::of(None, b"yes");
        let unavailable = Outcome::Denied(Denial::Unavailable("down".into()));
        cache.keep(key, at(0), &unavailable);
        assert_eq!(cache.get(&key, at(0)), None);
    }

    #[test]
    fn the_oldest_go_first_and_what_came_again_stays() {
        let mut cache = cache(3);
        let keys: Vec<Key> = (0..100_u8).map(|at| Key::of(None, &[at])).collect();
        cache.keep(keys[0], at(0), &Outcome::Next);
        cache.keep(keys[1], at(0), &Outcome::Next);
        cache.keep(keys[0], at(1), &Outcome::Next);
        cache.keep(keys[2], at(1), &Outcome::Next);
        assert!(cache.get(&keys[0], at(2)).is_some());
        for key in &keys {
            cache.keep(*key, at(2), &Outcome::Next);
            assert!(cache.kept.len() <= 3 && cache.order.len() <= 3);
        }
    }

    #[test]
    fn keys_differ_where_the_answer_may() {
        assert_ne!(Key::of(Some("a"), b"b"), Key::of(None, b"b"));
        assert_ne!(Key::of(Some("a"), b"b"), Key::of(Some("ab"), b""));
    }
}
