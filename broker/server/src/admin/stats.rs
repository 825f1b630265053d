//! The broker in numbers, as of now.

use dunlin_connection::Admissions;
use dunlin_metrics::Counter;
use dunlin_router::Router;

use crate::housekeeping::resident_memory;

/// What can go up and down.
#[derive(Clone, Copy, Debug)]
pub struct Gauge {
    /// The Prometheus name, without the `dunlin_` prefix.
    pub name: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// How much it is.
    pub value: u64,
}

/// All gauges. Visits every session's queue, which takes a few milliseconds for 100,000 of them.
pub fn gauges(router: &Router, admissions: &Admissions) -> Vec<Gauge> {
    let total = |counter| router.metrics().total(counter);
    let opened = total(Counter::ConnectionsOpened);
    let connected = opened.saturating_sub(total(Counter::ConnectionsClosed));
    let (retained, retained_bytes) = router.retained();
    let (queued, queued_bytes) = router.queued();
    let uptime = router.now().monotonic.0 / 1000;
    let gauge = |name, help, value| Gauge { name, help, value };
    vec![
        gauge(
            "connections",
            "Sockets open, also those that have sent no CONNECT yet.",
            admissions.connections().into(),
        ),
        gauge("clients_connected", "Clients connected.", connected),
        gauge(
            "sessions",
            "Sessions, connected or waiting for their client.",
            router.sessions() as u64,
        ),
        gauge(
            "subscriptions",
            "Subscriptions, a shared one once for each member.",
            router.subscriptions(),
        ),
        gauge("retained_messages", "Retained messages.", retained as u64),
        gauge(
            "retained_bytes",
            "Bytes in memory of retained messages.",
            retained_bytes as u64,
        ),
        gauge(
            "queued_messages",
            "Messages waiting in the queues of all sessions.",
            queued as u64,
        ),
        gauge(
            "queued_bytes",
            "Bytes of them, each message counted in full in each queue.",
            queued_bytes as u64,
        ),
        gauge(
            "resident_memory_bytes",
            "Memory that the process occupies.",
            resident_memory().unwrap_or(0),
        ),
        gauge(
            "short_of_memory",
            "1 while the process is over limits.memory.",
            router.is_short_of_memory().into(),
        ),
        gauge("uptime_seconds", "Since the start.", uptime),
    ]
}
