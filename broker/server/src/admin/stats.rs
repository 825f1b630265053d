//! The broker in numbers, as of now.

use dunlin_metrics::Counter;

use super::{Admin, store};
use crate::housekeeping::resident_memory;

/// One number.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// The Prometheus name, without the `dunlin_` prefix.
    pub name: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// How much it is.
    pub value: f64,
}

impl Figure {
    /// A whole number.
    pub fn new(name: &'static str, help: &'static str, value: u64) -> Self {
        let value = value as f64;
        Figure { name, help, value }
    }
}

/// What only grows, summed over what the workers counted: nothing is counted a second time for this.
pub fn counters(admin: &Admin) -> Vec<Figure> {
    let metrics = admin.router.metrics();
    let total =
        |&counter: &Counter| Figure::new(counter.name(), counter.help(), metrics.total(counter));
    let mut counters: Vec<_> = Counter::ALL.iter().map(total).collect();
    counters.extend(store::counters(admin));
    counters
}

/// What can go up and down. Visits every session's queue, which takes a few milliseconds for 100,000
/// of them.
pub fn gauges(admin: &Admin) -> Vec<Figure> {
    let Admin {
        router, admissions, ..
    } = admin;
    let total = |counter| router.metrics().total(counter);
    let opened = total(Counter::ConnectionsOpened);
    let connected = opened.saturating_sub(total(Counter::ConnectionsClosed));
    let (retained, retained_bytes) = router.retained();
    let (queued, queued_bytes) = router.queued();
    let uptime = router.now().monotonic.0 / 1000;
    let mut gauges = vec![
        Figure::new(
            "connections",
            "Sockets open, also those that have sent no CONNECT yet.",
            admissions.connections().into(),
        ),
        Figure::new("clients_connected", "Clients connected.", connected),
        Figure::new(
            "sessions",
            "Sessions, connected or waiting for their client.",
            router.sessions() as u64,
        ),
        Figure::new(
            "subscriptions",
            "Subscriptions, a shared one once for each member.",
            router.subscriptions(),
        ),
        Figure::new("retained_messages", "Retained messages.", retained as u64),
        Figure::new(
            "retained_bytes",
            "Bytes in memory of retained messages.",
            retained_bytes as u64,
        ),
        Figure::new(
            "queued_messages",
            "Messages waiting in the queues of all sessions.",
            queued as u64,
        ),
        Figure::new(
            "queued_bytes",
            "Bytes of them, each message counted in full in each queue.",
            queued_bytes as u64,
        ),
        Figure::new(
            "resident_memory_bytes",
            "Memory that the process occupies.",
            resident_memory().unwrap_or(0),
        ),
        Figure::new(
            "short_of_memory",
            "1 while the process is over limits.memory.",
            router.is_short_of_memory().into(),
        ),
        Figure::new(
            "short_of_storage",
            "1 while the disk of data_dir is full, or has less than limits.disk_reserve.",
            router.is_short_of_storage().into(),
        ),
        Figure::new("uptime_seconds", "Since the start.", uptime),
    ];
    gauges.extend(store::gauges(admin));
    gauges
}
