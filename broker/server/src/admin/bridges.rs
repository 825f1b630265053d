//! Bridges, in metrics and in the API.

use prometheus::proto::{MetricFamily, MetricType};
use serde_json::{Value, json};

use super::Admin;
use super::metrics::{family_of, labelled};
use super::reply::{self, Reply};
use crate::bridges::{BridgeFigures, TrafficFigures};

/// The metrics of all bridges.
pub fn families(bridges: &[BridgeFigures]) -> Vec<MetricFamily> {
    if bridges.is_empty() {
        return Vec::new();
    }
    let each = |kind, name, help, value: fn(&BridgeFigures) -> u64| {
        let metrics = bridges.iter();
        let metrics =
            metrics.map(|bridge| labelled(kind, value(bridge) as f64, &[("bridge", &bridge.name)]));
        family_of(kind, name, help, metrics.collect())
    };
    let traffic = |name, help, value: fn(&TrafficFigures) -> u64| {
        let kind = MetricType::COUNTER;
        let both = bridges.iter().flat_map(|bridge| {
            let metric = |direction, traffic| {
                let labels = [("bridge", bridge.name.as_str()), ("direction", direction)];
                labelled(kind, value(traffic) as f64, &labels)
            };
            [
                metric("out", &bridge.outgoing),
                metric("in", &bridge.incoming),
            ]
        });
        family_of(kind, name, help, both.collect())
    };
    vec![
        each(
            MetricType::GAUGE,
            "bridge_connected",
            "1 while the other broker is connected.",
            |bridge| bridge.connected.into(),
        ),
        each(
            MetricType::GAUGE,
            "bridge_in_flight",
            "Messages of a bridge sent and not confirmed.",
            |bridge| bridge.in_flight,
        ),
        each(
            MetricType::COUNTER,
            "bridge_reconnects_total",
            "Connections of a bridge after its first.",
            |bridge| bridge.reconnects,
        ),
        traffic(
            "bridge_messages_total",
            "Messages that the other side of a bridge has taken over.",
            |traffic| traffic.messages,
        ),
        traffic(
            "bridge_bytes_total",
            "Bytes of the messages that the other side of a bridge has taken over.",
            |traffic| traffic.bytes,
        ),
        traffic(
            "bridge_dropped_total",
            "Messages of a bridge that nobody will get: QoS 0 while the other side was away, too \
             large, expired, or refused.",
            |traffic| traffic.dropped,
        ),
        traffic(
            "bridge_filtered_total",
            "Messages that a bridge left out: by its map, or as it had carried them before.",
            |traffic| traffic.filtered,
        ),
    ]
}

/// `GET bridges`.
pub fn list(admin: &Admin) -> Reply {
    let bridges = admin.bridges.borrow().figures();
    let bridges = bridges.iter().map(|bridge| {
        json!({
            "name": bridge.name,
            "connected": bridge.connected,
            "last_error": bridge.last_error,
            "reconnects": bridge.reconnects,
            "in_flight": bridge.in_flight,
            "out": direction(&bridge.outgoing),
            "in": direction(&bridge.incoming),
        })
    });
    reply::json(&json!({ "bridges": bridges.collect::<Vec<_>>() }))
}

fn direction(traffic: &TrafficFigures) -> Value {
    json!({
        "messages": traffic.messages,
        "bytes": traffic.bytes,
        "dropped": traffic.dropped,
        "filtered": traffic.filtered,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_name_the_bridge_and_the_direction() {
        assert!(families(&[]).is_empty());
        let bridge = BridgeFigures {
            name: "cloud".into(),
            connected: true,
            outgoing: TrafficFigures {
                messages: 3,
                ..TrafficFigures::default()
            },
            ..BridgeFigures::default()
        };
        let text = prometheus::TextEncoder::new().encode_to_string(&families(&[bridge]));
        let text = text.expect("metrics");
        for line in [
            "dunlin_bridge_connected{bridge=\"cloud\"} 1",
            "dunlin_bridge_messages_total{bridge=\"cloud\",direction=\"out\"} 3",
            "dunlin_bridge_messages_total{bridge=\"cloud\",direction=\"in\"} 0",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
