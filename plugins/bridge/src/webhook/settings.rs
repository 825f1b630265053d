//! What a webhook is told.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use dunlin_codec::Qos;
use dunlin_session::client::Options;

use super::target::Target;
use crate::greeting::Introduction;
use crate::settings::{Direction, Restart, TopicRule};

/// Most messages that a batch may have.
const MAX_BATCH_MESSAGES: u16 = 10_000;
/// The longest that a message may wait for company, and a request for its answer.
const MAX_WAIT: Duration = Duration::from_secs(3600);
/// How long our own broker may take to accept us.
const LOCAL_PATIENCE: Duration = Duration::from_secs(30);

/// Everything that one webhook is told.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// The webhook's name in logs, and in the client id if none is given.
    pub name: String,
    /// Where requests go: `http://` or `https://`, a host, and whatever follows. Credentials do not
    /// belong here, but into `headers`.
    pub url: String,
    /// Filters, shared ones among them, and the QoS of each subscription: the most that a message
    /// is kept with. At least one.
    pub topics: Vec<(String, Qos)>,
    /// Sent with each request, as `Authorization`. At most 64, of 8 KiB each; none that frames the
    /// message or that the webhook sets itself. Values are never logged.
    pub headers: Vec<(String, String)>,
    /// Most messages of one request, 1 to 10,000, besides those that the map adds. Twice as many
    /// above QoS 0 are held in memory. Default 100.
    pub batch_messages: u16,
    /// Bytes of payload that a batch with more than one message does not exceed. Default 1 MiB.
    pub batch_bytes: usize,
    /// How long a message may wait for others to go with; zero sends at once what is there. At most
    /// an hour, default 100 ms.
    pub batch_delay: Duration,
    /// How long a request may take, from the name's resolution to the end of the answer. 1 ms to an
    /// hour, default 10 s.
    pub timeout: Duration,
    /// The pause after a failed request. Default 1 s, growing to 30 s. A server's Retry-After takes
    /// its place, but for one shorter than `base`.
    pub restart: Restart,
    /// PEM files, and directories whose `.pem` and `.crt` files are read: who may vouch for the
    /// server. Empty: whom the system trusts.
    pub authorities: Vec<PathBuf>,
    /// The client in our own broker. Default: `webhook.` and the name.
    pub local_client_id: Option<String>,
    /// Its user's name.
    pub local_username: Option<String>,
    /// Its password.
    pub local_password: Option<Vec<u8>>,
    /// Seconds that its session, the spool, outlives the connection. Default `u32::MAX`, for ever.
    pub session_expiry: u32,
    /// Seconds, at least 5. Default 60.
    pub keep_alive: u16,
    /// Bytes of messages waiting above which QoS 0 is dropped. Default 8 MiB.
    pub pending_bytes: usize,
    /// Bytes of the largest packet taken from our broker, which leaves larger ones out; at least
    /// 256. Default 16 MiB.
    pub max_incoming_packet_bytes: u32,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        WebhookSettings {
            name: String::new(),
            url: String::new(),
            topics: Vec::new(),
            headers: Vec::new(),
            batch_messages: 100,
            batch_bytes: 1024 * 1024,
            batch_delay: Duration::from_millis(100),
            timeout: Duration::from_secs(10),
            restart: Restart {
                base: Duration::from_secs(1),
                cap: Some(Duration::from_secs(30)),
            },
            authorities: Vec::new(),
            local_client_id: None,
            local_username: None,
            local_password: None,
            session_expiry: u32::MAX,
            keep_alive: 60,
            pending_bytes: 8 * 1024 * 1024,
            max_incoming_packet_bytes: 16 * 1024 * 1024,
        }
    }
}

