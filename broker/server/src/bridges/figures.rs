//! How a bridge does, for metrics and the API.

use std::sync::atomic::Ordering;

use dunlin_bridge::{Status, Traffic};

/// How a bridge or webhook does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BridgeFigures {
    /// Its name in the configuration.
    pub name: String,
    /// Whether the other broker has accepted it, or the web server took its last batch.
    pub connected: bool,
    /// Why its last connection or request failed.
    pub last_error: Option<String>,
    /// Connections to the other broker after the first.
    pub reconnects: u64,
    /// Messages above QoS 0 sent to either side and not confirmed.
    pub in_flight: u64,
    /// From this broker to the other side.
    pub outgoing: TrafficFigures,
    /// From the other side to this broker.
    pub incoming: TrafficFigures,
}

/// Messages of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrafficFigures {
    /// Taken over by the other side.
    pub messages: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// That nobody will get.
    pub dropped: u64,
    /// Left out on purpose.
    pub filtered: u64,
}

impl BridgeFigures {
    /// Those of now.
    pub fn of(name: &str, status: &Status, runs: bool) -> Self {
        BridgeFigures {
            name: name.to_owned(),
            connected: status.connected.load(Ordering::Relaxed) && runs,
            last_error: status.last_error(),
            reconnects: status.reconnects.load(Ordering::Relaxed),
            in_flight: status.in_flight.load(Ordering::Relaxed),
            outgoing: TrafficFigures::of(&status.egress),
            incoming: TrafficFigures::of(&status.ingress),
        }
    }
}

impl TrafficFigures {
    fn of(traffic: &Traffic) -> Self {
        TrafficFigures {
            messages: traffic.messages.load(Ordering::Relaxed),
            bytes: traffic.bytes.load(Ordering::Relaxed),
            dropped: traffic.dropped.load(Ordering::Relaxed),
            filtered: traffic.filtered.load(Ordering::Relaxed),
        }
    }
}
