use std::num::NonZeroU32;
use std::time::Duration;

use dunlin_metrics::Counter;
use dunlin_time::{Monotonic, Now};

use crate::connection::{Connection, Rare};

/// A rate that a client may keep up, with a second's worth at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Units a second.
    pub per_second: NonZeroU32,
}

/// How much of a rate is used up: a token bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    limit: RateLimit,
    /// Thousandths of a unit; below zero after a burst that came in one read.
    tokens: i64,
    filled: Monotonic,
}

impl Bucket {
    pub fn new(limit: RateLimit, now: Monotonic) -> Self {
        Bucket {
            limit,
            tokens: full(limit),
            filled: now,
        }
    }

    /// Takes `units`; they may be more than there are.
    pub fn take(&mut self, units: u64, now: Monotonic) {
        let passed = i64::try_from((now - self.filled).as_millis()).unwrap_or(i64::MAX);
        let earned = passed.saturating_mul(i64::from(self.limit.per_second.get()));
        self.filled = now;
        self.tokens = self.tokens.saturating_add(earned).min(full(self.limit));
        let taken = i64::try_from(units)
            .unwrap_or(i64::MAX)
            .saturating_mul(1000);
        self.tokens = self.tokens.saturating_sub(taken);
    }

    /// Whether more than another second's worth was taken than there was.
    pub fn is_overdrawn(&self) -> bool {
        self.tokens < -full(self.limit)
    }

    /// When something may be taken again; `None` if it may now.
    pub fn blocked_until(&self) -> Option<Monotonic> {
        if self.tokens >= 0 {
            return None;
        }
        let missing = self.tokens.unsigned_abs();
        let wait = missing.div_ceil(u64::from(self.limit.per_second.get()));
        Some(self.filled + Duration::from_millis(wait))
    }
}

fn full(limit: RateLimit) -> i64 {
    i64::from(limit.per_second.get()) * 1000
}

impl Connection {
    /// Takes the rates that a reload may have changed.
    pub fn take_rates(&mut self, now: Now) {
        let limits = self.listener.limits.load_full();
        if self.rare.is_none() && limits.messages.is_none() && limits.bytes.is_none() {
            return;
        }
        let rare = self.rare();
        for (bucket, limit) in [
            (&mut rare.messages, limits.messages),
            (&mut rare.bytes, limits.bytes),
        ] {
            if bucket.as_ref().map(|bucket| bucket.limit) != limit {
                *bucket = limit.map(|limit| Bucket::new(limit, now.monotonic));
            }
        }
    }

    pub fn charge_bytes(&mut self, count: usize, now: Now) {
        if let Some(rare) = &mut self.rare
            && let Some(bucket) = &mut rare.bytes
        {
            bucket.take(count as u64, now.monotonic);
        }
    }

    pub fn charge_message(&mut self, now: Now) {
        if let Some(rare) = &mut self.rare
            && let Some(bucket) = &mut rare.messages
        {
            bucket.take(1, now.monotonic);
        }
    }

    /// Whether a rate limit keeps the client from being read.
    pub fn rate_blocks(&mut self, now: Now) -> bool {
        let Some(rare) = &mut self.rare else {
            return false;
        };
        let buckets = [&mut rare.messages, &mut rare.bytes, &mut rare.plugin_time];
        for bucket in buckets.into_iter().flatten() {
            bucket.take(0, now.monotonic);
        }
        let blocked = rare.blocked_until().is_some();
        if blocked {
            self.worker.cells.add(Counter::ThrottledPublishers, 1);
        }
        blocked
    }
}

impl Rare {
    pub fn blocked_until(&self) -> Option<Monotonic> {
        [&self.messages, &self.bytes, &self.plugin_time]
            .into_iter()
            .flatten()
            .filter_map(Bucket::blocked_until)
            .max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_burst_then_the_rate() {
        let limit = RateLimit {
            per_second: NonZeroU32::new(10).unwrap(),
        };
        let mut bucket = Bucket::new(limit, Monotonic(0));
        bucket.take(10, Monotonic(0));
        assert_eq!(bucket.blocked_until(), None);
        bucket.take(5, Monotonic(0));
        assert_eq!(bucket.blocked_until(), Some(Monotonic(500)));
        bucket.take(0, Monotonic(500));
        assert_eq!(bucket.blocked_until(), None);
    }
}
