//! The whole configuration, and the sections about the process itself.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::bridge::Bridge;
use super::declare::{choices, section};
use super::limits::Limits;
use super::listener::{Access, Listener};
use super::node::Value;
use super::plugin::Plugin;
use super::scalar::{Scalar, setting_from_scalar};
use super::secret::Secret;
use super::webhook::Webhook;

section! {
    /// The configuration of a broker. Its default is what `dunlin` runs without
    /// any file: one listener for MQTT on port 1883 of every address, anonymous
    /// clients from this machine only. Relative paths start at the directory in
    /// which `dunlin` was started.
    pub struct Config {
        /// Worker threads, each with its share of the connections. Lower it to
        /// leave cores to other programs.
        pub workers: Workers = Workers::Auto,
        /// How long SIGTERM lets clients finish before connections are cut.
        /// Keep it under what your supervisor waits before it kills.
        pub drain_timeout: Duration = Duration::from_secs(10); 0..=600_000,
        /// Where to write the process id; for init scripts that want one.
        pub pid_file: Option<PathBuf> = None,
        /// Where sessions, their queues and retained messages are kept:
        /// `"disk"`, or `"memory"` for a broker whose restart may forget them.
        pub store: Store = Store::Disk,
        /// The directory of the store, on a local disk; it is made when there
        /// is none, and used by one broker at a time.
        pub data_dir: PathBuf = "dunlin-data".into(),
        /// What an acknowledgement means: with `"fsync"` that neither a crash
        /// nor power loss takes what it is about, with `"os"` that a crash of
        /// the broker does not. Change it where throughput is worth the last
        /// seconds before a power loss.
        pub durability: Durability = Durability::Fsync,
        /// The listeners. When there is none, one on `[::]:1883`.
        pub listeners: Vec<Listener> = vec![Listener::default()],
        /// Who may connect and what they may do.
        pub access: Access = Access::default(),
        /// Plugins: who clients are, what they may do, and what becomes of what
        /// they publish, as WebAssembly components say.
        pub plugins: Vec<Plugin> = Vec::new(),
        /// Bridges: other brokers that messages are exchanged with.
        pub bridges: Vec<Bridge> = Vec::new(),
        /// Webhooks: web servers that messages are sent to.
        pub webhooks: Vec<Webhook> = Vec::new(),
        /// What clients may use.
        pub limits: Limits = Limits::default(),
        /// How sessions behave.
        pub sessions: Sessions = Sessions::default(),
        /// What is logged, how and where.
        pub logging: Logging = Logging::default(),
        /// The topics under `$SYS/broker`.
        pub sys: Sys = Sys::default(),
        /// Metrics, health and the HTTP API.
        pub admin: Admin = Admin::default(),
    }
}

choices! {
    /// Where sessions and retained messages are kept.
    pub enum Store {
        /// In files under `data_dir`.
        Disk = "disk",
        /// Nowhere else: a restart forgets them.
        Memory = "memory",
    }
}

choices! {
    /// When something counts as stored.
    pub enum Durability {
        /// Once the disk has it.
        Fsync = "fsync",
        /// Once the operating system has it.
        Os = "os",
    }
}

/// How many worker threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// One for each core that the process may use.
    Auto,
    /// So many, at least one.
    Count(u16),
}

impl Scalar for Workers {
    const EXPECTED: &'static str = "a number or \"auto\"";

    fn from_text(text: &str) -> Option<Self> {
        (text == "auto").then_some(Workers::Auto)
    }

    fn from_integer(number: i64) -> Option<Self> {
        (1..=1024)
            .contains(&number)
            .then(|| u16::from_integer(number).map(Workers::Count))?
    }

    fn to_value(&self) -> Value {
        match self {
            Workers::Auto => Value::Text("auto".into()),
            Workers::Count(count) => count.to_value(),
        }
    }
}

setting_from_scalar!(Workers);

section! {
    /// How sessions behave.
    pub struct Sessions {
        /// The longest that a session waits for its client to return; clients
        /// that ask for longer get this. Raise it for devices that sleep
        /// longer, lower it where clients come with ever new ids.
        pub session_expiry_max: Option<Duration> = Some(Duration::from_secs(30 * 86_400)),
        /// Whether QoS 0 messages wait too for a client that is away.
        pub queue_qos0: bool = false,
        /// Whether a message is delivered with the QoS of the subscription even
        /// when it was published with a lower one. Not what the standard says.
        pub upgrade_outgoing_qos: bool = false,
    }
}

section! {
    /// What is logged, how and where.
    pub struct Logging {
        /// The least important lines to log. Change it to `"debug"` to see why
        /// connections fail before their CONNECT.
        pub level: LogLevel = LogLevel::Info,
        /// Lines for people, or one JSON object per line for machines.
        pub format: LogFormat = LogFormat::Text,
        /// `"stderr"`, `"stdout"`, `"off"`, or `"file:"` and a path, which is
        /// opened anew on reload.
        pub destination: LogDestination = LogDestination::Stderr,
        /// Whether each line begins with its time. Change it where what gathers
        /// the lines adds its own.
        pub timestamps: bool = true,
        /// Whether there is a line for each connect and disconnect.
        pub connections: bool = true,
    }
}

choices! {
    /// How important a line must be to be logged.
    pub enum LogLevel {
        /// Nothing.
        Off = "off",
        /// What the operator must act on.
        Error = "error",
        /// What may need a look.
        Warn = "warn",
        /// What happens, a line per connection.
        Info = "info",
        /// Why sockets were closed before a client was known.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

choices! {
    /// How a line is written.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

/// Where the log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogDestination {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// Nowhere.
    Off,
    /// The end of a file.
    File(PathBuf),
}

impl Scalar for LogDestination {
    const EXPECTED: &'static str =
        "\"stderr\", \"stdout\", \"off\" or a file, as \"file:/var/log/dunlin.log\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "stderr" => Some(LogDestination::Stderr),
            "stdout" => Some(LogDestination::Stdout),
            "off" => Some(LogDestination::Off),
            _ => text
                .strip_prefix("file:")
                .filter(|path| !path.is_empty())
                .map(|path| LogDestination::File(path.into())),
        }
    }

    fn to_value(&self) -> Value {
        Value::Text(match self {
            LogDestination::Stderr => "stderr".into(),
            LogDestination::Stdout => "stdout".into(),
            LogDestination::Off => "off".into(),
            LogDestination::File(path) => format!("file:{}", path.display()),
        })
    }
}

setting_from_scalar!(LogDestination);

section! {
    /// The topics under `$SYS/broker`.
    pub struct Sys {
        /// How often they are published; `"0s"` for never.
        pub interval: Duration = Duration::from_secs(10); 0..=86_400_000,
    }
}

section! {
    /// Metrics, health and the HTTP API.
    pub struct Admin {
        /// Where they are served, or `"off"`. Any other than this machine's
        /// own address needs a `token`.
        pub address: Option<SocketAddr> = Some(([127, 0, 0, 1], 9883).into()),
        /// What requests must carry, as `Authorization: Bearer ...`; only
        /// `/livez`, `/readyz`, `/startupz` and the dashboard's empty page are
        /// answered without. At least 16 characters. Set it where others may
        /// reach the address.
        pub token: Option<Secret> = None,
    }
}
