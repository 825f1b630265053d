//! `$SYS/broker/...`: the broker about itself, under the names and in the words of Mosquitto.

use std::collections::HashMap;
use std::time::Duration;

use dunlin_codec::Qos;
use dunlin_metrics::Counter;
use dunlin_router::{Dispatch, Origin, Publication, Router};
use dunlin_time::Monotonic;
use dunlin_topic::TopicName;

use crate::plugin_figures::PluginFigures;

/// Publishes what has changed since the last time, retained.
#[derive(Default)]
pub struct SystemTopics {
    published: HashMap<String, String>,
    started: Monotonic,
    clients_maximum: u64,
    loads: Vec<Load>,
    last: Option<Monotonic>,
}

/// A count's growth a minute, averaged over one, five and fifteen minutes.
struct Load {
    name: &'static str,
    counters: &'static [Counter],
    before: u64,
    averages: [f64; 3],
}

const MINUTES: [(f64, &str); 3] = [(1.0, "1min"), (5.0, "5min"), (15.0, "15min")];

/// `$SYS/broker/load/...` and what it counts.
const LOADS: &[(&str, &[Counter])] = &[
    ("messages/received", &[Counter::PacketsReceived]),
    ("messages/sent", &[Counter::PublishesSent]),
    ("publish/received", &[Counter::PublishesReceived]),
    ("publish/sent", &[Counter::PublishesSent]),
    ("publish/dropped", DROPPED),
    ("bytes/received", &[Counter::BytesReceived]),
    ("bytes/sent", &[Counter::BytesSent]),
    ("sockets", &[Counter::SocketsAccepted]),
    ("connections", &[Counter::ConnectionsOpened]),
];

const DROPPED: &[Counter] = &[
    Counter::DroppedQueueFull,
    Counter::DroppedExpired,
    Counter::DroppedTooLarge,
    Counter::DroppedMemory,
];

impl SystemTopics {
    /// Counts from `started`.
    pub fn new(started: Monotonic) -> Self {
        let load = |(name, counters): &(&'static str, &'static [Counter])| Load {
            name,
            counters,
            before: 0,
            averages: [0.0; 3],
        };
        SystemTopics {
            started,
            loads: LOADS.iter().map(load).collect(),
            ..SystemTopics::default()
        }
    }

    /// Brings all topics up to date.
    pub fn publish(
        &mut self,
        router: &Router,
        resident: u64,
        plugins: &[PluginFigures],
        dispatch: &mut Dispatch,
    ) {
        let now = router.now().monotonic;
        let plugins = plugins.iter().flat_map(|plugin| {
            let faults: u64 = plugin.faults.iter().map(|(_, count)| count).sum();
            [
                (
                    format!("plugins/{}/breaker", plugin.name),
                    plugin.breaker.to_owned(),
                ),
                (
                    format!("plugins/{}/calls", plugin.name),
                    plugin.calls.to_string(),
                ),
                (
                    format!("plugins/{}/faults", plugin.name),
                    faults.to_string(),
                ),
            ]
        });
        let values = self.values(router, resident, now);
        for (topic, value) in values.into_iter().chain(plugins) {
            let topic = format!("$SYS/broker/{topic}");
            if self.published.get(&topic) == Some(&value) {
                continue;
            }
            if let Ok(name) = TopicName::new(&topic) {
                dispatch.publish(Publication {
                    topic: name,
                    publisher: 0,
                    qos: Qos::ExactlyOnce,
                    retain: true,
                    expires: None,
                    forwarded: &[],
                    payload: value.as_bytes(),
                    origin: Origin::Anyone,
                });
            }
            self.published.insert(topic, value);
        }
    }

    fn values(&mut self, router: &Router, resident: u64, now: Monotonic) -> Vec<(String, String)> {
        let total = |counter| router.metrics().total(counter);
        let connected = total(Counter::ConnectionsOpened) - total(Counter::ConnectionsClosed);
        let sessions = router.sessions() as u64;
        let away = sessions.saturating_sub(connected);
        self.clients_maximum = self.clients_maximum.max(sessions);
        let (retained, retained_bytes) = router.retained();
        let dropped: u64 = DROPPED.iter().map(|counter| total(*counter)).sum();
        let counts = [
            ("clients/connected", connected),
            ("clients/active", connected),
            ("clients/disconnected", away),
            ("clients/inactive", away),
            ("clients/total", sessions),
            ("clients/maximum", self.clients_maximum),
            ("clients/expired", total(Counter::SessionsExpired)),
            ("messages/received", total(Counter::PacketsReceived)),
            ("messages/sent", total(Counter::PublishesSent)),
            ("messages/stored", retained as u64),
            ("store/messages/count", retained as u64),
            ("store/messages/bytes", retained_bytes as u64),
            (
                "publish/messages/received",
                total(Counter::PublishesReceived),
            ),
            ("publish/messages/sent", total(Counter::PublishesSent)),
            ("publish/messages/dropped", dropped),
            (
                "publish/bytes/received",
                total(Counter::PublishBytesReceived),
            ),
            ("publish/bytes/sent", total(Counter::PublishBytesSent)),
            ("bytes/received", total(Counter::BytesReceived)),
            ("bytes/sent", total(Counter::BytesSent)),
            ("retained messages/count", retained as u64),
            ("subscriptions/count", router.subscriptions()),
            ("heap/current", resident),
        ];
        let mut values: Vec<_> = counts
            .into_iter()
            .map(|(topic, count)| (topic.to_owned(), count.to_string()))
            .collect();
        let version = concat!("dunlin version ", env!("CARGO_PKG_VERSION"));
        values.push(("version".into(), version.into()));
        let uptime = (now - self.started).as_secs();
        values.push(("uptime".into(), format!("{uptime} seconds")));
        let passed = now - self.last.replace(now).unwrap_or(self.started);
        for load in &mut self.loads {
            load.update(
                load.counters.iter().map(|counter| total(*counter)).sum(),
                passed,
            );
            for (average, (_, minutes)) in load.averages.iter().zip(MINUTES) {
                values.push((
                    format!("load/{}/{minutes}", load.name),
                    format!("{average:.2}"),
                ));
            }
        }
        values
    }
}

impl Load {
    fn update(&mut self, count: u64, passed: Duration) {
        let minutes = passed.as_secs_f64() / 60.0;
        let growth = count.wrapping_sub(std::mem::replace(&mut self.before, count));
        if minutes <= 0.0 {
            return;
        }
        let rate = growth as f64 / minutes;
        for (average, (window, _)) in self.averages.iter_mut().zip(MINUTES) {
            let keep = (-minutes / window).exp();
            *average = rate + keep * (*average - rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_load_becomes_its_average() {
        let mut load = Load {
            name: "x",
            counters: &[],
            before: 0,
            averages: [0.0; 3],
        };
        for minute in 1..=30 {
            load.update(minute * 600, Duration::from_secs(60));
        }
        assert!(
            (load.averages[0] - 600.0).abs() < 1.0,
            "{:?}",
            load.averages
        );
        assert!(load.averages[2] > 500.0, "{:?}", load.averages);
    }
}
