//! Randomness that cannot be guessed. Needs [`Import::Random`](crate::Import::Random).

use crate::host;

/// So many bytes; at most 4,096.
pub fn bytes(count: u32) -> Vec<u8> {
    host::random(count)
}
