//! Messages of our broker to an HTTP server: a bridge whose far end is a web application.
//!
//! ```text
//!  our broker ◀─socketpair─▶ local client ──▶ intake ──map──▶ batch ──POST─▶ server
//!   (spool)                                     ▲                              │
//!      ◀─────────PUBACK, PUBREC─────────────────┴───────────2xx────────────────┘
//! ```
//!
//! The local client is that of a [`crate::Bridge`]: its persistent session in our own broker is the
//! spool, and a message above QoS 0 is acknowledged there only when the server has taken it. One
//! request is open at a time, so messages keep their order.
//!
//! A request is a POST of `application/json`, an array with one object for each message: `topic`,
//! `payload` if it is UTF-8 or else `payload_base64`, `qos`, `retain`, and where the message has
//! them `content_type`, `response_topic`, `correlation_data` (base64), `user_properties` (an array
//! of `[key, value]`) and `expiry` (seconds left when the request was made). `Idempotency-Key` is
//! the same each time that a batch is sent: by it a server knows one that it has taken already.
//!
//! What the answer means:
//!
//! | answer | the batch |
//! |---|---|
//! | 2xx | has arrived |
//! | 408, 425, 429, 5xx, none in time, a broken connection | is sent again after a pause |
//! | 400, 413, 422, and the batch has several messages | is sent again in two halves |
//! | any other, redirects among them | is dropped, counted, and logged |
//!
//! Messages come twice when the server takes a batch and its answer is lost: with the same key,
//! unless this process ended in between.

mod batch;
mod body;
mod poster;
mod runner;
mod settings;
mod target;
mod verdict;

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

pub use settings::WebhookSettings;

use crate::local::Local;
use crate::map::Map;
use crate::status::Status;
use crate::topics::Topics;
use batch::Keys;
use poster::Poster;
use runner::Runner;

/// A webhook that is ready to run.
pub struct Webhook {
    settings: WebhookSettings,
    topics: Topics,
    poster: Poster,
    keys: Keys,
    map: Arc<dyn Map>,
    status: Arc<Status>,
}

impl Webhook {
    /// Checks the settings and reads the files that they name. Of the map [`Map::egress`] is
    /// called, once for each batch.
    ///
    /// # Errors
    /// What is wrong, with the webhook's name; never a header's value.
    pub fn new(settings: WebhookSettings, map: Arc<dyn Map>) -> Result<Webhook, String> {
        let named = |what: String| format!("webhook {}: {what}", settings.name);
        settings.check().map_err(named)?;
        let topics = Topics::new(&settings.rules()).map_err(named)?;
        let poster = Poster::new(&settings).map_err(named)?;
        let keys = Keys::new().map_err(named)?;
        Ok(Webhook {
            topics,
            poster,
            keys,
            map,
            status: Arc::default(),
            settings,
        })
    }

    /// What it does, to be read while it runs. `connected` says whether the server took the last
    /// batch, and is false before the first; `ingress` stays 0.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Runs until `stop`; a request that is open then has 5 s, and what was not sent stays in the
    /// session, but for QoS 0. Needs a tokio runtime with I/O and time, and uses one of its threads
    /// for what blocks. Dropped, it ends an open request at once.
    ///
    /// # Errors
    /// None: it goes on until it is stopped.
    pub async fn run(
        self,
        local: Local<impl Fn() -> io::Result<UnixStream>>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), String> {
        Runner::new(self, local).run(stop).await;
        Ok(())
    }
}
