//! Sizes and durations, written with their unit.

use std::time::Duration;

use super::node::Value;
use super::scalar::{Scalar, setting_from_scalar};

setting_from_scalar!(ByteSize, Duration);

/// A number of bytes, written as a number or as `"256 KiB"`.
///
/// `B`, `KiB`, `MiB`, `GiB` (1024) and `kB`, `MB`, `GB` (1000) are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    const UNITS: [(&'static str, u64); 7] = [
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1_000),
        ("B", 1),
    ];

    /// So many times 1024 bytes.
    pub const fn kib(count: u64) -> Self {
        ByteSize(count << 10)
    }

    /// So many times 1024 times 1024 bytes.
    pub const fn mib(count: u64) -> Self {
        ByteSize(count << 20)
    }
}

impl Scalar for ByteSize {
    const EXPECTED: &'static str = "a size, as 65536 or \"64 KiB\"";
    const NONE: Option<&'static str> = Some("unlimited");

    fn from_text(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = (text[..end].parse::<u64>().ok()?, text[end..].trim());
        let (_, factor) = Self::UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
        number.checked_mul(*factor).map(ByteSize)
    }

    fn from_integer(number: i64) -> Option<Self> {
        number.try_into().ok().map(ByteSize)
    }

    fn to_value(&self) -> Value {
        Value::Text(Self::show_amount(self.0))
    }

    fn amount(&self) -> Option<u64> {
        Some(self.0)
    }

    fn show_amount(bytes: u64) -> String {
        let binary = &Self::UNITS[..3];
        match binary
            .iter()
            .find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit))
        {
            Some((name, unit)) => format!("{} {name}", bytes / unit),
            None => format!("{bytes} B"),
        }
    }
}

const TIME_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Scalar for Duration {
    const EXPECTED: &'static str = "a duration, as \"500ms\", \"10s\", \"5m\", \"12h\" or \"7d\"";
    const NONE: Option<&'static str> = Some("unlimited");

    /// One number and its unit, or several as `"1h30m"`.
    fn from_text(text: &str) -> Option<Self> {
        let mut rest = text.trim();
        let mut total: u64 = 0;
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let number: u64 = rest[..digits].parse().ok()?;
            rest = rest[digits..].trim_start();
            let letters = rest
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(rest.len());
            let (_, unit) = TIME_UNITS
                .iter()
                .find(|(name, _)| *name == &rest[..letters])?;
            total = total.checked_add(number.checked_mul(*unit)?)?;
            rest = rest[letters..].trim_start();
        }
        Some(Duration::from_millis(total))
    }

    fn to_value(&self) -> Value {
        Value::Text(Self::show_amount(self.amount().unwrap_or(u64::MAX)))
    }

    fn amount(&self) -> Option<u64> {
        u64::try_from(self.as_millis()).ok()
    }

    fn show_amount(milliseconds: u64) -> String {
        let fits = |unit: u64| milliseconds > 0 && milliseconds.is_multiple_of(unit);
        match TIME_UNITS.iter().find(|(_, unit)| fits(*unit)) {
            Some((name, unit)) => format!("{}{name}", milliseconds / unit),
            None => "0s".into(),
        }
    }
}
