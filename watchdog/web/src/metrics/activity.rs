//! Metrics of each target: how it is looked at, and what has happened.

use super::family::{Kind, Metric, TARGET};
use super::target::{UNSEEN, gauge, labelled, sample};

pub(super) const METRICS: &[Metric] = &[
    gauge(
        "oomen_target_last_sample_timestamp_seconds",
        "seconds",
        "When memory was last read, as a Unix timestamp.",
        "before the first sample",
        |target, family| {
            if let Some(sample) = target.sample {
                family.push(&[], sample.wall.0);
            }
        },
    ),
    gauge(
        "oomen_target_sample_interval_seconds",
        "seconds",
        "Time between two looks at present; it shrinks with the headroom.",
        "never",
        |target, family| family.push(&[], target.sample_interval),
    ),
    labelled(
        "oomen_target_sample_delay_seconds_total",
        Kind::Counter,
        "seconds",
        &[TARGET],
        (
            "How much later than intended looks began, summed up, the duration of the look before included; its rate over that of oomen_source_reads_total{source=\"proc\"} is the mean.",
            "never",
        ),
        |target, family| family.push(&[], target.delays.total_seconds),
    ),
    gauge(
        "oomen_target_sample_delay_max_seconds",
        "seconds",
        "How much later than intended a look began at most, since the watchdog started.",
        "never",
        |target, family| family.push(&[], target.delays.longest_seconds),
    ),
    gauge(
        "oomen_target_requests_per_second",
        "requests per second",
        "Requests that the process serves, from its own counter; growth that follows them is no leak.",
        "while no request counter is named or its rate is not known",
        |target, family| {
            if let Some(load) = sample(target).and_then(|sample| sample.load) {
                family.push(&[], load);
            }
        },
    ),
    gauge(
        "oomen_target_start_time_seconds",
        "seconds",
        "When the process started or became another program, as a Unix timestamp rounded to a second.",
        UNSEEN,
        |target, family| {
            if let Some(sample) = sample(target) {
                family.push(&[], (sample.wall.0 - sample.age).round());
            }
        },
    ),
    labelled(
        "oomen_target_oom_kills_total",
        Kind::Counter,
        "kills",
        &[TARGET],
        ("Kills by the kernel for memory, as far as seen.", "never"),
        |target, family| family.count(&[], target.oom_kills),
    ),
    labelled(
        "oomen_source_reads_total",
        Kind::Counter,
        "reads",
        &[TARGET, ("source", "proc|cgroup|allocator|requests"), ("outcome", "ok|error")],
        ("Reads of a source; a failed one is a gap in the series.", "never"),
        |target, family| {
            let reads = target.reads;
            for (source, count) in [
                ("proc", reads.proc),
                ("cgroup", reads.cgroup),
                ("allocator", reads.allocator),
                ("requests", reads.requests),
            ] {
                family.count(&[source, "ok"], count.ok);
                family.count(&[source, "error"], count.error);
            }
        },
    ),
    labelled(
        "oomen_heap_captures_total",
        Kind::Counter,
        "captures",
        &[TARGET, ("outcome", "ok|failed|skipped")],
        (
            "Heap profiles wanted by what became of them: ok ones are stored, failed ones could not be taken or not be stored, skipped ones were not tried, to spare the process.",
            "never",
        ),
        |target, family| {
            family.count(&["ok"], target.captures.ok);
            family.count(&["failed"], target.captures.failed);
            family.count(&["skipped"], target.captures.skipped);
        },
    ),
    labelled(
        "oomen_incidents_total",
        Kind::Counter,
        "incidents",
        &[TARGET, ("state", "suspected|confirmed|imminent|recovered|killed|gone")],
        (
            "Incidents that reached the state; one incident counts under each state it went through.",
            "never",
        ),
        |target, family| {
            for (state, count) in target.incidents.iter() {
                family.count(&[state.as_str()], count);
            }
        },
    ),
];
