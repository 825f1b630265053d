//! Randomness that cannot be guessed.

use super::contract::random::Host;
use crate::{fault::Stop, state::State};

const MAX_BYTES: u32 = 4_096;

impl Host for State {
    fn bytes(&mut self, count: u32) -> wasmtime::Result<Vec<u8>> {
        self.serving()?;
        if count > MAX_BYTES {
            return Err(
                Stop::Forbidden("`random.bytes` gives at most 4,096 bytes at a time").into(),
            );
        }
        let mut bytes = vec![0; count as usize];
        getrandom::fill(&mut bytes)?;
        Ok(bytes)
    }
}
