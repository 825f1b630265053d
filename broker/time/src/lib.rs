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
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose monotonic zero is this moment.
    pub fn start() -> Self {
        Clock {
            start: Instant::now(),
        }
    }

    /// Reads both clocks.
    pub fn now(&self) -> Now {
        Now {
            monotonic: Monotonic(milliseconds(self.start.elapsed())),
            wall: Wall(milliseconds(
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or(Duration::ZERO),
            )),
        }
    }
}
