//! Results: a line of JSON each, or an aligned table of one row.

use crate::crowd::Pattern;
use crate::histogram::Histogram;
use crate::traffic::Pace;
use serde::Serialize;
use std::time::Duration;

/// Of message traffic.
#[derive(Debug, Serialize)]
pub struct TrafficReport {
    /// How publishers and subscribers met.
    pub pattern: Pattern,
    /// How many published.
    pub publishers: u32,
    /// How many subscribed.
    pub subscribers: u32,
    /// 0, 1 or 2.
    pub qos: u8,
    /// 3, 4 (MQTT 3.1.1) or 5.
    pub protocol_level: u8,
    /// Whether the subscribers' sessions outlive their connections.
    pub persistent: bool,
    /// Length of a payload.
    pub payload_bytes: usize,
    /// When publishers sent.
    pub pace: Pace,
    /// Length of the measured section.
    pub seconds: f64,
    /// Deliveries in the measured section.
    pub deliveries: u64,
    /// Messages in the measured section that the broker has taken over (QoS > 0).
    pub acknowledged: u64,
    /// What the broker's process wrote to disks for each of them, in bytes.
    pub broker_written_bytes: Option<f64>,
    /// The broker's CPU time for each delivery, in microseconds.
    pub broker_cpu_us: Option<f64>,
    /// The load generator's.
    pub our_cpu_us: f64,
    /// From the intended moment of sending to delivery.
    pub latency: Option<Latency>,
    /// From there to the last acknowledgement (QoS > 0).
    pub acknowledgement: Option<Latency>,
    /// Messages in the whole run.
    pub sent: u64,
    /// Deliveries in the whole run.
    pub delivered: u64,
    /// Deliveries that never came, or out of order.
    pub lost: u64,
    /// Deliveries that came twice, or after they were given up.
    pub repeated: u64,
}

/// Of idle connections.
#[derive(Debug, Serialize)]
pub struct IdleReport {
    /// How many.
    pub connections: usize,
    /// Up to CONNACK.
    pub connects_per_second: f64,
    /// The broker's CPU time for each, up to CONNACK, in microseconds.
    pub connect_cpu_us: f64,
    /// From there up to SUBACK.
    pub subscribe_cpu_us: f64,
    /// The broker's resident memory for each, in bytes.
    pub connection_bytes: f64,
}

/// Of SUBSCRIBE.
#[derive(Debug, Serialize)]
pub struct SubscribeReport {
    /// How many.
    pub subscriptions: u32,
    /// The broker's CPU time for each, in microseconds.
    pub broker_cpu_us: Option<f64>,
    /// From SUBSCRIBE to SUBACK.
    pub latency: Option<Latency>,
}

/// Percentiles in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    /// Half are at most this.
    pub p50_us: f64,
    /// 99 of 100 are at most this.
    pub p99_us: f64,
    /// 999 of 1,000 are at most this.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
}

impl Latency {
    /// The percentiles of `histogram`, unless it is empty.
    pub fn of(histogram: &Histogram) -> Option<Latency> {
        let us = |latency: Duration| latency.as_secs_f64() * 1e6;
        Some(Latency {
            p50_us: us(histogram.percentile(0.5)?),
            p99_us: us(histogram.percentile(0.99)?),
            p999_us: us(histogram.percentile(0.999)?),
            max_us: us(histogram.longest()?),
        })
    }
}

/// Names and values of a report, in the order of its fields; what a report does
/// not have is left out.
pub type Columns = Vec<(&'static str, String)>;

/// What can be shown.
pub trait Report: Serialize {
    /// Its table.
    fn columns(&self) -> Columns;

    /// Whether the broker kept its promises.
    fn is_complete(&self) -> bool {
        true
    }
}

impl Report for TrafficReport {
    fn columns(&self) -> Columns {
        let mut columns = vec![
            ("pattern", format!("{:?}", self.pattern).to_lowercase()),
            ("publishers", self.publishers.to_string()),
            ("subscribers", self.subscribers.to_string()),
            ("QoS", self.qos.to_string()),
            ("payload", self.payload_bytes.to_string()),
            (
                "deliveries/s",
                format!("{:.0}", self.deliveries as f64 / self.seconds),
            ),
            ("our us", format!("{:.2}", self.our_cpu_us)),
        ];
        columns.extend(
            self.broker_cpu_us
                .map(|us| ("broker us", format!("{us:.2}"))),
        );
        columns.extend(self.latency.iter().flat_map(Latency::columns));
        if let Some(latency) = &self.acknowledgement {
            columns.push(("ack p50 us", format!("{:.0}", latency.p50_us)));
            columns.push(("ack p99 us", format!("{:.0}", latency.p99_us)));
        }
        if let Some(bytes) = self.broker_written_bytes {
            columns.push(("written", format!("{bytes:.0}")));
        }
        columns.push(("lost", self.lost.to_string()));
        columns.push(("repeated", self.repeated.to_string()));
        columns
    }

    fn is_complete(&self) -> bool {
        self.repeated == 0 && (self.qos == 0 || self.lost == 0)
    }
}

impl Report for IdleReport {
    fn columns(&self) -> Columns {
        vec![
            ("connections", self.connections.to_string()),
            ("connects/s", format!("{:.0}", self.connects_per_second)),
            ("connect us", format!("{:.1}", self.connect_cpu_us)),
            ("subscribe us", format!("{:.1}", self.subscribe_cpu_us)),
            ("bytes", format!("{:.0}", self.connection_bytes)),
        ]
    }
}

impl Report for SubscribeReport {
    fn columns(&self) -> Columns {
        let mut columns = vec![("subscriptions", self.subscriptions.to_string())];
        columns.extend(
            self.broker_cpu_us
                .map(|us| ("broker us", format!("{us:.2}"))),
        );
        columns.extend(self.latency.iter().flat_map(Latency::columns));
        columns
    }
}

impl Latency {
    fn columns(&self) -> Columns {
        vec![
            ("p50 us", format!("{:.0}", self.p50_us)),
            ("p99 us", format!("{:.0}", self.p99_us)),
            ("p99.9 us", format!("{:.0}", self.p999_us)),
            ("max us", format!("{:.0}", self.max_us)),
        ]
    }
}

/// A heading and a row, aligned.
pub fn table(columns: &Columns) -> String {
    let mut lines = [String::new(), String::new()];
    for (name, value) in columns {
        let width = name.len().max(value.len()) + 2;
        lines[0] += &format!("{name:>width$}");
        lines[1] += &format!("{value:>width$}");
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_the_widest() {
        let columns = vec![("a", "1000".to_owned()), ("longer", "2".to_owned())];
        assert_eq!(table(&columns), "     a  longer\n  1000       2");
    }

    #[test]
    fn an_empty_histogram_has_no_percentiles() {
        let mut histogram = Histogram::default();
        assert!(Latency::of(&histogram).is_none());
        histogram.record(2_000);
        assert_eq!(Latency::of(&histogram).map(|l| l.p99_us), Some(2.0));
    }
}
