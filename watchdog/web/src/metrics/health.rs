//! Metrics of the watchdog's own work: what it finds, how long it takes, what it could not do.

use super::family::{Collect, Family, Kind, Metric, TARGET};
use crate::status::Status;

/// Characters of a function's name in a label. A name of generics within generics may have thousands; this many tell
/// one function of a program from another.
pub(super) const MAX_FUNCTION: usize = 100;

/// Cuts a name to [`MAX_FUNCTION`] characters.
fn cut(name: &str) -> &str {
    name.char_indices().nth(MAX_FUNCTION).map_or(name, |(end, _)| name.get(..end).unwrap_or(name))
}

/// The accused functions of open incidents. Of two incidents of one target, which are those of two of its processes, the
/// newer counts: two series for one target would be one more each time.
fn culprits(status: &Status, family: &mut Family<'_>) {
    let mut seen = std::collections::HashSet::new();
    for incident in status.incidents.iter().filter(|incident| !incident.state.is_closed()) {
        let target = incident.target.name.as_str();
        if let Some(culprit) = &incident.culprit
            && seen.insert(target)
        {
            family.flag(&[target, cut(&culprit.frame.function)], true);
        }
    }
}

const fn once(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    labels: &'static [(&'static str, &'static str)],
    (help, absent): (&'static str, &'static str),
    collect: fn(&Status, &mut Family<'_>),
) -> Metric {
    Metric { name, kind, unit, labels, help, absent, collect: Collect::Once(collect) }
}

pub(super) const METRICS: &[Metric] = &[
    once(
        "oomen_target_culprit_info",
        Kind::Gauge,
        "1",
        &[TARGET, ("function", "its name, cut to 100 characters")],
        (
            "The function that is accused of keeping the memory, while the incident is open; always 1.",
            "without an open incident and before the function is named",
        ),
        culprits,
    ),
    once(
        "oomen_selected_processes",
        Kind::Gauge,
        "processes",
        &[("selector", "a configured target: its name, else the process's name, pod or pid")],
        (
            "Processes that a configured target means at present; at most 16 of them are watched.",
            "before the first search",
        ),
        |status, family| {
            for selection in &status.selections {
                family.count(&[&selection.selector], selection.processes);
            }
        },
    ),
    once(
        "oomen_source_read_duration_seconds",
        Kind::Histogram,
        "seconds",
        &[("source", "proc|cgroup|allocator|requests")],
        (
            "How long reads of a source take, over all targets; failed ones count as well, except those of proc.",
            "before the first read of the source; for the allocator also while flight recorders answer, for which nobody waits",
        ),
        |status, family| {
            let reads = &status.meters.reads;
            for (source, durations) in [
                ("proc", &reads.proc),
                ("cgroup", &reads.cgroup),
                ("allocator", &reads.allocator),
                ("requests", &reads.requests),
            ] {
                if durations.count() > 0 {
                    family.durations(&[source], durations);
                }
            }
        },
    ),
    once(
        "oomen_heap_capture_duration_seconds",
        Kind::Histogram,
        "seconds",
        &[("source", "recorder|probe|go|files|after-kill")],
        (
            "How long it takes to get a heap profile, stored or only looked at; failed attempts count as well.",
            "before the first profile from the source",
        ),
        |status, family| {
            for (source, durations) in &status.meters.captures {
                family.durations(&[source], durations);
            }
        },
    ),
    once(
        "oomen_heap_naming_duration_seconds",
        Kind::Histogram,
        "seconds",
        &[],
        (
            "How long it takes to find the function that keeps the memory, its name included, whether one is found or not.",
            "never",
        ),
        |status, family| family.durations(&[], &status.meters.naming),
    ),
    once(
        "oomen_heap_dumps_unstored_total",
        Kind::Counter,
        "dumps",
        &[],
        (
            "Heap profiles that were taken and could not be stored, as the disk or the store's bounds refused; each is also in oomen_heap_captures_total as failed.",
            "never",
        ),
        |status, family| family.count(&[], status.meters.unstored),
    ),
    once(
        "oomen_heap_dumps_limit_bytes",
        Kind::Gauge,
        "bytes",
        &[],
        ("What all heap dumps together may take on disk; beyond it old ones go.", "never"),
        |status, family| family.bytes(&[], status.kept.limit),
    ),
    once(
        "oomen_state_writes_total",
        Kind::Counter,
        "writes",
        &[("outcome", "ok|error")],
        (
            "Writes of what the detectors remember over a restart; after failed ones a restart begins cold.",
            "when no state is kept, as in oomen run",
        ),
        |status, family| {
            if let Some(writes) = status.meters.state_writes {
                family.count(&["ok"], writes.ok);
                family.count(&["error"], writes.error);
            }
        },
    ),
    once(
        "oomen_scrape_duration_seconds",
        Kind::Histogram,
        "seconds",
        &[],
        ("How long answers to GET /metrics took to be made, before this one.", "never"),
        |status, family| family.durations(&[], &status.meters.scrapes),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_between_two_characters() {
        assert_eq!(cut("a::b"), "a::b");
        let long = "ö".repeat(MAX_FUNCTION + 1);
        assert_eq!(cut(&long).chars().count(), MAX_FUNCTION);
        assert_eq!(cut(&long[..2 * MAX_FUNCTION]).len(), 2 * MAX_FUNCTION);
    }

    #[test]
    fn the_catalogue_states_how_long_a_name_may_be() {
        let (_, values) = METRICS[0].labels[1];
        assert!(values.contains(&format!("{MAX_FUNCTION} characters")));
    }
}
