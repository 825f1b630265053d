//! How many lines a plugin may write to the log.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lines that a plugin may write within a second.
const LINES: u32 = 100;

/// The length of the window that lines are counted in.
const WINDOW: Duration = Duration::from_secs(1);

/// A plugin's allowance of log lines: 100 in a second, the rest counted and dropped.
///
/// A second begins with the first line after the last one ended, so that a plugin which is mostly
/// quiet always has its 100.
#[derive(Debug)]
pub struct LogLimit {
    /// A lock because instances of a plugin share it; held for a few instructions.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the current second began; none before the first line.
    began: Option<Instant>,
    /// Lines in the current second.
    lines: u32,
    /// Lines dropped since the start.
    dropped: u64,
}

impl LogLimit {
    /// An allowance of which nothing is used.
    pub fn new() -> Self {
        let state = State {
            began: None,
            lines: 0,
            dropped: 0,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// Whether a line may be written now. One that may not is counted in [`Self::dropped`].
    pub fn take(&self, now: Instant) -> bool {
        let mut state = self.state.lock();
        let over = |began| now.saturating_duration_since(began) >= WINDOW;
        if state.began.is_none_or(over) {
            state.began = Some(now);
            state.lines = 0;
        }
        if state.lines < LINES {
            state.lines += 1;
            true
        } else {
            state.dropped = state.dropped.saturating_add(1);
            false
        }
    }

    /// Lines that were dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.state.lock().dropped
    }
}

impl Default for LogLimit {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(limit: &LogLimit, tries: u32, now: Instant) -> usize {
        (0..tries).filter(|_| limit.take(now)).count()
    }

    #[test]
    fn a_hundred_lines_pass_in_a_second_and_the_rest_are_counted() {
        let limit = LogLimit::new();
        let now = Instant::now();
        assert_eq!(taken(&limit, 250, now), 100);
        assert_eq!(limit.dropped(), 150);
        assert!(!limit.take(now + Duration::from_millis(999)));
        assert_eq!(limit.dropped(), 151);
    }

    #[test]
    fn the_next_second_has_its_own_hundred() {
        let limit = LogLimit::new();
        let now = Instant::now();
        taken(&limit, 101, now);
        assert_eq!(taken(&limit, 101, now + Duration::from_secs(1)), 100);
        assert_eq!(limit.dropped(), 2);
    }

    #[test]
    fn a_clock_reading_from_before_the_window_does_not_reopen_it() {
        let limit = LogLimit::new();
        let now = Instant::now() + Duration::from_secs(5);
        taken(&limit, 100, now);
        assert!(!limit.take(now - Duration::from_secs(3)));
    }
}
