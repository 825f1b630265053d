//! Lines in the broker's log.

use std::time::Instant;

use tracing::{debug, error, info, warn};

use super::contract::log::{Host, Level};
use crate::{fault::shorten, state::State};

/// What of a line is written.
const MAX_LINE_BYTES: usize = 4 << 10;

impl Host for State {
    fn write(&mut self, level: Level, mut line: String) -> wasmtime::Result<()> {
        if !self.shared.log_limit.take(Instant::now()) {
            return Ok(());
        }
        shorten(&mut line, MAX_LINE_BYTES);
        // A line stays one line, and a terminal is told nothing.
        let line = line.replace(char::is_control, " ");
        let plugin = &*self.shared.name;
        match level {
            Level::Error => error!(plugin, "{line}"),
            Level::Warn => warn!(plugin, "{line}"),
            Level::Info => info!(plugin, "{line}"),
            Level::Debug => debug!(plugin, "{line}"),
        }
        Ok(())
    }
}
