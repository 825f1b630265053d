//! Per-worker counting cells.
//!
//! Each worker owns one [`Cells`] and adds to it without an atomic read-modify-write; whoever
//! scrapes sums over all of them ([`Registry::total`]). A counter is a row of the table below:
//! its name and help are what `/metrics` shows.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

macro_rules! counters {
    ($($variant:ident $name:literal $help:literal)*) => {
        /// What is counted. Counts only grow; a gauge is the difference of two.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Counter { $(#[doc = $help] $variant),* }

        impl Counter {
            /// Every counter, in the order in which they are shown.
            pub const ALL: &'static [Counter] = &[$(Counter::$variant),*];

            /// The Prometheus name without the `dunlin_` prefix.
            pub fn name(self) -> &'static str {
                match self { $(Counter::$variant => $name),* }
            }

            /// One line for people.
            pub fn help(self) -> &'static str {
                match self { $(Counter::$variant => $help),* }
            }
        }
    };
}

counters! {
    SocketsAccepted "sockets_accepted_total" "Sockets accepted by all listeners."
    HandshakesFailed "handshakes_failed_total" "Sockets closed before a CONNECT was accepted."
    ConnectionsOpened "connections_opened_total" "Connections that got a successful CONNACK."
    ConnectionsClosed "connections_closed_total" "Connections that ended after a successful CONNACK."
    ConnectsRefused "connects_refused_total" "CONNECT packets refused, for whatever reason."
    AuthenticationsDenied "authentications_denied_total" "CONNECT packets refused by authentication."
    TakeOvers "take_overs_total" "Connections replaced by a newer one with the same client id."
    ConnectionsOverLimit "connections_over_limit_total" "Sockets closed because limits.connections was reached."
    ConnectionsOverListenerLimit "connections_over_listener_limit_total" "Sockets closed because their listener's max_connections was reached."
    ConnectionsOverAddressLimit "connections_over_address_limit_total" "Sockets closed because limits.connections_per_address was reached."
    ConnectionsShortOfMemory "connections_short_of_memory_total" "Sockets and connections closed because the process was over its memory budget."
    AcceptsPaced "accepts_paced_total" "Sockets that waited because of limits.handshakes_per_second."
    ConnectTimeouts "connect_timeouts_total" "Sockets closed because no complete CONNECT came within limits.connect_timeout."
    SessionsOverLimit "sessions_over_limit_total" "CONNECT packets refused because limits.sessions was reached."
    PacketsTooLarge "packets_too_large_total" "Connections closed because of a packet above the maximum packet size."
    ReceiveMaximumExceeded "receive_maximum_exceeded_total" "Connections closed because of more unacknowledged PUBLISH packets than Receive Maximum."
    TopicsRefused "topics_refused_total" "Connections closed because of a topic name with too many levels or bytes."
    FiltersRefused "filters_refused_total" "Topic filters refused because of too many levels or bytes."
    SubscriptionsOverLimit "subscriptions_over_limit_total" "Topic filters refused because limits.subscriptions was reached."
    PublishesTooLarge "publishes_too_large_total" "PUBLISH packets refused because of a payload above limits.payload_size."
    PublishesStorageFull "publishes_storage_full_total" "PUBLISH packets refused because the store has no room."
    KeepAliveTimeouts "keep_alive_timeouts_total" "Connections closed because the client was silent for one and a half keep-alive intervals."
    ProtocolErrors "protocol_errors_total" "Connections closed because the client broke the protocol."
    SlowConsumersClosed "slow_consumers_closed_total" "Connections closed because they did not read for too long."
    BytesReceived "bytes_received_total" "Bytes read from clients, after TLS and WebSocket."
    BytesSent "bytes_sent_total" "Bytes written to clients, before TLS and WebSocket."
    PacketsReceived "packets_received_total" "MQTT packets of any type read from clients."
    PublishesReceived "publishes_received_total" "PUBLISH packets read from clients."
    PublishesSent "publishes_sent_total" "PUBLISH packets written to clients."
    PublishBytesReceived "publish_bytes_received_total" "Payload bytes of PUBLISH packets read from clients."
    PublishBytesSent "publish_bytes_sent_total" "Payload bytes of PUBLISH packets written to clients."
    PublishesUnrouted "publishes_unrouted_total" "PUBLISH packets that no subscription matched."
    PublishesDenied "publishes_denied_total" "PUBLISH packets refused by access rules."
    PublishesUndecided "publishes_undecided_total" "PUBLISH packets refused because a plugin failed."
    PublishesFiltered "publishes_filtered_total" "PUBLISH packets dropped by a plugin."
    PluginTimeExceeded "plugin_time_exceeded_total" "Connections closed because plugins worked too long for them."
    SubscribesDenied "subscribes_denied_total" "Topic filters refused by access rules."
    DeliveriesDenied "deliveries_denied_total" "Messages not delivered because the subscriber may not read the topic."
    DroppedQueueFull "messages_dropped_queue_full_total" "Messages dropped because a subscriber's queue was at its limit."
    DroppedExpired "messages_dropped_expired_total" "Messages dropped because their expiry interval had passed."
    DroppedTooLarge "messages_dropped_too_large_total" "Messages dropped because they exceed a subscriber's maximum packet size."
    DroppedSessionEnded "messages_dropped_session_ended_total" "Messages dropped with the queue of a session that ended."
    DroppedMemory "messages_dropped_memory_total" "Messages dropped because the process was over its memory budget."
    RetainedRefused "retained_refused_total" "Retained messages not kept because a retained limit was reached."
    ThrottledPublishers "throttled_publishers_total" "Times that reading from a client paused because of a rate limit."
    SessionsCreated "sessions_created_total" "Sessions begun."
    SessionsEnded "sessions_ended_total" "Sessions ended, by the client or by expiry."
    SessionsExpired "sessions_expired_total" "Sessions ended by expiry."
    SubscriptionsAdded "subscriptions_added_total" "Subscriptions made."
    SubscriptionsRemoved "subscriptions_removed_total" "Subscriptions removed."
    WillsPublished "wills_published_total" "Will messages published."
}

