//! Whether there is room on the disk.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// Why the log is full, if it is.
#[derive(Default)]
pub(crate) struct Space {
    /// Whether there is any reason: all that is read while there is none.
    full: AtomicBool,
    // Locked when a reason comes or goes, about once a second, and by readers while full.
    reasons: Mutex<Reasons>,
}

#[derive(Default)]
struct Reasons {
    write: Option<String>,
    watermark: Option<String>,
}

impl Space {
    /// A write found no room, or (none) found some.
    pub fn write(&self, reason: Option<String>) {
        self.set(|reasons| reasons.write = reason);
    }

    /// Less than the watermark is free, or (none) more.
    pub fn watermark(&self, reason: Option<String>) {
        self.set(|reasons| reasons.watermark = reason);
    }

    fn set(&self, change: impl FnOnce(&mut Reasons)) {
        let mut reasons = self.reasons.lock();
        change(&mut reasons);
        let full = reasons.write.is_some() || reasons.watermark.is_some();
        self.full.store(full, Ordering::Release);
    }

    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Why the last write found no room, if so.
    pub fn unwritten(&self) -> Option<String> {
        if !self.is_full() {
            return None;
        }
        self.reasons.lock().write.clone()
    }

    pub fn reason(&self) -> Option<String> {
        if !self.is_full() {
            return None;
        }
        let reasons = self.reasons.lock();
        reasons.write.clone().or_else(|| reasons.watermark.clone())
    }
}
