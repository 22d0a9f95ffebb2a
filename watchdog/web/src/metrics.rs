//! `/metrics`: the whole status as one text in Prometheus' exposition format.
//!
//! Every scrape builds its families from the status it is given. No registry is kept, so a target that is gone
//! leaves no series behind and nothing here can grow.

mod catalogue;
mod family;
mod process;
mod target;

use std::collections::HashSet;

use prometheus::TextEncoder;

use crate::status::Status;
use catalogue::metrics;
use family::{Collect, Family};

pub use catalogue::catalogue_markdown;
/// Content type of what [`render`] returns.
pub use prometheus::TEXT_FORMAT as CONTENT_TYPE;

/// The exposition could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the metrics could not be encoded: {0}")]
pub struct RenderError(#[from] prometheus::Error);

/// The status as Prometheus reads it: families in the order of the catalogue, targets in the order of the status.
///
/// # Errors
/// [`RenderError`] when the encoder refuses a family.
pub fn render(status: &Status) -> Result<String, RenderError> {
    let mut seen = HashSet::new();
    // Two series with the same labels would make Prometheus refuse the whole scrape.
    let targets: Vec<_> =
        status.targets.iter().filter(|target| seen.insert(target.identity.name.as_str())).collect();
    let mut text = String::new();
    for metric in metrics() {
        let mut family = Family::new(metric);
        match metric.collect {
            Collect::Once(collect) => collect(status, &mut family),
            Collect::PerTarget(collect) => {
                for target in &targets {
                    family.of_target(&target.identity.name);
                    collect(target, &mut family);
                }
            }
        }
        // The encoder refuses a family without a sample; an absent one is simply not written.
        if let Some(family) = family.finish() {
            TextEncoder::new().encode_utf8(&[family], &mut text)?;
        }
    }
    Ok(text)
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
        let text = render(&status).expect("text");
        assert!(
            text.contains(r#"oomen_target_up{target="a\"} 1\nforged_metric 7\n\\"} 0"#),
            "{text}"
        );
        assert!(!text.lines().any(|line| line.starts_with("forged_metric")), "{text}");
    }

    #[test]
    fn two_targets_of_one_name_make_one_series() {
        let status = Status { targets: vec![named("a"), named("a")], ..Status::default() };
        let text = render(&status).expect("text");
        assert_eq!(text.matches("oomen_target_up{").count(), 1, "{text}");
    }

    #[test]
    fn a_process_that_is_gone_leaves_no_flat_line() {
        let mut target = named("a");
        target.sample = Some(Sample::default());
        target.assessment = Some(Assessment::default());
        let gone = render(&Status { targets: vec![target.clone()], ..Status::default() });
        target.up = true;
        let there = render(&Status { targets: vec![target], ..Status::default() });
        for name in ["oomen_target_memory_used_bytes{", "oomen_target_state{"] {
            assert!(there.as_ref().expect("text").contains(name), "{name}");
            assert!(!gone.as_ref().expect("text").contains(name), "{name}");
        }
        assert!(gone.expect("text").contains("oomen_target_last_sample_timestamp_seconds{"));
    }

    #[test]
    fn what_is_not_known_is_absent_and_not_zero() {
        let status = Status { targets: vec![named("a")], ..Status::default() };
        let text = render(&status).expect("text");
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
