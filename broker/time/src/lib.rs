//! Time as a value.
//!
//! Logic in Dunlin never asks for the time: it is handed a [`Now`]. Durations inside one process
//! run on the monotonic clock; what outlives the process (session and message expiry) is counted
//! by the wall clock. [`Wheel`] holds many deadlines cheaply.
//!
//! This crate reads no clock but in [`Clock`], which the drivers own.
#![forbid(unsafe_code)]

mod wheel;

use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use wheel::{TimerKey, Wheel};

/// Milliseconds since this process' [`Clock`] was made; never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(pub u64);

/// Milliseconds since 1970-01-01 UTC; may jump when the machine's clock is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(pub u64);

/// The present moment on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For everything that ends with the process.
    pub monotonic: Monotonic,
    /// For everything that is persisted.
    pub wall: Wall,
}

macro_rules! arithmetic {
    ($clock:ident) => {
        impl Add<Duration> for $clock {
            type Output = Self;
            fn add(self, duration: Duration) -> Self {
                Self(self.0.saturating_add(milliseconds(duration)))
            }
        }

        impl Sub for $clock {
            type Output = Duration;
            /// Zero when `earlier` is later.
            fn sub(self, earlier: Self) -> Duration {
                Duration::from_millis(self.0.saturating_sub(earlier.0))
            }
        }
    };
}
arithmetic!(Monotonic);
arithmetic!(Wall);

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Now {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Now {
            monotonic: self.monotonic + duration,
            wall: self.wall + duration,
        }
    }
}

/// Where drivers read [`Now`]: one per process, copied to each thread.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Source);

#[derive(Clone, Copy, Debug)]
enum Source {
    /// The machine's clocks, and when it began.
    Machine(Instant),
    Hands(&'static Hands),
}

/// A clock that stands still until it is moved: for tests and simulations.
#[derive(Debug, Default)]
pub struct Hands {
    monotonic: AtomicU64,
    wall: AtomicU64,
}

impl Clock {
    /// A clock whose monotonic zero is this moment.
    pub fn start() -> Self {
        Clock(Source::Machine(Instant::now()))
    }

    /// A clock that shows what `hands` show.
    pub fn by_hand(hands: &'static Hands) -> Self {
        Clock(Source::Hands(hands))
    }

    /// Reads both clocks.
    pub fn now(&self) -> Now {
        match self.0 {
            Source::Machine(start) => Now {
                monotonic: Monotonic(milliseconds(start.elapsed())),
                wall: Wall(milliseconds(
                    SystemTime::now()
                        .duration_since(UNIX_EPOCH)
                        .unwrap_or(Duration::ZERO),
                )),
            },
            Source::Hands(hands) => hands.now(),
        }
    }
}

impl Hands {
    /// A process that starts at this time.
    pub fn at(wall: Wall) -> Self {
        Hands {
            monotonic: AtomicU64::new(0),
            wall: AtomicU64::new(wall.0),
        }
    }

    /// What they show.
    pub fn now(&self) -> Now {
        Now {
            monotonic: Monotonic(self.monotonic.load(Ordering::Relaxed)),
            wall: Wall(self.wall.load(Ordering::Relaxed)),
        }
    }

    /// Moves both on.
    pub fn advance(&self, duration: Duration) {
        let passed = milliseconds(duration);
        self.monotonic.fetch_add(passed, Ordering::Relaxed);
        self.wall.fetch_add(passed, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_stand_still_until_they_are_moved() {
        let hands: &'static Hands = Box::leak(Box::new(Hands::at(Wall(5000))));
        let clock = Clock::by_hand(hands);
        assert_eq!(clock.now(), hands.now());
        hands.advance(Duration::from_millis(7));
        let now = Now {
            monotonic: Monotonic(7),
            wall: Wall(5007),
        };
        assert_eq!(clock.now(), now);
    }
}
