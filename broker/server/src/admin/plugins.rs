//! Plugins, in metrics and in the API.

use prometheus::proto::{MetricFamily, MetricType};
use serde_json::{Map, Value, json};

use super::Admin;
use super::metrics::{family_of, labelled};
use super::reply::{self, Reply};
use crate::plugin_figures::PluginFigures;

/// The metrics of all plugins; families that nobody has are left out.
pub fn families(plugins: &[PluginFigures]) -> Vec<MetricFamily> {
    let each = |kind, name, help, value: fn(&PluginFigures) -> f64| {
        let metrics = plugins.iter();
        let metrics =
            metrics.map(|plugin| labelled(kind, value(plugin), &[("plugin", &plugin.name)]));
        family_of(kind, name, help, metrics.collect())
    };
    let (counter, gauge) = (MetricType::COUNTER, MetricType::GAUGE);
    let families = [
        each(
            counter,
            "plugin_calls_total",
            "Calls of a plugin.",
            |plugin| plugin.calls as f64,
        ),
        faults(plugins),
        each(
            counter,
            "plugin_busy_seconds_total",
            "Time that calls of a plugin took.",
            |plugin| plugin.busy_seconds,
        ),
        each(
            counter,
            "plugin_log_lines_dropped_total",
            "Log lines that a plugin wrote too fast.",
            |plugin| plugin.log_lines_dropped as f64,
        ),
        each(
            gauge,
            "plugin_breaker_open",
            "1 while a plugin is left alone after faults.",
            |plugin| f64::from(u8::from(plugin.breaker == "open")),
        ),
        each(
            gauge,
            "plugin_instances",
            "Instances of a plugin.",
            |plugin| plugin.instances as f64,
        ),
        each(
            gauge,
            "plugin_memory_bytes",
            "Memory of a plugin's instances.",
            |plugin| plugin.memory_bytes as f64,
        ),
        values(plugins),
    ];
    let some = |family: &MetricFamily| !family.get_metric().is_empty();
    families.into_iter().filter(some).collect()
}

fn faults(plugins: &[PluginFigures]) -> MetricFamily {
    let mut metrics = Vec::new();
    for plugin in plugins {
        for (kind, count) in &plugin.faults {
            let labels = [("plugin", plugin.name.as_str()), ("kind", kind)];
            metrics.push(labelled(MetricType::COUNTER, *count as f64, &labels));
        }
    }
    let help = "Calls of a plugin that failed.";
    family_of(MetricType::COUNTER, "plugin_faults_total", help, metrics)
}

/// What plugins count themselves.
fn values(plugins: &[PluginFigures]) -> MetricFamily {
    let mut metrics = Vec::new();
    for plugin in plugins {
        for (name, value) in &plugin.numbers {
            let labels = [("plugin", plugin.name.as_str()), ("name", name)];
            metrics.push(labelled(MetricType::GAUGE, *value, &labels));
        }
    }
    let help = "What a plugin counts or measures itself.";
    family_of(MetricType::GAUGE, "plugin_value", help, metrics)
}

/// `GET plugins`.
pub fn list(admin: &Admin) -> Reply {
    let plugins = admin.listeners.borrow().plugins().figures();
    let plugins = plugins.iter().map(|plugin| {
        let faults = plugin.faults.iter();
        let faults = faults.map(|(kind, count)| ((*kind).to_owned(), (*count).into()));
        let values = plugin.numbers.iter();
        let values = values.map(|(name, value)| (name.clone(), (*value).into()));
        json!({
            "name": plugin.name,
            "class": plugin.class,
            "version": plugin.version,
            "sha256": plugin.sha256,
            "breaker": plugin.breaker,
            "calls": plugin.calls,
            "faults": faults.collect::<Map<String, Value>>(),
            "busy_seconds": plugin.busy_seconds,
            "instances": plugin.instances,
            "memory_bytes": plugin.memory_bytes,
            "values": values.collect::<Map<String, Value>>(),
        })
    });
    reply::json(&json!({ "plugins": plugins.collect::<Vec<_>>() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_name_the_plugin_and_nothing_without_one() {
        assert!(families(&[]).is_empty());
        let plugin = PluginFigures {
            name: "one".into(),
            breaker: "open",
            calls: 3,
            faults: vec![("trap", 2)],
            ..PluginFigures::default()
        };
        let families = families(&[plugin]);
        let text = prometheus::TextEncoder::new().encode_to_string(&families);
        let text = text.expect("metrics");
        for line in [
            "dunlin_plugin_calls_total{plugin=\"one\"} 3",
            "dunlin_plugin_faults_total{kind=\"trap\",plugin=\"one\"} 2",
            "dunlin_plugin_breaker_open{plugin=\"one\"} 1",
        ] {
            let line_sorted = line.replace(
                "kind=\"trap\",plugin=\"one\"",
                "plugin=\"one\",kind=\"trap\"",
            );
            assert!(
                text.contains(line) || text.contains(&line_sorted),
                "{line} in {text}"
            );
        }
        assert!(!text.contains("plugin_value"), "{text}");
    }
}
