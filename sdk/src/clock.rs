//! What time it is.

use std::time::Duration;

use crate::host;

/// Since 1970-01-01T00:00:00Z, in milliseconds.
pub fn wall() -> Duration {
    Duration::from_millis(host::wall_ms())
}

/// Since some moment, never going back.
pub fn monotonic() -> Duration {
    Duration::from_nanos(host::monotonic_ns())
}
