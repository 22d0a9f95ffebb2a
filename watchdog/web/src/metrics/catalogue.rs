//! The list of all metrics, and its printed form.

use std::fmt::Write as _;

use super::family::Metric;
use super::{
    SERIES_OF_WATCHDOG, SERIES_PER_SINK, SERIES_PER_STORE, SERIES_PER_TARGET, activity, health,
    process, target,
};

/// All metrics in the order in which they are written.
pub(super) fn metrics() -> impl Iterator<Item = &'static Metric> {
    process::BUILD
        .iter()
        .chain(target::METRICS)
        .chain(activity::METRICS)
        .chain(health::METRICS)
        .chain(process::METRICS)
}

/// The catalogue as Markdown; `docs/metrics.md` is this text.
pub fn catalogue_markdown() -> String {
    let mut text = format!(
        "# Metrics\n\n\
         What `GET /metrics` of the watchdog serves. This page is generated from the code; \
         `UPDATE_GOLDEN=1 cargo test -p watchdog-web` writes it anew.\n\n\
         A value that is not known is absent, never zero. Sizes are bytes, times are seconds, \
         timestamps count from the Unix epoch.\n\n\
         The form is Prometheus' text format 0.0.4, or OpenMetrics 1.0 for a scraper that names it in `Accept` and wants \
         it at least as much; both say the same. Answers of 32 KiB and more are compressed with gzip where \
         `Accept-Encoding` takes it.\n\n\
         A target has at most **{SERIES_PER_TARGET} series**, whatever its process does and however often it is \
         replaced by the next. A sink has at most {SERIES_PER_SINK}, a store of rules {SERIES_PER_STORE}, a configured target one more \
         (`oomen_selected_processes`), and the watchdog itself at most {SERIES_OF_WATCHDOG}. Of incidents, heap dumps \
         and processes there is no label.\n\n\
         | name | type | unit | labels | meaning | absent |\n\
         |---|---|---|---|---|---|\n",
    );
    for metric in metrics() {
        let kind = metric.kind.as_str();
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

    use super::super::family::Kind;
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
