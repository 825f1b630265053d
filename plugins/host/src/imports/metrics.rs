//! Numbers in the broker's metrics.

use super::contract::metrics::Host;
use crate::state::State;

impl Host for State {
    fn add(&mut self, name: String, amount: u64) -> wasmtime::Result<()> {
        self.serving()?;
        self.shared.numbers.add(&name, amount);
        Ok(())
    }

    fn set(&mut self, name: String, value: f64) -> wasmtime::Result<()> {
        self.serving()?;
        self.shared.numbers.set(&name, value);
        Ok(())
    }
}
