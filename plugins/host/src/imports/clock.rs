//! What time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use super::contract::clock::Host;
use crate::state::State;

impl Host for State {
    fn wall_ms(&mut self) -> wasmtime::Result<u64> {
        self.serving()?;
        Ok(wall().as_millis() as u64)
    }

    fn monotonic_ns(&mut self) -> wasmtime::Result<u64> {
        self.serving()?;
        let now = clock_gettime(ClockId::Monotonic);
        // The clock counts from boot: neither part is negative.
        Ok(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
    }
}

/// Since 1970, or nothing if the clock stands before.
pub(super) fn wall() -> std::time::Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
