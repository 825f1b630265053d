//! Bridges between the broker that they run in and another MQTT broker, or a web server.
//!
//! A bridge is two MQTT clients glued together. The local one has a persistent session in our own
//! broker: its queue is the spool, with the limits, the order and the recovery of every session.
//! The remote one connects over TCP or TLS. A message above QoS 0 is acknowledged to the side that
//! it came from only when the other side has taken it over: after PUBACK at QoS 1, after PUBCOMP at
//! QoS 2.
//!
//! ```text
//!  our broker ◀─socketpair─▶ local client ◀═ egress, ingress ═▶ remote client ◀─TCP, TLS─▶ other
//!   (spool)                    client.rs          pipe.rs          client.rs
//! ```
//!
//! So no message above QoS 0 is lost when either broker or this process restarts, as long as both
//! sessions are kept. Messages may come twice: at QoS 1 as always; at QoS 2 only when this process
//! ends while a message is in flight, because [`Bridge::run`] was not stopped or the other broker
//! did not answer within its last 5 s, or when a broker loses the session in which one was.
//!
//! Not here: WebSockets, enhanced authentication (AUTH), a store of its own.
//!
//! Loops: version 5 has No Local, so nothing comes back by the connection that it went; in version
//! 3 the bit that says that this is a bridge does the same, where the other broker knows it
//! (Mosquitto does). Against loops of several bridges, version 5 carries the names of the bridges
//! that a message crossed. Two bridges that face each other with the same topics are better one:
//! each message comes back once before it is recognized, and in version 3 it goes on for ever.
//!
//! With the feature `webhooks` a web server may be the far end: `Webhook`.
//!
//! Start reading at [`BridgeSettings`], then `glue.rs`, which holds all together, and `intake.rs`
//! and `pipe.rs`, where a message's way is.
#![forbid(unsafe_code)]

mod backoff;
mod client;
mod glue;
mod greeting;
mod intake;
mod link;
mod local;
mod map;
mod pipe;
mod remote;
mod settings;
mod status;
mod subscribing;
mod tls;
mod topics;
#[cfg(feature = "webhooks")]
mod webhook;
mod wire;

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

pub use dunlin_codec::{PropertiesBuf, Qos, Version};
pub use local::Local;
pub use map::{Fault, Identity, Map, Mapped};
pub use settings::{BridgeSettings, Direction, Restart, Start, TlsSettings, TopicRule};
pub use status::{Status, Traffic};
#[cfg(feature = "webhooks")]
pub use webhook::{Webhook, WebhookSettings};

use glue::Glue;
use remote::Dialer;
use topics::Topics;

/// A bridge that is ready to run.
pub struct Bridge {
    settings: BridgeSettings,
    topics: Topics,
    dialer: Arc<Dialer>,
    map: Arc<dyn Map>,
    status: Arc<Status>,
}

impl Bridge {
    /// Checks the settings and reads the files that they name.
    ///
    /// # Errors
    /// What is wrong, with the bridge's name.
    pub fn new(settings: BridgeSettings, map: Arc<dyn Map>) -> Result<Bridge, String> {
        settings.check()?;
        let named = |what: String| format!("bridge {}: {what}", settings.name);
        let topics = Topics::new(&settings.topics).map_err(named)?;
        let dialer = Arc::new(Dialer::new(&settings).map_err(named)?);
        Ok(Bridge {
            topics,
            dialer,
            map,
            status: Arc::default(),
            settings,
        })
    }

    /// What it does, to be read while it runs.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Runs until `stop`, and then waits up to 5 s for what is in flight. Needs a tokio runtime
    /// with I/O and time.
    ///
    /// # Errors
    /// The connection of a bridge with [`Start::Once`] failed: why.
    pub async fn run(
        self,
        local: Local<impl Fn() -> io::Result<UnixStream>>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), String> {
        Glue::new(self, local).run(stop).await
    }
}
