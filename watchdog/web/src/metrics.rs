//! `/metrics`: the whole status as one text in Prometheus' exposition format.
//!
//! Every scrape builds its families from the status it is given. No registry is kept, so a target that is gone
//! leaves no series behind and nothing here can grow.

mod activity;
mod catalogue;
mod family;
mod health;
mod negotiation;
mod process;
mod target;
mod text;

use std::collections::HashSet;

use crate::status::Status;
use catalogue::metrics;
use family::{Collect, Family};

pub use catalogue::catalogue_markdown;
pub use negotiation::{form, takes_gzip};
pub use text::Format;

/// Series of one target at most: everything is known of it, and an incident is open. Its processes that follow each other
/// share them.
pub const SERIES_PER_TARGET: usize = 59;
/// Series of one sink at most.
pub const SERIES_PER_SINK: usize = 11;
/// Series of one store of rules at most.
pub const SERIES_PER_STORE: usize = 3;
/// Series of the watchdog itself at most, however many targets, sinks and stores of rules it has.
pub const SERIES_OF_WATCHDOG: usize = 124;

/// The status as Prometheus reads it: families in the order of the catalogue, targets in the order of the status.
pub fn render(status: &Status, format: Format) -> String {
    let mut seen = HashSet::new();
    // Two series with the same labels would make Prometheus refuse the whole scrape.
    let targets: Vec<_> =
        status.targets.iter().filter(|target| seen.insert(target.identity.name.as_str())).collect();
    let mut text = String::new();
    for metric in metrics() {
        let mut family = Family::new(metric, format, &mut text);
        match metric.collect {
            Collect::Once(collect) => collect(status, &mut family),
            Collect::PerTarget(collect) => {
                for target in &targets {
                    family.of_target(&target.identity.name);
                    collect(target, &mut family);
                }
            }
        }
    }
    text.push_str(format.end());
    text
}

#[cfg(test)]
mod tests {
    use watchdog_core::detector::Assessment;
    use watchdog_core::incident::TargetIdentity;
    use watchdog_core::sample::Sample;

    use super::*;
    use crate::status::TargetStatus;

    fn named(name: &str) -> TargetStatus {
        TargetStatus {
            identity: TargetIdentity { name: name.into(), ..Default::default() },
            ..Default::default()
        }
    }

    #[test]
    fn a_hostile_target_name_cannot_forge_a_series() {
        let status =
            Status { targets: vec![named("a\"} 1\nforged_metric 7\n\\")], ..Status::default() };
        let text = render(&status, Format::Text);
        assert!(
            text.contains(r#"oomen_target_up{target="a\"} 1\nforged_metric 7\n\\"} 0"#),
            "{text}"
        );
        assert!(!text.lines().any(|line| line.starts_with("forged_metric")), "{text}");
    }

    #[test]
    fn two_targets_of_one_name_make_one_series() {
        let status = Status { targets: vec![named("a"), named("a")], ..Status::default() };
        let text = render(&status, Format::Text);
        assert_eq!(text.matches("oomen_target_up{").count(), 1, "{text}");
    }

    #[test]
    fn a_process_that_is_gone_leaves_no_flat_line() {
        let mut target = named("a");
        target.sample = Some(Sample::default());
        target.assessment = Some(Assessment::default());
        let text =
            |target| render(&Status { targets: vec![target], ..Status::default() }, Format::Text);
        let gone = text(target.clone());
        target.up = true;
        let there = text(target);
        for name in ["oomen_target_memory_used_bytes{", "oomen_target_state{"] {
            assert!(there.contains(name), "{name}");
            assert!(!gone.contains(name), "{name}");
        }
        assert!(gone.contains("oomen_target_last_sample_timestamp_seconds{"));
    }

    #[test]
    fn what_is_not_known_is_absent_and_not_zero() {
        let status = Status { targets: vec![named("a")], ..Status::default() };
        let text = render(&status, Format::Text);
        for name in [
            "oomen_target_resident_memory_bytes",
            "oomen_target_memory_limit_bytes",
            "oomen_target_growth_bytes_per_second",
            "oomen_target_time_to_limit_seconds",
            "oomen_target_profiling_enabled",
            "oomen_target_verdict",
        ] {
            assert!(!text.contains(name), "{name} in {text}");
        }
    }
}
