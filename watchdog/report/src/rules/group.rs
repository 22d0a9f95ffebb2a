//! The rules of one target: growth above its record, too little room for its usual peaks, nothing known of it.
//!
//! They follow the detector where PromQL can: the lower envelope instead of the values, a record that must be exceeded,
//! growth that does not slow down, no claim further ahead than twice what was looked at. What they have instead of its
//! sureness of the slope is what the target's own noise could make of a flat line.

use std::collections::BTreeMap;

use watchdog_core::envelope::BUCKETS;
use watchdog_core::fit::Scale;
use watchdog_core::units::Bytes;

use crate::rules::{Annotations, Group, Rule, Selector, TargetFit};

const RUNBOOKS: &str = "https://github.com/oomen-rs/oomen/blob/main/alerts/runbooks/";

/// A new high exceeds the record by this share of the limit, and by this share of the range that the envelope has moved
/// in: the detector's own margins.
const ABOVE_RECORD: f64 = 0.01;
const BEYOND_RANGE: f64 = 0.25;
/// Growth over a window below this share of the limit can wait for a longer window; growth that had to exceed this one
/// to stand out from the target's own noise would be told too late to be of use.
const MATERIAL: f64 = 0.03;
const TOO_NOISY: f64 = 0.25;
/// Share of the limit that must be in use, peaks included, as long as a day and a half is not known, and from then on.
const GATE: f64 = 0.85;
const SEASONED_GATE: f64 = 0.75;
const SEASONED_SECONDS: f64 = 1.5 * 86_400.0;
/// The second half of a window must climb at this share of the first half's pace. An exponential approach that passes
/// has a sixth of its way left to overshoot by at most.
const STILL_CLIMBING: f64 = 0.75;
/// Windows that a forecast looks ahead.
const HORIZON: u64 = 2;
/// Share of the limit that is kept free where peaks need less: above 90 % a process is in danger whatever it did before.
const LEAST_ROOM: f64 = 0.10;

/// The rules of one target; `None` while nothing is known that would fit it: no limit, or not watched for long enough.
pub fn group(fit: &TargetFit, selector: &Selector) -> Option<Group> {
    let limit = fit.limit.filter(|limit| limit.0 > 0)?;
    let series = selector.series(fit);
    let subject = Subject { fit, limit, series: &series };
    let mut rules: Vec<Rule> =
        [subject.growth(), subject.headroom()].into_iter().flatten().collect();
    if rules.is_empty() {
        return None;
    }
    rules.extend(subject.unwatched());
    Some(Group { name: format!("oomen-fitted {}", fit.target), rules })
}

struct Subject<'a> {
    fit: &'a TargetFit,
    limit: Bytes,
    series: &'a str,
}

