//! Metrics of each target: its memory, and what is concluded from it.

use watchdog_core::detector::{Assessment, Level};
use watchdog_core::sample::{Allocator, Sample};
use watchdog_core::units::Bytes;

use super::family::{Collect, Family, Kind, Metric, TARGET};
use crate::status::TargetStatus;

const BOUND: (&str, &str) = ("bound", "low|estimate|high");
pub(super) const UNSEEN: &str = "before the first sample and when the process is gone";
const NO_ALLOCATOR: &str = "while the process offers no allocator statistics";

/// A gauge with only the label `target`.
pub(super) const fn gauge(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    absent: &'static str,
    collect: fn(&TargetStatus, &mut Family<'_>),
) -> Metric {
    let collect = Collect::PerTarget(collect);
    Metric { name, kind: Kind::Gauge, unit, labels: &[TARGET], help, absent, collect }
}

/// A metric with more labels.
pub(super) const fn labelled(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    labels: &'static [(&'static str, &'static str)],
    (help, absent): (&'static str, &'static str),
    collect: fn(&TargetStatus, &mut Family<'_>),
) -> Metric {
    Metric { name, kind, unit, labels, help, absent, collect: Collect::PerTarget(collect) }
}

/// The last sample of a process that is still there: what a dead one used is no flat line.
pub(super) fn sample(target: &TargetStatus) -> Option<Sample> {
    target.sample.filter(|_| target.up)
}

/// What is concluded of a process that is still there.
fn assessment(target: &TargetStatus) -> Option<&Assessment> {
    target.assessment.as_ref().filter(|_| target.up)
}

fn allocator(target: &TargetStatus, family: &mut Family<'_>, field: fn(&Allocator) -> Bytes) {
    if let Some(allocator) = sample(target).and_then(|sample| sample.allocator) {
        family.bytes(&[], field(&allocator));
    }
}

pub(super) const METRICS: &[Metric] = &[
    gauge(
        "oomen_target_up",
        "0 or 1",
        "Whether the process was there at the last look.",
        "never",
        |target, family| family.flag(&[], target.up),
    ),
    labelled(
        "oomen_target_memory_bytes",
        Kind::Gauge,
        "bytes",
        &[TARGET, ("kind", "anon|file|shmem|swap")],
        ("Memory of the process by kind; anon, file and shmem are resident.", UNSEEN),
        |target, family| {
            let Some(memory) = sample(target).map(|sample| sample.memory) else { return };
            family.bytes(&["anon"], memory.anon);
            family.bytes(&["file"], memory.file);
            family.bytes(&["shmem"], memory.shmem);
            family.bytes(&["swap"], memory.swap);
        },
    ),
    gauge(
        "oomen_target_resident_memory_bytes",
        "bytes",
        "All resident pages of the process (VmRSS).",
        UNSEEN,
        |target, family| {
            if let Some(sample) = sample(target) {
                family.bytes(&[], sample.memory.rss);
            }
        },
    ),
    gauge(
        "oomen_target_memory_used_bytes",
        "bytes",
        "What counts against the limit and cannot be reclaimed: anonymous memory, swap and shared memory.",
        UNSEEN,
        |target, family| {
            if let Some(sample) = sample(target) {
                family.bytes(&[], sample.used());
            }
        },
    ),
    gauge(
        "oomen_target_memory_limit_bytes",
        "bytes",
        "The limit whose crossing kills.",
        "when no limit is known",
        |target, family| {
            if let Some(limit) = sample(target).and_then(|sample| sample.limit) {
                family.bytes(&[], limit);
            }
        },
    ),
    labelled(
        "oomen_target_limit_source",
        Kind::Gauge,
        "1",
        &[TARGET, ("source", "explicit|cgroup|downward-api")],
        (
            "Who set the limit: the user, the kernel's cgroup, or Kubernetes' Downward API; always 1, only the source that holds is there.",
            "when no limit is known",
        ),
        |target, family| {
            if let Some(source) = target.limit_source.as_deref().filter(|_| target.up) {
                family.flag(&[source], true);
            }
        },
    ),
    gauge(
        "oomen_target_cgroup_usage_bytes",
        "bytes",
        "What the memory controller counts, page cache included.",
        "when the cgroup cannot be read or sets no limit",
        |target, family| {
            if let Some(cgroup) = sample(target).and_then(|sample| sample.cgroup) {
                family.bytes(&[], cgroup.usage);
            }
        },
    ),
    gauge(
        "oomen_target_allocator_allocated_bytes",
        "bytes",
        "Bytes the program asked its allocator for and still holds.",
        NO_ALLOCATOR,
        |target, family| allocator(target, family, |allocator| allocator.allocated),
    ),
    gauge(
        "oomen_target_allocator_active_bytes",
        "bytes",
        "Bytes in pages that hold at least one allocation.",
        NO_ALLOCATOR,
        |target, family| allocator(target, family, |allocator| allocator.active),
    ),
    gauge(
        "oomen_target_allocator_resident_bytes",
        "bytes",
        "Bytes the allocator keeps resident: active pages, dirty pages, metadata.",
        NO_ALLOCATOR,
        |target, family| allocator(target, family, |allocator| allocator.resident),
    ),
    gauge(
        "oomen_target_allocator_retained_bytes",
        "bytes",
        "Bytes of address space the allocator keeps for reuse; not resident.",
        NO_ALLOCATOR,
        |target, family| allocator(target, family, |allocator| allocator.retained),
    ),
    gauge(
        "oomen_target_allocator_mapped_bytes",
        "bytes",
        "Bytes in extents that the allocator has mapped.",
        NO_ALLOCATOR,
        |target, family| allocator(target, family, |allocator| allocator.mapped),
    ),
    gauge(
        "oomen_target_allocator_metadata_bytes",
        "bytes",
        "Bytes the allocator uses for itself.",
        NO_ALLOCATOR,
        |target, family| allocator(target, family, |allocator| allocator.metadata),
    ),
    gauge(
        "oomen_target_profiling_enabled",
        "0 or 1",
        "Whether the process's heap profiling is on; without it no function can be named.",
        NO_ALLOCATOR,
        |target, family| {
            if let Some(allocator) = sample(target).and_then(|sample| sample.allocator) {
                family.flag(&[], allocator.profiling);
            }
        },
    ),
    gauge(
        "oomen_target_flight_recorder",
        "0 or 1",
        "Whether the process writes a flight recorder, so that its heap profile outlives a kill.",
        "never",
        |target, family| family.flag(&[], target.recorder),
    ),
    gauge(
        "oomen_target_recorder_lost_samples",
        "samples",
        "Sampled allocations of the process that its flight recorder had no room for; more than 0 and profiles are incomplete.",
        "without a flight recorder",
        |target, family| {
            if target.recorder {
                family.push(&[], target.lost_samples as f64);
            }
        },
    ),
    gauge(
        "oomen_target_recorder_fill_ratio",
        "ratio",
        "How full the fullest part of the flight recorder was when last read: of its stacks, their frames, or its live objects; near 1 it begins to lose samples.",
        "without a flight recorder and before it was first read",
        |target, family| {
            if let Some(fill) = target.recorder_fill.filter(|_| target.recorder) {
                family.push(&[], fill);
            }
        },
    ),
    gauge(
        "oomen_target_probe_up",
        "0 or 1",
        "Whether the probe answered when last asked for the allocator's statistics, over HTTP or through the flight recorder.",
        "without a probe, before it was first asked and when the process is gone",
        |target, family| {
            if let Some(answers) = target.probe.filter(|_| target.up) {
                family.flag(&[], answers);
            }
        },
    ),
    gauge(
        "oomen_target_requests_up",
        "0 or 1",
        "Whether the request counter could be read at the last try.",
        "while no request counter is named, before it was first read and when the process is gone",
        |target, family| {
            if let Some(answers) = target.counter.filter(|_| target.up) {
                family.flag(&[], answers);
            }
        },
    ),
    gauge(
        "oomen_target_last_capture_timestamp_seconds",
        "seconds",
        "When a heap profile was last taken, stored or only looked at, as a Unix timestamp.",
        "before the first heap profile",
        |target, family| {
            if let Some(at) = target.last_capture {
                family.push(&[], at.0);
            }
        },
    ),
    labelled(
        "oomen_target_growth_bytes_per_second",
        Kind::Gauge,
        "bytes per second",
        &[TARGET, BOUND],
        (
            "How fast memory grows, with the 95 % bounds; negative when it shrinks.",
            "before a trend is known",
        ),
        |target, family| {
            let Some(trend) = assessment(target).and_then(|a| a.trend) else { return };
            family.push(&["low"], trend.low.0);
            family.push(&["estimate"], trend.slope.0);
            family.push(&["high"], trend.high.0);
        },
    ),
    labelled(
        "oomen_target_time_to_limit_seconds",
        Kind::Gauge,
        "seconds",
        &[TARGET, BOUND],
        (
            "Time until the limit is hit if growth goes on, as an interval: low is the soonest.",
            "without growth, a trend or a limit, and beyond thirty days; high also when growth may stop before",
        ),
        |target, family| {
            let Some(forecast) = assessment(target).and_then(|a| a.forecast) else {
                return;
            };
            family.push(&["low"], forecast.low);
            family.push(&["estimate"], forecast.estimate);
            if let Some(high) = forecast.high {
                family.push(&["high"], high);
            }
        },
    ),
    labelled(
        "oomen_target_state",
        Kind::Gauge,
        "0 or 1",
        &[TARGET, ("state", "calm|suspect|leak|imminent")],
        ("How dangerous it is: 1 for the state that holds, 0 for the others.", UNSEEN),
        |target, family| {
            let Some(assessment) = assessment(target) else { return };
            for level in Level::ALL {
                family.flag(&[level.as_str()], assessment.level == level);
            }
        },
    ),
    labelled(
        "oomen_target_verdict",
        Kind::Gauge,
        "1",
        &[
            TARGET,
            ("verdict", "undecided|steady|heap-leak|fragmentation|off-heap|page-cache|tmpfs|load"),
        ],
        ("What kind of growth it is: always 1; only the verdict that holds is there.", UNSEEN),
        |target, family| {
            if let Some(assessment) = assessment(target) {
                family.flag(&[assessment.verdict.kind.as_str()], true);
            }
        },
    ),
];
