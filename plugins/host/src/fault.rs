//! What plugins do wrong, and how often.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use wasmtime::Trap;

/// What kind of failure kept a plugin from answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// It ended itself, or did what WebAssembly or the contract forbids.
    Trap,
    /// It took longer than its deadline.
    Deadline,
    /// It was refused memory and gave up.
    Memory,
    /// Its answer was too large or made no sense.
    Answer,
    /// A new instance could not be made or did not accept its configuration.
    Configure,
    /// All its instances were busy until the deadline. Not the plugin's fault alone: the breaker
    /// does not count it.
    Busy,
    /// The question was too large to be asked. Not the plugin's fault: the breaker does not count
    /// it.
    Oversized,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [FaultKind; 7] = [
        Self::Trap,
        Self::Deadline,
        Self::Memory,
        Self::Answer,
        Self::Configure,
        Self::Busy,
        Self::Oversized,
    ];

    /// A word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Answer => "answer",
            Self::Configure => "configure",
            Self::Busy => "busy",
            Self::Oversized => "oversized",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// For the log.
    pub(crate) what: String,
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, what: impl Into<String>) -> Self {
        Fault {
            kind,
            what: what.into(),
        }
    }

    /// An answer that breaks the contract.
    pub(crate) fn answer(what: impl Into<String>) -> Self {
        Self::new(FaultKind::Answer, what)
    }

    /// What ended a call. `refused_memory` tells whether the guest was refused memory before.
    pub(crate) fn from_error(error: &wasmtime::Error, refused_memory: bool) -> Self {
        let what = || chain(error);
        if let Some(stop) = error.downcast_ref::<Stop>() {
            return match stop {
                Stop::Deadline => Self::new(FaultKind::Deadline, what()),
                Stop::Forbidden(_) => Self::new(FaultKind::Trap, what()),
            };
        }
        let kind = match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => FaultKind::Deadline,
            Some(_) if refused_memory => FaultKind::Memory,
            Some(_) => FaultKind::Trap,
            // What is left comes from reading the guest's values: lengths, text, discriminants.
            None => FaultKind::Answer,
        };
        Self::new(kind, what())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.what)
    }
}

/// Why the host ends a guest in the middle of an import.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Its deadline passed meanwhile.
    Deadline,
    /// It asked for what the contract forbids.
    Forbidden(&'static str),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadline => f.write_str("an import took longer than the deadline"),
            Self::Forbidden(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Stop {}

/// The message of an error and of what caused it, in one line.
pub(crate) fn chain(error: &wasmtime::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string().replace('\n', " "));
    }
    shorten(&mut text, 1_000);
    text
}

/// Cuts a text to so many bytes, at a character.
pub(crate) fn shorten(text: &mut String, bytes: usize) {
    text.truncate(text.floor_char_boundary(bytes));
}

/// How many of each kind.
#[derive(Debug, Default)]
pub(crate) struct FaultCounts([AtomicU64; FaultKind::ALL.len()]);

impl FaultCounts {
    pub(crate) fn add(&self, kind: FaultKind) {
        self.0[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Vec<(FaultKind, u64)> {
        FaultKind::ALL
            .into_iter()
            .map(|kind| (kind, self.0[kind as usize].load(Ordering::Relaxed)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_kind() {
        let kind = |error: wasmtime::Error, refused| Fault::from_error(&error, refused).kind;
        assert_eq!(kind(Trap::Interrupt.into(), false), FaultKind::Deadline);
        assert_eq!(kind(Trap::StackOverflow.into(), false), FaultKind::Trap);
        assert_eq!(
            kind(Trap::UnreachableCodeReached.into(), true),
            FaultKind::Memory
        );
        assert_eq!(kind(Stop::Deadline.into(), false), FaultKind::Deadline);
        assert_eq!(kind(Stop::Forbidden("no").into(), true), FaultKind::Trap);
        let other = wasmtime::Error::msg("invalid utf-8");
        assert_eq!(kind(other, false), FaultKind::Answer);
    }

    #[test]
    fn each_kind_has_its_counter() {
        let counts = FaultCounts::default();
        for (n, kind) in FaultKind::ALL.into_iter().enumerate() {
            for _ in 0..n {
                counts.add(kind);
            }
        }
        for (n, (kind, count)) in counts.read().into_iter().enumerate() {
            assert_eq!((kind, count), (FaultKind::ALL[n], n as u64));
        }
    }
}
