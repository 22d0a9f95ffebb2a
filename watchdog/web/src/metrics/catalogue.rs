//! The list of all metrics, and its printed form.

use std::fmt::Write as _;

use super::family::{Kind, Metric};
use super::{process, target};

/// All metrics in the order in which they are written.
pub(super) fn metrics() -> impl Iterator<Item = &'static Metric> {
    process::BUILD.iter().chain(target::METRICS).chain(process::METRICS)
}

/// The catalogue as Markdown; `docs/metrics.md` is this text.
pub fn catalogue_markdown() -> String {
    let mut text = String::from(
        "# Metrics\n\n\
         What `GET /metrics` of the watchdog serves. This page is generated from the code; \
         `UPDATE_GOLDEN=1 cargo test -p watchdog-web` writes it anew.\n\n\
         A value that is not known is absent, never zero. Sizes are bytes, times are seconds, \
         timestamps count from the Unix epoch.\n\n\
         | name | type | unit | labels | meaning | absent |\n\
         |---|---|---|---|---|---|\n",
    );
    for metric in metrics() {
        let kind = match metric.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|(name, values)| format!("`{name}`: {}", values.replace('|', ", ")))
            .collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join("; ") };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {kind} | {} | {labels} | {} | {} |",
            metric.name, metric.unit, metric.help, metric.absent
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_name_is_there_once_and_counters_alone_end_in_total() {
        let mut seen = HashSet::new();
        for metric in metrics() {
            assert!(seen.insert(metric.name), "{} twice", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter);
        }
    }
}
