//! Latencies in a bounded table: every octave is cut into 128 equal steps, so
//! that a percentile is at most 0.8 % above the value that was recorded.

use std::time::Duration;

/// Steps per octave; a power of two.
const STEPS: u64 = 1 << STEP_BITS;
const STEP_BITS: u32 = 7;

/// Longer latencies count as this one, about 18 minutes. It bounds the table
/// to 34 octaves.
const LONGEST_NS: u64 = (1 << 40) - 1;

/// How often each latency occurred.
#[derive(Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            counts: vec![0; step_of(LONGEST_NS) + 1],
            total: 0,
            longest_ns: 0,
        }
    }
}

impl Histogram {
    /// Counts one latency, in nanoseconds.
    pub fn record(&mut self, latency_ns: u64) {
        let latency_ns = latency_ns.min(LONGEST_NS);
        self.counts[step_of(latency_ns)] += 1;
        self.total += 1;
        self.longest_ns = self.longest_ns.max(latency_ns);
    }

    /// How many latencies were recorded.
    pub fn len(&self) -> u64 {
        self.total
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Forgets all latencies.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
        self.longest_ns = 0;
    }

    /// The latency that `share` (0 to 1) of all recorded ones do not exceed, or
    /// `None` when nothing was recorded.
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        if self.is_empty() {
            return None;
        }
        let rank = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total);
        let mut seen = 0;
        let step = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(Duration::from_nanos(top_of(step).min(self.longest_ns)))
    }

    /// The longest latency recorded, or `None` when nothing was.
    pub fn longest(&self) -> Option<Duration> {
        (!self.is_empty()).then(|| Duration::from_nanos(self.longest_ns))
    }
}

/// The step that counts `value`. The first two octaves of steps are exact.
fn step_of(value: u64) -> usize {
    let octave = (value | (STEPS - 1)).ilog2() + 1 - STEP_BITS;
    let base = u64::from(octave) * STEPS;
    if octave == 0 {
        return value as usize;
    }
    (base + (value >> (octave - 1)) - STEPS) as usize
}

/// The largest value that `step` counts.
fn top_of(step: usize) -> u64 {
    let step = step as u64;
    if step < STEPS {
        return step;
    }
    let shift = step / STEPS - 1;
    ((step % STEPS + STEPS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_values_are_exact() {
        for value in 0..2 * STEPS {
            assert_eq!(top_of(step_of(value)), value);
        }
    }

    #[test]
    fn steps_rise_without_a_gap() {
        for step in 0..step_of(LONGEST_NS) {
            assert_eq!(step_of(top_of(step)), step);
            assert_eq!(step_of(top_of(step) + 1), step + 1);
        }
    }

    #[test]
    fn a_step_is_at_most_a_128th_wide() {
        let mut value = 1;
        while value < LONGEST_NS {
            let top = top_of(step_of(value));
            assert!(top >= value && top - value <= value / STEPS, "{value}");
            value = value * 3 / 2 + 1;
        }
    }

    #[test]
    fn percentiles_of_a_known_sequence() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(0.5), None);
        (1..=100).for_each(|value| histogram.record(value));
        let percentile = |share| histogram.percentile(share).map(|d| d.as_nanos());
        assert_eq!(percentile(0.0), Some(1));
        assert_eq!(percentile(0.5), Some(50));
        assert_eq!(percentile(0.99), Some(99));
        assert_eq!(percentile(1.0), Some(100));
    }

    #[test]
    fn a_percentile_never_exceeds_the_longest() {
        let mut histogram = Histogram::default();
        histogram.record(1_000_001);
        assert_eq!(histogram.percentile(0.99), histogram.longest());
        histogram.record(u64::MAX);
        assert_eq!(histogram.longest(), Some(Duration::from_nanos(LONGEST_NS)));
        histogram.clear();
        assert_eq!(histogram.longest(), None);
    }
}
