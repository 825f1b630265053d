//! The numbers that a plugin puts into the broker's metrics.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// Names that a plugin may have.
const MAX_NAMES: usize = 64;

/// Bytes that a name may have.
const MAX_NAME_BYTES: usize = 64;

/// One of a plugin's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Only grows, and stays at the largest `u64` when it gets there.
    Counter(u64),
    /// Whatever it was last set to.
    Gauge(f64),
}

/// A plugin's numbers, by name: at most 64 names of 1 to 64 bytes.
///
/// Whatever goes beyond that is dropped without a word, as the contract has it. A name is a
/// counter or a gauge for good, by its first use: what does not fit that is dropped, too.
#[derive(Debug, Default)]
pub struct Numbers {
    /// A lock because instances of a plugin share it; held for a lookup among 64.
    numbers: Mutex<BTreeMap<Box<str>, Number>>,
}

impl Numbers {
    /// No numbers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds to a counter, which begins at 0.
    pub fn add(&self, name: &str, amount: u64) {
        self.with(name, Number::Counter(0), |number| {
            if let Number::Counter(sum) = number {
                *sum = sum.saturating_add(amount);
            }
        });
    }

    /// Sets a gauge.
    pub fn set(&self, name: &str, value: f64) {
        self.with(name, Number::Gauge(value), |number| {
            if let Number::Gauge(old) = number {
                *old = value;
            }
        });
    }

    /// All numbers, by name in the order of their bytes.
    pub fn read(&self) -> Vec<(String, Number)> {
        let numbers = self.numbers.lock();
        numbers
            .iter()
            .map(|(name, number)| (name.to_string(), *number))
            .collect()
    }

    /// Changes a number, which starts as `first` if it is new and there is room.
    fn with(&self, name: &str, first: Number, change: impl FnOnce(&mut Number)) {
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return;
        }
        let mut numbers = self.numbers.lock();
        if let Some(number) = numbers.get_mut(name) {
            change(number);
        } else if numbers.len() < MAX_NAMES {
            change(numbers.entry(name.into()).or_insert(first));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up_and_gauges_hold_the_last_value() {
        let numbers = Numbers::new();
        numbers.add("requests", 2);
        numbers.add("requests", 3);
        numbers.set("load", 0.5);
        numbers.set("load", -1.25);
        let expected = vec![
            ("load".to_owned(), Number::Gauge(-1.25)),
            ("requests".to_owned(), Number::Counter(5)),
        ];
        assert_eq!(numbers.read(), expected);
    }

    #[test]
    fn the_65th_name_is_dropped_and_the_first_64_go_on() {
        let numbers = Numbers::new();
        for index in 0..80 {
            numbers.add(&format!("n{index:02}"), 1);
        }
        numbers.add("n00", 1);
        let read = numbers.read();
        assert_eq!(read.len(), 64);
        assert_eq!(read[0], ("n00".to_owned(), Number::Counter(2)));
        assert_eq!(read[63].0, "n63");
    }

    #[test]
    fn names_have_1_to_64_bytes() {
        let numbers = Numbers::new();
        numbers.add("", 1);
        numbers.set(&"x".repeat(65), 1.0);
        numbers.set(&"x".repeat(64), 1.0);
        assert_eq!(numbers.read().len(), 1);
    }

    #[test]
    fn a_counter_stops_at_its_largest_value() {
        let numbers = Numbers::new();
        numbers.add("n", u64::MAX);
        numbers.add("n", 7);
        assert_eq!(numbers.read()[0].1, Number::Counter(u64::MAX));
    }

    #[test]
    fn a_name_keeps_its_kind() {
        let numbers = Numbers::new();
        numbers.add("n", 1);
        numbers.set("n", 9.0);
        assert_eq!(numbers.read()[0].1, Number::Counter(1));
    }
}
