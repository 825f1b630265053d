//! What one client, and all of them, may use.

use std::time::Duration;

use super::declare::section;
use super::node::Value;
use super::quantity::ByteSize;
use super::scalar::{Scalar, setting_from_scalar};

section! {
    /// Limits. The defaults together are safe on a machine with 512 MB.
    pub struct Limits {
        /// Connections open at once, on all listeners. Raise it with the
        /// process's limit of open files (`ulimit -n`) and memory: an idle
        /// client takes about 3 KiB, with TLS about 30.
        pub connections: u32 = 20_000; 1..=4_294_967_295,
        /// Connections open at once from one address. Raise it when a proxy
        /// hides the clients' addresses; lower it where each client has its own.
        pub connections_per_address: Option<u32> = Some(10_000); 1..=4_294_967_295,
        /// From accepting a connection to its whole CONNECT, with TLS and
        /// WebSocket in between; then it is closed. Raise it on slow networks.
        pub connect_timeout: Duration = Duration::from_secs(10); 100..=600_000,
        /// New connections a second, on all listeners; more wait in the
        /// system's queue. Raise it when many clients return at once and the
        /// machine has cores to spare: a TLS handshake takes about 1 ms of one.
        pub handshakes_per_second: Option<u32> = Some(2_000); 1..=4_294_967_295,
        /// PUBLISH packets a second from one client; more are read later. Set
        /// it where a client's bug must not use up the broker's CPU.
        pub messages_per_second: Option<u32> = None; 1..=4_294_967_295,
        /// Bytes a second from one client; more are read later. Set it with
        /// `messages_per_second`, for clients that send large messages.
        pub bytes_per_second: Option<ByteSize> = None; 1024..=u64::MAX,
        /// The longest MQTT packet; a client that sends a longer one is
        /// disconnected. Raise it for large payloads, mind `memory`. Before
        /// authentication it is 512 KiB at most.
        pub packet_size: ByteSize = ByteSize::mib(1); 20..=268_435_460,
        /// The longest payload of a PUBLISH; a longer one is acknowledged with
        /// an error and goes nowhere, and its client stays. Set it where packets
        /// may be long but messages should not.
        pub payload_size: Option<ByteSize> = None,
        /// QoS 1 and 2 messages that a client may send before it has their
        /// acknowledgement. Raise it for fast publishers far away.
        pub receive_maximum: u16 = 1024; 1..=65_535,
        /// QoS 1 and 2 messages sent to a client before it acknowledges; more
        /// wait in its queue. A smaller receive maximum of the client holds.
        /// Raise it for fast subscribers far away; 1 for strict order.
        pub inflight_messages: u16 = 1024; 1..=65_535,
        /// Messages waiting for one client, connected or not; further ones are
        /// dropped for it and counted. Raise it for clients that sleep long.
        pub queued_messages: Option<u32> = Some(10_000); 1..=4_294_967_295,
        /// Bytes of the messages waiting for one client; further ones are
        /// dropped for it and counted. Raise it with `queued_messages`.
        pub queued_bytes: Option<ByteSize> = Some(ByteSize::mib(8)); 1024..=u64::MAX,
        /// Retained messages in all; a new topic beyond it is refused.
        pub retained_messages: Option<u32> = Some(100_000),
        /// Bytes of all retained messages.
        pub retained_bytes: Option<ByteSize> = Some(ByteSize::mib(64)),
        /// Sessions, connected or waiting to be resumed; a new client beyond it
        /// is refused. Raise it with memory.
        pub sessions: Option<u32> = Some(100_000); 1..=4_294_967_295,
        /// Free bytes on the disk of `data_dir` below which no message above
        /// QoS 0 and none to be retained is taken (0x97, and older clients are
        /// disconnected), until there is room again: the rest is for what was
        /// acknowledged. Raise it where others write to the same disk.
        pub disk_reserve: ByteSize = ByteSize(64 * 1024 * 1024),
        /// Memory of the whole process. Beyond it the largest queues are dropped
        /// first, messages are not queued, new connections are refused, and
        /// clients in the middle of a packet above 16 KiB are disconnected, until
        /// there is less. `"auto"` is half of what the machine or its control
        /// group has.
        pub memory: MemoryBudget = MemoryBudget::Auto; 16_777_216..=u64::MAX,
        /// Levels in a topic or filter. Lower it to what your topics have.
        pub topic_levels: u16 = 128; 1..=65_535,
        /// Bytes in a topic or filter. Lower it to what your topics have.
        pub topic_length: u16 = 4096; 1..=65_535,
        /// Topic aliases that a client may define, and that are used towards
        /// it; 0 for none. Raise it for clients with many long topics.
        pub topic_aliases: u16 = 32,
        /// Subscriptions of one session. Raise it for gateways.
        pub subscriptions: u32 = 10_000; 1..=4_294_967_295,
        /// The longest keep alive, in whole seconds: an MQTT 5 client that asks
        /// for more, or for none, is told this one. Lower it to notice sooner
        /// that a client is gone.
        pub keepalive: Duration = Duration::from_secs(65_535); 10_000..=65_535_000,
        /// After this long without a byte the system asks whether the peer is
        /// still there, and closes the connection when it is not. Lower it
        /// where networks forget idle connections.
        pub tcp_keepalive: Option<Duration> = Some(Duration::from_secs(120)); 1_000..=86_400_000,
        /// A client that takes none of the bytes waiting for it for this long
        /// is disconnected. Raise it on networks that pause.
        pub slow_consumer_timeout: Duration = Duration::from_secs(30); 1_000..=3_600_000,
    }
}

/// How much memory the process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryBudget {
    /// Half of what the machine or its control group has.
    Auto,
    /// No budget.
    Unlimited,
    /// So many bytes.
    Size(ByteSize),
}

impl MemoryBudget {
    /// The budget in bytes on a machine, or in a control group, with `total`
    /// bytes of memory; `None` for no budget.
    pub fn bytes(self, total: u64) -> Option<u64> {
        match self {
            MemoryBudget::Auto => Some(total / 2),
            MemoryBudget::Unlimited => None,
            MemoryBudget::Size(size) => Some(size.0),
        }
    }
}

impl Scalar for MemoryBudget {
    const EXPECTED: &'static str = "a size, as \"256 MiB\", or \"auto\" or \"unlimited\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(MemoryBudget::Auto),
            "unlimited" => Some(MemoryBudget::Unlimited),
            size => ByteSize::from_text(size).map(MemoryBudget::Size),
        }
    }

    fn from_integer(number: i64) -> Option<Self> {
        ByteSize::from_integer(number).map(MemoryBudget::Size)
    }

    fn to_value(&self) -> Value {
        match self {
            MemoryBudget::Auto => Value::Text("auto".into()),
            MemoryBudget::Unlimited => Value::Text("unlimited".into()),
            MemoryBudget::Size(size) => size.to_value(),
        }
    }

    fn amount(&self) -> Option<u64> {
        match self {
            MemoryBudget::Size(size) => Some(size.0),
            MemoryBudget::Auto | MemoryBudget::Unlimited => None,
        }
    }

    fn show_amount(bytes: u64) -> String {
        ByteSize::show_amount(bytes)
    }
}

setting_from_scalar!(MemoryBudget);