impl Subject<'_> {
    /// The envelope is above its record, rises by more than noise, does not slow down, and hits the limit soon.
    fn growth(&self) -> Option<Rule> {
        let windows: Vec<String> =
            self.fit.fit.scales.iter().filter_map(|scale| self.rises(scale)).collect();
        if windows.is_empty() {
            return None;
        }
        let limit = self.limit;
        let record = self.fit.fit.scales.iter().map(|scale| scale.record).max()?;
        Some(self.rule(
            "OomenFittedGrowth",
            "warning",
            windows.join("\nor\n"),
            Some("5m"),
            "A process's memory grows above all that it has lived at and will hit its limit.",
            &format!(
                "has grown above the {record} that it had lived at. At this pace its peaks reach the limit of {limit} \
                 in {{{{ $value | humanizeDuration }}}}."
            ),
        ))
    }

    /// Seconds until peaks touch the limit, while it grows on this time scale. `None` where it moves too much by itself
    /// to tell.
    fn rises(&self, scale: &Scale) -> Option<String> {
        let limit = self.limit.as_f64();
        let buckets = BUCKETS as u64;
        let width = bucket(scale);
        // A random walk of such steps wanders as far over a window.
        let noise = scale.step.as_f64() * (BUCKETS as f64).sqrt();
        let rise = noise.max(limit * MATERIAL);
        let seasoned = self.fit.fit.watched >= SEASONED_SECONDS;
        let gate = if seasoned { SEASONED_GATE } else { GATE };
        let top = limit - scale.swing.as_f64();
        let level = self.beyond(scale).max(limit * gate - scale.swing.as_f64());
        if rise > limit * TOO_NOISY || level >= top {
            return None;
        }
        let window = width * buckets;
        let (span, horizon) = (span(window), window * HORIZON);
        let (low, then) = (self.low(width, 0), self.low(width, window));
        let middle = self.low(width, window / 2);
        let step = self::span(width);
        Some(format!(
            "(\n  clamp_min(({top:.0} - {low}) / deriv({low}[{span}:{step}]), 0) < {horizon}\n    \
             and {low} > {level:.0}\n    \
             and {low} - {then} > {rise:.0}\n    \
             and {low} - {middle} > {STILL_CLIMBING} * ({middle} - {then})\n)"
        ))
    }

    /// The envelope leaves less room below the limit than the usual peaks take, at a level above its record.
    fn headroom(&self) -> Option<Rule> {
        let scale = self.fit.fit.scales.first()?;
        let limit = self.limit.as_f64();
        let need = scale.swing.as_f64().max(limit * LEAST_ROOM);
        let level = self.beyond(scale).max(limit - need);
        if level >= limit {
            return None;
        }
        let width = bucket(scale);
        let (low, series, step) = (self.low(width, 0), self.series, span(width));
        // The first value after a gap is no minimum of anything. No `for`: a minimum has lasted.
        let expr =
            format!("{low} > {level:.0}\n  and present_over_time({series}[{step}] offset {step})");
        let (whole, record, need) = (self.limit, scale.record, Bytes(need as u64));
        Some(self.rule(
            "OomenFittedHeadroom",
            "critical",
            expr,
            None,
            "A process has less memory left below its limit than its usual peaks take.",
            &format!(
                "no longer falls below {{{{ $value | humanize1024 }}}}B of its limit of {whole}. It has lived at {record} \
                 at most, and {need} are to be kept free for its peaks: the next one may have it killed."
            ),
        ))
    }

    /// The series is gone. The rules go with their target, so it is there and not seen.
    fn unwatched(&self) -> Option<Rule> {
        let scale = self.fit.fit.scales.first()?;
        let (series, step) = (self.series, span(bucket(scale)));
        Some(self.rule(
            "OomenFittedUnwatched",
            "warning",
            format!("absent_over_time({series}[{step}])"),
            Some("10m"),
            "Nothing is known of the memory of a process that was watched.",
            "is no longer in any series: neither its growth nor its end would be announced.",
        ))
    }

    /// The lower envelope's last point, `offset` seconds ago.
    fn low(&self, width: u64, offset: u64) -> String {
        let (series, width) = (self.series, span(width));
        match offset {
            0 => format!("min_over_time({series}[{width}])"),
            _ => format!("min_over_time({series}[{width}] offset {})", span(offset)),
        }
    }

    /// The level above which the envelope is where it has never been.
    fn beyond(&self, scale: &Scale) -> f64 {
        let range = (scale.record - scale.lowest).as_f64();
        scale.record.as_f64() + (range * BEYOND_RANGE).max(self.limit.as_f64() * ABOVE_RECORD)
    }

    fn rule(
        &self,
        alert: &str,
        severity: &str,
        expr: String,
        hold: Option<&str>,
        summary: &str,
        predicate: &str,
    ) -> Rule {
        let target = literal(&self.fit.target);
        let description = format!(
            "The memory of {target}{{{{ with $labels.pod }}}} on {{{{ $labels.namespace }}}}/{{{{ . }}}}\
             {{{{ else }}}}{{{{ with $labels.instance }}}} on {{{{ . }}}}{{{{ end }}}}{{{{ end }}}} {predicate}"
        );
        Rule {
            alert: alert.to_owned(),
            expr,
            hold: hold.map(str::to_owned),
            keep_firing_for: (alert == "OomenFittedGrowth").then(|| "10m".to_owned()),
            labels: BTreeMap::from([
                ("severity".into(), severity.into()),
                ("target".into(), target),
            ]),
            annotations: Annotations {
                summary: summary.to_owned(),
                description,
                runbook_url: format!("{RUNBOOKS}{}.md", alert.to_lowercase()),
            },
        }
    }
}

/// Seconds of a bucket of that window, whole as PromQL wants them.
fn bucket(scale: &Scale) -> u64 {
    (scale.window / BUCKETS as f64).round().max(1.0) as u64
}

/// A span as PromQL writes it: `1h8m12s`.
fn span(seconds: u64) -> String {
    [(86_400, u64::MAX, "d"), (3600, 24, "h"), (60, 60, "m"), (1, 60, "s")]
        .into_iter()
        .map(|(unit, of, name)| (seconds / unit % of, name))
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count}{name}"))
        .collect()
}

/// A text that Prometheus' templates give back as it is.
fn literal(text: &str) -> String {
    text.replace('{', "{{\"{\"}}")
}

#[cfg(test)]
mod tests {
    use watchdog_core::fit::Fit;

    use super::*;

    const LIMIT: Option<Bytes> = Some(Bytes::from_mib(1000));