impl WebhookSettings {
    /// # Errors
    /// What is missing or out of its bounds; the URL and the headers are checked by [`Target`].
    pub(crate) fn check(&self) -> Result<(), String> {
        let wrong = [
            (self.name.is_empty(), "has no name"),
            (self.topics.is_empty(), "has no topic"),
            (
                !(1..=MAX_BATCH_MESSAGES).contains(&self.batch_messages),
                "batch messages are not 1 to 10,000",
            ),
            (self.batch_bytes == 0, "batch bytes are 0"),
            (self.batch_delay > MAX_WAIT, "batch delay is above an hour"),
            (
                self.timeout < Duration::from_millis(1) || self.timeout > MAX_WAIT,
                "timeout is not 1 ms to an hour",
            ),
            (self.restart.base.is_zero(), "restart pause is zero"),
            (self.keep_alive < 5, "keep alive is below 5 seconds"),
            (
                self.max_incoming_packet_bytes < 256,
                "the largest packet is below 256 bytes",
            ),
        ];
        match wrong.iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, what)) => Err((*what).into()),
            None => Ok(()),
        }
    }

    /// The topics as a bridge has them.
    pub(crate) fn rules(&self) -> Vec<TopicRule> {
        let rule = |(filter, qos): &(String, Qos)| TopicRule {
            pattern: filter.clone(),
            direction: Direction::Out,
            qos: *qos,
            ..TopicRule::default()
        };
        self.topics.iter().map(rule).collect()
    }

    /// What to say in CONNECT to our own broker. While one batch is on its way, the next can fill.
    pub(crate) fn introduction(&self) -> Introduction {
        let given = self.local_client_id.clone();
        let options = Options {
            client_id: given.unwrap_or_else(|| format!("webhook.{}", self.name)),
            clean_start: false,
            session_expiry: self.session_expiry,
            keep_alive: self.keep_alive,
            username: self.local_username.clone(),
            password: self.local_password.clone(),
            maximum_packet_size: NonZeroU32::new(self.max_incoming_packet_bytes)
                .unwrap_or(NonZeroU32::MAX),
            ..Options::default()
        };
        let window = self.batch_messages.saturating_mul(2);
        Introduction::new(options, window, LOCAL_PATIENCE)
    }
}

/// Without what may be secret: the URL's path, the headers' values, the password.
impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = Target::new(&self.url, &[]).map(|target| target.origin());
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("WebhookSettings")
            .field("name", &self.name)
            .field("origin", &origin)
            .field("topics", &self.topics)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minimal() -> WebhookSettings {
        WebhookSettings {
            name: "w".into(),
            url: "http://a/secret".into(),
            topics: vec![("#".into(), Qos::AtLeastOnce)],
            headers: vec![("Authorization".into(), "secret".into())],
            local_password: Some(b"secret".to_vec()),
            ..WebhookSettings::default()
        }
    }

    #[test]
    fn what_is_missing_or_out_of_bounds_is_named() {
        assert_eq!(minimal().check(), Ok(()));
        type Change = fn(&mut WebhookSettings);
        let cases: [(Change, &str); 6] = [
            (|s| s.name.clear(), "has no name"),
            (|s| s.topics.clear(), "has no topic"),
            (
                |s| s.batch_messages = 0,
                "batch messages are not 1 to 10,000",
            ),
            (
                |s| s.batch_messages = 10_001,
                "batch messages are not 1 to 10,000",
            ),
            (
                |s| s.timeout = Duration::ZERO,
                "timeout is not 1 ms to an hour",
            ),
            (|s| s.restart.base = Duration::ZERO, "restart pause is zero"),
        ];
        for (change, expected) in cases {
            let mut settings = minimal();
            change(&mut settings);
            assert_eq!(settings.check(), Err(expected.into()));
        }
    }

    #[test]
    fn what_may_be_secret_is_not_shown() {
        let shown = format!("{:?}", minimal());
        assert!(shown.contains("http://a") && shown.contains("Authorization"));
        assert!(!shown.contains("secret"), "{shown}");
        assert!(!shown.contains(&format!("{:?}", b"secret")), "{shown}");
    }
}
