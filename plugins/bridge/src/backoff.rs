//! How long to wait before the next attempt.

use std::time::Duration;

use crate::settings::Restart;

/// Decorrelated jitter: each pause is random between the base and three times the last one, and
/// never above the cap (Brooker, "Exponential Backoff And Jitter", 2015; Mosquitto has the same).
#[derive(Debug)]
pub(crate) struct Backoff {
    restart: Restart,
    last: Duration,
}

impl Backoff {
    pub fn new(restart: Restart) -> Self {
        Backoff {
            last: restart.base,
            restart,
        }
    }

    /// An attempt succeeded.
    pub fn reset(&mut self) {
        self.last = self.restart.base;
    }

    pub fn next(&mut self) -> Duration {
        // Without randomness every pause is the longest: slower, and never wrong.
        let random = getrandom::u32().unwrap_or(u32::MAX);
        self.pick(f64::from(random) / f64::from(u32::MAX))
    }

    /// `random` is 0 to 1.
    fn pick(&mut self, random: f64) -> Duration {
        let base = self.restart.base;
        let Some(cap) = self.restart.cap.filter(|cap| *cap > base) else {
            return base;
        };
        let span = (self.last * 3).saturating_sub(base);
        self.last = (base + span.mul_f64(random)).min(cap);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_cap_and_begin_anew() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::new(Restart {
            base: seconds(5),
            cap: Some(seconds(30)),
        });
        let pauses = [1.0, 1.0, 1.0, 0.0].map(|random| backoff.pick(random));
        assert_eq!(pauses, [15, 30, 30, 5].map(seconds));
        backoff.pick(1.0);
        backoff.reset();
        assert_eq!(backoff.pick(1.0), seconds(15));
    }

    #[test]
    fn without_a_cap_pauses_are_constant() {
        let base = Duration::from_secs(20);
        let mut backoff = Backoff::new(Restart { base, cap: None });
        assert_eq!([backoff.next(), backoff.next()], [base, base]);
    }
}
