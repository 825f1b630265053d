//! What the system asks of the process.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::admin::ReloadRequest;

/// Why the main loop wakes.
pub enum Wake {
    /// To read the configuration again, and to tell whoever asked.
    Reload(Option<ReloadRequest>),
    /// To end.
    Stop,
}

/// SIGHUP, SIGINT and SIGTERM.
pub struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// They come here from now on, and do not end the process by themselves.
    ///
    /// # Errors
    /// The system refused.
    pub fn new() -> io::Result<Self> {
        Ok(Signals {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Wake {
        tokio::select! {
            _ = self.hangup.recv() => Wake::Reload(None),
            _ = self.interrupt.recv() => Wake::Stop,
            _ = self.terminate.recv() => Wake::Stop,
        }
    }

    /// The next one that asks for the end.
    pub async fn stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
