//! Webhooks: web servers, and what is sent to them.

use std::path::PathBuf;
use std::time::Duration;

use super::declare::section;
use super::plugin::Table;
use super::quantity::ByteSize;

section! {
    /// A webhook: messages go to a web server by POST, as JSON, some at a time.
    /// It is a client of this broker with a session that lasts: what cannot be
    /// sent waits, within `limits.queued_messages` and `limits.queued_bytes`.
    pub struct Webhook {
        /// What to call it in logs, metrics and client ids, as no bridge is
        /// called: letters, digits, `-`, `_` and `.`.
        pub name: String = String::new(),
        /// Where requests go, as `"https://example.org/mqtt"`.
        pub url: String = String::new(),
        /// The topic filters of what is sent.
        pub topics: Vec<String> = Vec::new(),
        /// The QoS of its subscriptions. QoS 0 is dropped while the server is
        /// away, QoS 1 and 2 wait for it.
        pub qos: u8 = 1; 0..=2,
        /// What requests carry, as `{ Authorization = "Bearer x" }`. A table with
        /// the one key `from_file` or `from_env` stands for the text that is
        /// there.
        pub headers: Table = Table::default(),
        /// The most messages of a request.
        pub batch_messages: u16 = 100; 1..=10_000,
        /// The most bytes of payload in a request of several messages.
        pub batch_bytes: ByteSize = ByteSize::mib(1); 1024..=268_435_456,
        /// How long a message may wait for others to go with.
        pub batch_delay: Duration = Duration::from_millis(100); 0..=3_600_000,
        /// How long a request may take.
        pub timeout: Duration = Duration::from_secs(10); 1..=3_600_000,
        /// The shortest pause after a request that failed.
        pub restart_pause: Duration = Duration::from_secs(1); 1..=86_400_000,
        /// The longest; pauses grow towards it, each with some chance in it.
        pub restart_pause_max: Duration = Duration::from_secs(30); 1..=86_400_000,
        /// The authorities that the server's certificate may come from: PEM
        /// files, or directories of them. Those of the system when empty.
        pub authorities: Vec<PathBuf> = Vec::new(),
        /// Who the webhook is for the ACL file of this broker. Without a name it
        /// may read what `topics` say; ACL plugins are asked in any case.
        pub local_username: Option<String> = None,
        /// Bytes waiting in the webhook above which QoS 0 is dropped.
        pub pending_bytes: ByteSize = ByteSize::mib(8); 65_536..=1_073_741_824,
        /// The name of a plugin for bridges that maps what is sent.
        pub map: Option<String> = None,
    }
}

impl Webhook {
    /// How access rules, plugins and logs call its way into this broker.
    pub fn label(&self) -> String {
        super::bridge::label(&self.name)
    }
}