    fn scale(window: f64, record: u64, step: u64, swing: u64) -> Scale {
        let bytes = Bytes::from_mib;
        Scale {
            window,
            lowest: bytes(record.min(400)),
            record: bytes(record),
            step: bytes(step),
            swing: bytes(swing),
        }
    }

    fn fit(scales: &[Scale]) -> TargetFit {
        let fit = Fit { watched: 1e6, scales: scales.to_vec() };
        TargetFit { target: "orders".into(), limit: LIMIT, fit, ..TargetFit::default() }
    }

    fn alerts(fit: &TargetFit) -> Vec<String> {
        let group = group(fit, &Selector::default());
        group.into_iter().flat_map(|group| group.rules).map(|rule| rule.alert).collect()
    }

    fn expr(fit: &TargetFit, alert: &str) -> String {
        let group = group(fit, &Selector::default()).expect("a group");
        group.rules.into_iter().find(|rule| rule.alert == alert).expect(alert).expr
    }

    const ALL: [&str; 3] = ["OomenFittedGrowth", "OomenFittedHeadroom", "OomenFittedUnwatched"];

    #[test]
    fn nothing_is_said_of_a_target_that_is_not_known() {
        assert_eq!(alerts(&fit(&[])), Vec::<String>::new());
        let known = fit(&[scale(4096.0, 400, 1, 10)]);
        assert_eq!(alerts(&known), ALL);
        for limit in [None, Some(Bytes(0))] {
            assert_eq!(alerts(&TargetFit { limit, ..known.clone() }), Vec::<String>::new());
        }
    }

    #[test]
    fn a_window_in_which_the_target_moves_too_much_by_itself_is_left_out() {
        let noisy = scale(4096.0, 400, 100, 10);
        let quiet = scale(65_536.0, 400, 5, 10);
        assert_eq!(alerts(&fit(&[noisy])), ALL[1..]);
        let both = expr(&fit(&[noisy, quiet]), ALL[0]);
        assert_eq!(both, expr(&fit(&[quiet]), ALL[0]));
        let two = expr(&fit(&[scale(4096.0, 400, 1, 10), quiet]), ALL[0]);
        assert!(two.contains(")\nor\n(") && two.ends_with(&both), "{two}");
    }

    #[test]
    fn thresholds_are_the_targets_own() {
        let mib = |mib: f64| format!(" > {:.0}\n", mib * 1024.0 * 1024.0);
        let growth =
            |record, step, swing| expr(&fit(&[scale(4096.0, record, step, swing)]), ALL[0]);
        // Above the gate less the peaks, or above the record and its margin.
        assert!(growth(400, 1, 10).contains(&mib(740.0)));
        assert!(growth(800, 1, 10).contains(&mib(900.0)));
        // By more than the detector's share of the limit, or than noise.
        assert!(growth(400, 1, 10).contains(&mib(30.0)));
        assert!(growth(400, 20, 10).contains(&mib(20.0 * 12f64.sqrt())));
        let headroom = |record, swing| expr(&fit(&[scale(4096.0, record, 1, swing)]), ALL[1]);
        assert!(headroom(400, 10).contains(&mib(900.0)));
        assert!(headroom(400, 300).contains(&mib(700.0)));
        assert!(headroom(400, 700).contains(&mib(410.0)), "its record");
    }

    #[test]
    fn who_lives_at_the_limit_is_not_told_of_it() {
        assert_eq!(alerts(&fit(&[scale(4096.0, 995, 1, 1)])), Vec::<String>::new());
    }

    #[test]
    fn less_is_asked_of_growth_once_the_target_is_known_for_a_day_and_a_half() {
        let young = |watched| {
            let mut fit = fit(&[scale(4096.0, 400, 1, 0)]);
            fit.fit.watched = watched;
            expr(&fit, ALL[0])
        };
        assert!(young(86_400.0).contains(" > 891289600\n"), "{}", young(86_400.0));
        assert!(young(2.0 * 86_400.0).contains(" > 786432000\n"));
    }

    #[test]
    fn spans_are_written_as_promql_reads_them() {
        for (seconds, text) in
            [(1, "1s"), (60, "1m"), (4092, "1h8m12s"), (1_000_000, "11d13h46m40s")]
        {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_target_named_like_a_template_is_no_template() {
        let fit =
            TargetFit { target: "a{{ $value }}{".into(), ..fit(&[scale(4096.0, 400, 1, 10)]) };
        let group = group(&fit, &Selector::default()).expect("a group");
        for rule in group.rules {
            assert_eq!(rule.labels["target"], "a{{\"{\"}}{{\"{\"}} $value }}{{\"{\"}}");
            assert!(rule.annotations.description.contains(&rule.labels["target"]));
            assert!(rule.expr.contains("target=\"a{{ $value }}{\""), "PromQL is no template");
        }
    }
}
