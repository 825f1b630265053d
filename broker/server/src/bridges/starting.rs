//! Bridges that begin: from when on they miss nothing.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// How long clients wait for bridges to begin. One whose predecessor ends first needs up to 7 s: 5
/// for what is in flight, and one for the end of each connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bridges and webhooks that have begun, and may not have subscribed in this broker yet.
#[derive(Default)]
#[must_use = "what clients publish before it is over does not cross"]
pub struct Starting(Vec<(String, oneshot::Receiver<()>)>);

impl Starting {
    /// One more, and what ends when it has subscribed or is gone.
    pub fn add(&mut self, name: String, subscribed: oneshot::Receiver<()>) {
        self.0.push((name, subscribed));
    }

    /// Returns when all have subscribed: what this broker acknowledges from then on, they carry.
    pub async fn subscribed(self) {
        let end = Instant::now() + PATIENCE;
        for (bridge, subscribed) in self.0 {
            if timeout_at(end, subscribed).await.is_err() {
                tracing::warn!(
                    bridge,
                    patience = ?PATIENCE,
                    "a bridge has not subscribed yet: what is published before it has is not carried"
                );
            }
        }
    }
}
