//! Stops asking a plugin that keeps failing.
//!
//! ```text
//!            5 faults in a row, or 32 of the last 64
//!   Closed ------------------------------------------> Open
//!     ^                                                 |  after 1 s, 2 s, ... 60 s
//!     |  the probe succeeds                             v
//!     +------------------------------------------- HalfOpen: one call is let through
//!                                                       |  the probe fails
//!                                                       +--> Open, twice as long
//! ```

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// So many faults in a row open it.
const RUN: u32 = 5;

/// So many of the last 64 calls.
const SHARE: u32 = 32;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What a plugin's breaker is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// Calls fail at once.
    Open,
    /// One call is under way, to see whether the plugin has recovered.
    HalfOpen,
}

#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// The last 64 calls while closed, the latest lowest; a fault is 1. While it is 0, success
    /// writes nothing: the common case costs a load.
    history: AtomicU64,
    /// `Some` while not closed. `is_open` says so without the lock.
    pause: Mutex<Option<Pause>>,
    is_open: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    length: Duration,
    probing: bool,
}

/// The right to make one call.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Admission {
    /// A call like any other.
    Ordinary,
    /// The call that decides whether the breaker closes.
    Probe,
}

impl Breaker {
    /// `None` while calls are to fail at once.
    pub(crate) fn admit(&self, now: Instant) -> Option<Admission> {
        if !self.is_open.load(Ordering::Acquire) {
            return Some(Admission::Ordinary);
        }
        let mut pause = self.pause.lock();
        match &mut *pause {
            None => Some(Admission::Ordinary),
            Some(pause) if now >= pause.until => {
                // If nothing is heard of the probe, another one follows after as long a time.
                pause.probing = true;
                pause.until = now + pause.length;
                Some(Admission::Probe)
            }
            Some(_) => None,
        }
    }

    /// Whether a call would fail at once; takes no admission.
    pub(crate) fn refuses(&self, now: Instant) -> bool {
        let is_early = |pause: &Pause| now < pause.until;
        self.is_open.load(Ordering::Acquire) && self.pause.lock().as_ref().is_some_and(is_early)
    }

    pub(crate) fn succeeded(&self, admission: Admission) {
        match admission {
            Admission::Ordinary => {
                if self.history.load(Ordering::Relaxed) != 0 {
                    self.note(0);
                }
            }
            Admission::Probe => {
                let mut pause = self.pause.lock();
                *pause = None;
                self.history.store(0, Ordering::Relaxed);
                self.is_open.store(false, Ordering::Release);
            }
        }
    }

    /// Whether this opens it.
    pub(crate) fn failed(&self, admission: Admission, now: Instant) -> bool {
        if admission == Admission::Ordinary {
            let history = self.note(1);
            if history.trailing_ones() < RUN && history.count_ones() < SHARE {
                return false;
            }
        }
        let mut pause = self.pause.lock();
        let length = match (&*pause, admission) {
            (None, _) => FIRST_PAUSE,
            (Some(last), Admission::Probe) => (last.length * 2).min(LONGEST_PAUSE),
            // Begun before it opened.
            (Some(_), Admission::Ordinary) => return false,
        };
        *pause = Some(Pause {
            until: now + length,
            length,
            probing: false,
        });
        self.is_open.store(true, Ordering::Release);
        true
    }

    pub(crate) fn state(&self) -> BreakerState {
        match *self.pause.lock() {
            None => BreakerState::Closed,
            Some(Pause { probing: true, .. }) => BreakerState::HalfOpen,
            Some(_) => BreakerState::Open,
        }
    }

    /// The history with one more call.
    fn note(&self, fault: u64) -> u64 {
        let mut history = self.history.load(Ordering::Relaxed);
        loop {
            let next = history << 1 | fault;
            match self.history.compare_exchange_weak(
                history,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return next,
                Err(changed) => history = changed,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(breaker: &Breaker, now: Instant) -> bool {
        let admission = breaker.admit(now).expect("closed");
        breaker.failed(admission, now)
    }

    fn succeed(breaker: &Breaker, now: Instant) {
        breaker.succeeded(breaker.admit(now).expect("closed"));
    }

    #[test]
    fn a_run_of_faults_opens_it() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..3 {
            for _ in 0..4 {
                assert!(!fail(&breaker, now));
            }
            succeed(&breaker, now);
        }
        for _ in 0..4 {
            assert!(!fail(&breaker, now));
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert!(fail(&breaker, now));
        assert_eq!(breaker.state(), BreakerState::Open);
        assert_eq!(breaker.admit(now), None);
        assert!(breaker.refuses(now));
        assert!(!breaker.refuses(now + FIRST_PAUSE));
    }

    #[test]
    fn half_of_the_last_64_open_it() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..31 {
            assert!(!fail(&breaker, now));
            succeed(&breaker, now);
        }
        assert!(fail(&breaker, now));
    }

    #[test]
    fn fewer_than_half_do_not() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..1_000 {
            assert!(!fail(&breaker, now));
            succeed(&breaker, now);
            succeed(&breaker, now);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn probes_are_single_and_their_pauses_grow_to_a_minute() {
        let (breaker, mut now) = (Breaker::default(), Instant::now());
        for _ in 0..5 {
            fail(&breaker, now);
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            now += Duration::from_secs(seconds) - Duration::from_nanos(1);
            assert_eq!(breaker.admit(now), None);
            now += Duration::from_nanos(1);
            assert_eq!(breaker.admit(now), Some(Admission::Probe));
            assert_eq!(breaker.state(), BreakerState::HalfOpen);
            assert_eq!(breaker.admit(now), None);
            assert!(breaker.failed(Admission::Probe, now));
            assert_eq!(breaker.state(), BreakerState::Open);
        }
    }

    #[test]
    fn a_probe_that_succeeds_closes_it() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..5 {
            fail(&breaker, now);
        }
        let later = now + Duration::from_secs(1);
        assert_eq!(breaker.admit(later), Some(Admission::Probe));
        breaker.succeeded(Admission::Probe);
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert_eq!(breaker.admit(later), Some(Admission::Ordinary));
        assert!(!fail(&breaker, later), "what was before is forgotten");
    }

    #[test]
    fn a_probe_that_is_never_heard_of_is_followed_by_another() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..5 {
            fail(&breaker, now);
        }
        let second = Duration::from_secs(1);
        assert_eq!(breaker.admit(now + second), Some(Admission::Probe));
        assert_eq!(breaker.admit(now + second), None);
        assert_eq!(breaker.admit(now + 2 * second), Some(Admission::Probe));
    }

    #[test]
    fn calls_begun_before_it_opened_do_not_prolong_it() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        let late = breaker.admit(now).expect("closed");
        for _ in 0..5 {
            fail(&breaker, now);
        }
        assert!(!breaker.failed(late, now + Duration::from_millis(900)));
        assert_eq!(
            breaker.admit(now + Duration::from_secs(1)),
            Some(Admission::Probe)
        );
    }
}
