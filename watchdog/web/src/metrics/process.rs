//! Metrics of the watchdog itself: build, deliveries, its own cost.

use super::family::{Collect, Kind, Metric};

const SINK: (&str, &str) = ("sink", "name of the sink");
const RULE_STORE: (&str, &str) = ("store", "file|kubernetes");

/// Which build it is; written first.
pub(super) const BUILD: &[Metric] = &[Metric {
    name: "oomen_build_info",
    kind: Kind::Gauge,
    unit: "1",
    labels: &[("version", "of the package"), ("revision", "commit, empty when unknown")],
    help: "The running build; always 1.",
    absent: "never",
    collect: Collect::Once(|status, family| {
        family.flag(&[&status.build.version, &status.build.commit], true);
    }),
}];

/// The others; written after those of the targets.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "oomen_deliveries_total",
        kind: Kind::Counter,
        unit: "reports",
        labels: &[SINK, ("outcome", "delivered|retried|failed|dropped")],
        help: "Reports to a sink by what became of them; retried counts attempts.",
        absent: "without sinks",
        collect: Collect::Once(|status, family| {
            for sink in &status.deliveries {
                family.count(&[&sink.name, "delivered"], sink.delivered);
                family.count(&[&sink.name, "retried"], sink.retried);
                family.count(&[&sink.name, "failed"], sink.failed);
                family.count(&[&sink.name, "dropped"], sink.dropped);
            }
        }),
    },
    Metric {
        name: "oomen_delivery_queue_length",
        kind: Kind::Gauge,
        unit: "reports",
        labels: &[SINK],
        help: "Reports that wait for delivery now.",
        absent: "without sinks",
        collect: Collect::Once(|status, family| {
            for sink in &status.deliveries {
                family.count(&[&sink.name], sink.queue_length);
            }
        }),
    },
    Metric {
        name: "oomen_delivery_queue_capacity",
        kind: Kind::Gauge,
        unit: "reports",
        labels: &[SINK],
        help: "Reports that may wait for delivery; beyond it the oldest is put aside.",
        absent: "without sinks",
        collect: Collect::Once(|status, family| {
            for sink in &status.deliveries {
                family.count(&[&sink.name], sink.capacity);
            }
        }),
    },
    Metric {
        name: "oomen_delivery_oldest_report_age_seconds",
        kind: Kind::Gauge,
        unit: "seconds",
        labels: &[SINK],
        help: "How long the report that waits longest has waited; 0 when none waits.",
        absent: "without sinks",
        collect: Collect::Once(|status, family| {
            for sink in &status.deliveries {
                family.push(&[&sink.name], sink.oldest_seconds);
            }
        }),
    },
    Metric {
        name: "oomen_delivery_last_success_timestamp_seconds",
        kind: Kind::Gauge,
        unit: "seconds",
        labels: &[SINK],
        help: "When the sink last took something, as a Unix timestamp.",
        absent: "until it has taken something since the watchdog started",
        collect: Collect::Once(|status, family| {
            for sink in &status.deliveries {
                if let Some(at) = sink.last_success {
                    family.push(&[&sink.name], at.0);
                }
            }
        }),
    },
    Metric {
        name: "oomen_delivery_dead_reports",
        kind: Kind::Gauge,
        unit: "reports",
        labels: &[SINK, ("reason", "refused|expired|crowded")],
        help: "Reports that were given up and are kept for another try: refused for good, not delivered in time, or too many waited.",
        absent: "without sinks",
        collect: Collect::Once(|status, family| {
            for sink in &status.deliveries {
                for (reason, reports) in sink.dead.iter() {
                    family.count(&[&sink.name, reason], reports);
                }
            }
        }),
    },
    Metric {
        name: "oomen_rule_writes_total",
        kind: Kind::Counter,
        unit: "writes",
        labels: &[RULE_STORE, ("outcome", "ok|failed")],
        help: "Writes of rules fitted to the targets; one that failed is tried again, and the former rules stay.",
        absent: "where no rules are kept",
        collect: Collect::Once(|status, family| {
            for rules in &status.rules {
                family.count(&[&rules.store, "ok"], rules.written);
                family.count(&[&rules.store, "failed"], rules.failed);
            }
        }),
    },
    Metric {
        name: "oomen_rule_targets",
        kind: Kind::Gauge,
        unit: "targets",
        labels: &[RULE_STORE],
        help: "Targets that had rules of their own when the rules were last written.",
        absent: "where no rules are kept",
        collect: Collect::Once(|status, family| {
            for rules in &status.rules {
                family.count(&[&rules.store], rules.groups);
            }
        }),
    },
    Metric {
        name: "oomen_heap_dumps",
        kind: Kind::Gauge,
        unit: "dumps",
        labels: &[],
        help: "Heap dumps that are kept on disk now, of all targets.",
        absent: "never",
        collect: Collect::Once(|status, family| family.count(&[], status.kept.dumps)),
    },
    Metric {
        name: "oomen_heap_dumps_bytes",
        kind: Kind::Gauge,
        unit: "bytes",
        labels: &[],
        help: "What they take together, within the bound that the configuration sets.",
        absent: "never",
        collect: Collect::Once(|status, family| family.bytes(&[], status.kept.bytes)),
    },
    Metric {
        name: "process_resident_memory_bytes",
        kind: Kind::Gauge,
        unit: "bytes",
        labels: &[],
        help: "Resident memory of the watchdog itself.",
        absent: "never",
        collect: Collect::Once(|status, family| family.bytes(&[], status.own.rss)),
    },
    Metric {
        name: "process_cpu_seconds_total",
        kind: Kind::Counter,
        unit: "seconds",
        labels: &[],
        help: "Processor time in user and system mode that the watchdog itself has used.",
        absent: "never",
        collect: Collect::Once(|status, family| family.push(&[], status.own.cpu_seconds)),
    },
    Metric {
        name: "process_virtual_memory_bytes",
        kind: Kind::Gauge,
        unit: "bytes",
        labels: &[],
        help: "Address space of the watchdog itself.",
        absent: "never",
        collect: Collect::Once(|status, family| family.bytes(&[], status.own.virtual_memory)),
    },
    Metric {
        name: "process_threads",
        kind: Kind::Gauge,
        unit: "threads",
        labels: &[],
        help: "Threads of the watchdog itself.",
        absent: "never",
        collect: Collect::Once(|status, family| family.count(&[], status.own.threads)),
    },
    Metric {
        name: "process_open_fds",
        kind: Kind::Gauge,
        unit: "file descriptors",
        labels: &[],
        help: "File descriptors that the watchdog holds open.",
        absent: "when they cannot be counted",
        collect: Collect::Once(|status, family| {
            if let Some(open) = status.own.open_fds {
                family.count(&[], open);
            }
        }),
    },
    Metric {
        name: "process_max_fds",
        kind: Kind::Gauge,
        unit: "file descriptors",
        labels: &[],
        help: "File descriptors that the watchdog may hold open.",
        absent: "when there is no bound or it cannot be read",
        collect: Collect::Once(|status, family| {
            if let Some(most) = status.own.max_fds {
                family.count(&[], most);
            }
        }),
    },
    Metric {
        name: "process_start_time_seconds",
        kind: Kind::Gauge,
        unit: "seconds",
        labels: &[],
        help: "When the watchdog started, as a Unix timestamp.",
        absent: "never",
        collect: Collect::Once(|status, family| family.push(&[], status.started.0)),
    },
];
