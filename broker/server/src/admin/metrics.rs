//! `/metrics`: what the workers counted, summed at the scrape, in Prometheus' text format.

use hyper::StatusCode;
use prometheus::proto::{self, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};

use super::Admin;
use super::reply::{self, Reply};
use super::stats::{self, Figure};
use super::{bridges, plugins};

/// The answer to a scrape.
pub fn answer(admin: &Admin) -> Reply {
    let mut text = Vec::new();
    match TextEncoder::new().encode(&families(admin), &mut text) {
        Ok(()) => reply::new(StatusCode::OK, prometheus::TEXT_FORMAT, text),
        Err(error) => reply::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn families(admin: &Admin) -> Vec<MetricFamily> {
    let counter = |figure: Figure| {
        let mut value = proto::Counter::default();
        value.set_value(figure.value);
        let mut metric = Metric::default();
        metric.set_counter(value);
        family(MetricType::COUNTER, figure.name, figure.help, metric)
    };
    let gauge = |figure: Figure| {
        let metric = gauge_metric(figure.value);
        family(MetricType::GAUGE, figure.name, figure.help, metric)
    };
    let counters = stats::counters(admin).into_iter().map(counter);
    let gauges = stats::gauges(admin).into_iter().map(gauge);
    let plugins = plugins::families(&admin.listeners.borrow().plugins().figures());
    let bridges = bridges::families(&admin.bridges.borrow().figures());
    counters
        .chain(gauges)
        .chain([build_info()])
        .chain(plugins)
        .chain(bridges)
        .collect()
}

fn build_info() -> MetricFamily {
    let mut label = LabelPair::default();
    label.set_name("version".into());
    label.set_value(env!("CARGO_PKG_VERSION").into());
    let mut metric = gauge_metric(1.0);
    metric.set_label(vec![label]);
    family(MetricType::GAUGE, "build_info", "What is running.", metric)
}

fn gauge_metric(value: f64) -> Metric {
    let mut gauge = proto::Gauge::default();
    gauge.set_value(value);
    Metric::from_gauge(gauge)
}

fn family(kind: MetricType, name: &str, help: &str, metric: Metric) -> MetricFamily {
    family_of(kind, name, help, vec![metric])
}

/// A family of metrics that their labels tell apart.
pub(super) fn family_of(
    kind: MetricType,
    name: &str,
    help: &str,
    metrics: Vec<Metric>,
) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(format!("dunlin_{name}"));
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

/// A metric that is told from others by its labels.
pub(super) fn labelled(kind: MetricType, value: f64, labels: &[(&str, &str)]) -> Metric {
    let mut metric = match kind {
        MetricType::COUNTER => {
            let mut counter = proto::Counter::default();
            counter.set_value(value);
            let mut metric = Metric::default();
            metric.set_counter(counter);
            metric
        }
        _ => gauge_metric(value),
    };
    let label = |(name, value): &(&str, &str)| {
        let mut label = LabelPair::default();
        label.set_name((*name).to_owned());
        label.set_value((*value).to_owned());
        label
    };
    metric.set_label(labels.iter().map(label).collect());
    metric
}
