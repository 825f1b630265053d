//! `/metrics`: what the workers counted, summed at the scrape, in Prometheus' text format.

use dunlin_metrics::Counter;
use hyper::StatusCode;
use prometheus::proto::{self, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};

use super::reply::{self, Reply};
use super::{Admin, stats};

/// The answer to a scrape.
pub fn answer(admin: &Admin) -> Reply {
    let mut text = Vec::new();
    match TextEncoder::new().encode(&families(admin), &mut text) {
        Ok(()) => reply::new(StatusCode::OK, prometheus::TEXT_FORMAT, text),
        Err(error) => reply::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// Read from the cells of all workers: nothing is counted a second time for this.
fn families(admin: &Admin) -> Vec<MetricFamily> {
    let total = |counter: &Counter| {
        let mut value = proto::Counter::default();
        value.set_value(admin.router.metrics().total(*counter) as f64);
        let mut metric = Metric::default();
        metric.set_counter(value);
        family(MetricType::COUNTER, counter.name(), counter.help(), metric)
    };
    let gauge = |gauge: stats::Gauge| {
        let metric = gauge_metric(gauge.value);
        family(MetricType::GAUGE, gauge.name, gauge.help, metric)
    };
    let mut families: Vec<_> = Counter::ALL.iter().map(total).collect();
    families.extend(
        stats::gauges(&admin.router, &admin.admissions)
            .into_iter()
            .map(gauge),
    );
    families.push(build_info());
    families
}

fn build_info() -> MetricFamily {
    let mut label = LabelPair::default();
    label.set_name("version".into());
    label.set_value(env!("CARGO_PKG_VERSION").into());
    let mut metric = gauge_metric(1);
    metric.set_label(vec![label]);
    family(MetricType::GAUGE, "build_info", "What is running.", metric)
}

fn gauge_metric(value: u64) -> Metric {
    let mut gauge = proto::Gauge::default();
    gauge.set_value(value as f64);
    Metric::from_gauge(gauge)
}

fn family(kind: MetricType, name: &str, help: &str, metric: Metric) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(format!("dunlin_{name}"));
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(vec![metric]);
    family
}