/// One worker's counts. One thread writes; any thread reads.
#[derive(Debug)]
pub struct Cells {
    counts: Vec<AtomicU64>,
}

impl Default for Cells {
    fn default() -> Self {
        Cells {
            counts: Counter::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Cells {
    /// Adds `amount`. Only the owning thread may call it: two writers would lose counts, never
    /// more than that.
    #[inline]
    pub fn add(&self, counter: Counter, amount: u64) {
        let cell = &self.counts[counter as usize];
        cell.store(cell.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    /// What this worker counted.
    pub fn get(&self, counter: Counter) -> u64 {
        self.counts[counter as usize].load(Relaxed)
    }
}

/// All workers' cells.
#[derive(Debug, Default)]
pub struct Registry {
    // Locked when a worker starts and at a scrape, never per message.
    workers: Mutex<Vec<Arc<Cells>>>,
}

impl Registry {
    /// Cells for one more thread.
    pub fn cells(&self) -> Arc<Cells> {
        let cells = Arc::new(Cells::default());
        self.workers().push(cells.clone());
        cells
    }

    /// The sum over all workers.
    pub fn total(&self, counter: Counter) -> u64 {
        self.workers()
            .iter()
            .map(|cells| cells.get(counter))
            .fold(0, u64::wrapping_add)
    }

    fn workers(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Cells>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_is_the_sum_over_workers() {
        let registry = Registry::default();
        let (first, second) = (registry.cells(), registry.cells());
        first.add(Counter::BytesSent, 3);
        second.add(Counter::BytesSent, 4);
        second.add(Counter::BytesReceived, 1);
        assert_eq!(registry.total(Counter::BytesSent), 7);
        assert_eq!(second.get(Counter::BytesSent), 4);
    }

    #[test]
    fn names_are_unique_and_end_in_total() {
        let mut names: Vec<_> = Counter::ALL.iter().map(|c| c.name()).collect();
        assert!(names.iter().all(|name| name.ends_with("_total")));
        names.sort();
        names.dedup();
        assert_eq!(names.len(), Counter::ALL.len());
    }
}
