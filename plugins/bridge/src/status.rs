//! What a bridge or a webhook has done, for metrics and the admin interface.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

/// Counted since the bridge was made; read at any time, from any thread.
#[derive(Debug, Default)]
pub struct Status {
    /// The other broker has accepted us; the web server took the last batch.
    pub connected: AtomicBool,
    /// Our own broker has.
    pub local_connected: AtomicBool,
    /// From our broker to the other.
    pub egress: Traffic,
    /// From the other broker to ours.
    pub ingress: Traffic,
    /// Messages above QoS 0 sent to either broker and not confirmed; those of the open request.
    pub in_flight: AtomicU64,
    /// Connections to the other broker after the first; how often the web server was back.
    pub reconnects: AtomicU64,
    last_error: Mutex<Option<String>>,
}

/// Messages of one direction.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Taken over by the other side: at QoS 0 sent, above it confirmed.
    pub messages: AtomicU64,
    /// Their topics, properties and payloads, in bytes.
    pub bytes: AtomicU64,
    /// QoS 0 while the other side was away or too slow, messages that are too large or expired, or
    /// that the other side refused for good.
    pub dropped: AtomicU64,
    /// Left out by the map, by no rule, or because they crossed this bridge before.
    pub filtered: AtomicU64,
}

impl Status {
    /// Why the last connection ended or failed, or a subscription was refused.
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().clone()
    }

    pub(crate) fn failed(&self, why: &str) {
        *self.last_error.lock() = Some(why.to_owned());
    }
}

impl Traffic {
    pub(crate) fn carried(&self, bytes: usize) {
        add(&self.messages, 1);
        add(&self.bytes, bytes as u64);
    }

    pub(crate) fn dropped(&self) {
        add(&self.dropped, 1);
    }

    pub(crate) fn filtered(&self) {
        add(&self.filtered, 1);
    }
}

fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}
