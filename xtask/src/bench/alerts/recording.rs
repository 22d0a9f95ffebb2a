//! A recorded run as a unit test of promtool: the series as they were scraped, and which alerts fire on them, since when.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail};

/// 1 while a leak is on, 0 while none is, absent once the process has ended: what the run really was.
pub(super) const TRUTH: &str = "run_leaking";

/// One series: its name with labels, and its value at each scrape; none where it was not there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) values: Vec<Option<f64>>,
}

/// A run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Recording {
    /// What was run.
    pub(super) about: String,
    /// Seconds between two scrapes.
    pub(super) step: usize,
    pub(super) series: Vec<Series>,
}

/// An alert that fired: its name with the severity, and since which second of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fired {
    pub(super) alert: String,
    pub(super) severity: String,
    pub(super) second: usize,
}

impl Recording {
    /// Seconds from the first scrape to the last.
    pub(super) fn seconds(&self) -> usize {
        let scrapes = self.series.iter().map(|series| series.values.len()).max().unwrap_or(0);
        scrapes.saturating_sub(1) * self.step
    }

    /// Values of the series whose name with labels begins so.
    pub(super) fn values(&self, start: &str) -> Option<&[Option<f64>]> {
        let series = self.series.iter().find(|series| series.name.starts_with(start))?;
        Some(&series.values)
    }

    /// From which second on it leaked, and at which it was killed: the last one at which it was seen.
    pub(super) fn leak(&self) -> Option<(usize, usize)> {
        let truth = self.values(TRUTH)?;
        let onset = truth.iter().position(|value| *value == Some(1.0))?;
        let end = truth.iter().rposition(Option::is_some)?;
        Some((onset * self.step, end * self.step))
    }

    /// What a Prometheus has of it that scrapes every `interval` seconds.
    pub(super) fn scraped(&self, interval: usize) -> Result<Self> {
        if interval == 0 || !interval.is_multiple_of(self.step) {
            bail!("{}: scraped every {} s, not every {interval}", self.about, self.step);
        }
        let thin = |series: &Series| Series {
            name: series.name.clone(),
            values: series.values.iter().step_by(interval / self.step).copied().collect(),
        };
        let series = self.series.iter().map(thin).collect();
        Ok(Self { about: self.about.clone(), step: interval, series })
    }

    /// As `input_series` of promtool.
    pub(super) fn input(&self) -> String {
        let mut text = format!("  interval: {}s\n  input_series:\n", self.step);
        for Series { name, values } in &self.series {
            // A string in single quotes, so that the quotes of labels stay as they are.
            let _ = writeln!(text, "  - series: '{name}'\n    values: '{}'", notation(values));
        }
        text
    }

    /// The file: rules beside it, the series, and all that fires on them.
    pub(super) fn write(&self, rules: &[String], fired: &[Fired]) -> String {
        let rules: String = rules.iter().map(|rules| format!("- ../{rules}\n")).collect();
        let expected: String = fired.iter().map(Fired::expected).collect();
        let expected = if expected.is_empty() { " []\n".into() } else { format!("\n{expected}") };
        let Self { about, step, .. } = self;
        let end = self.seconds();
        let query = first(end, *step);
        format!(
            "# Recorded from a real run by `cargo xtask bench alerts --record`. Times of day count from the first scrape, as promtool's\n\
             # do. Below the series: every alert that fires in the whole run, and since which second.\n\
             rule_files:\n{rules}evaluation_interval: {step}s\n\ntests:\n- name: '{about}'\n{}  promql_expr_test:\n  \
             - expr: '{query}'\n    eval_time: {end}s\n    exp_samples:{expected}",
            self.input()
        )
    }

    /// Reads what [`Recording::write`] wrote; the expectations are left out.
    pub(super) fn read(text: &str) -> Result<Self> {
        let mut recording = Self::default();
        let quoted = |rest: &str| rest.trim().trim_matches('\'').to_owned();
        for line in text.lines() {
            let line = line.trim();
            if let Some(name) = line.strip_prefix("- name: ") {
                recording.about = quoted(name);
            } else if let Some(step) = line.strip_prefix("interval: ") {
                recording.step = step.trim_end_matches('s').parse().context("interval")?;
            } else if let Some(name) = line.strip_prefix("- series: ") {
                recording.series.push(Series { name: quoted(name), values: Vec::new() });
            } else if let Some(values) = line.strip_prefix("values: ") {
                let series = recording.series.last_mut().context("values before a series")?;
                series.values = parse(&quoted(values)).with_context(|| series.name.clone())?;
            }
        }
        if recording.step == 0 || recording.series.is_empty() {
            bail!("no series, or no interval");
        }
        Ok(recording)
    }
}

impl Fired {
    fn expected(&self) -> String {
        let Self { alert, severity, second } = self;
        let labels = match severity.as_str() {
            "" => format!("{{alertname=\"{alert}\"}}"),
            severity => format!("{{alertname=\"{alert}\", severity=\"{severity}\"}}"),
        };
        format!("    - labels: '{labels}'\n      value: {second}\n")
    }
}

/// Since when each alert has fired that ever did until `end`; alerts that are told differently count as one.
pub(super) fn first(end: usize, step: usize) -> String {
    format!(
        "min by (alertname, severity) (min_over_time(timestamp(ALERTS{{alertstate=\"firing\"}})[{}s:{step}s]))",
        end + 1
    )
}

/// promtool's notation: equal values and gaps as one, and a stale marker where a series ends, as a scrape leaves one.
fn notation(values: &[Option<f64>]) -> String {
    let mut words = Vec::new();
    for run in values.chunk_by(|a, b| a == b) {
        match (run.first().copied().flatten(), run.len()) {
            (Some(value), 1) => words.push(format!("{value}")),
            (Some(value), times) => words.push(format!("{value}x{}", times - 1)),
            (None, times) if words.is_empty() => words.push(format!("_x{times}")),
            (None, 1) => words.push("stale".into()),
            (None, times) => words.push(format!("stale _x{}", times - 1)),
        }
    }
    words.join(" ")
}

fn parse(text: &str) -> Result<Vec<Option<f64>>> {
    let mut values = Vec::new();
    for word in text.split_whitespace() {
        let (value, times) = match word.split_once('x') {
            Some((value, times)) => (value, Some(times.parse::<usize>().context("times")?)),
            None => (word, None),
        };
        match value {
            "_" => values.extend(std::iter::repeat_n(None, times.unwrap_or(1))),
            "stale" => values.push(None),
            value => {
                let value = value.parse().with_context(|| format!("{value:?}"))?;
                values.extend(std::iter::repeat_n(Some(value), times.unwrap_or(0) + 1));
            }
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording() -> Recording {
        let series = |name: &str, values: &[Option<f64>]| Series {
            name: name.into(),
            values: values.to_vec(),
        };
        Recording {
            about: "a leak".into(),
            step: 5,
            series: vec![
                series("up{job=\"oomen\"}", &[Some(1.0); 6]),
                series("x", &[None, None, Some(0.5), Some(0.5), Some(-3.0), None]),
                series(TRUTH, &[Some(0.0), Some(1.0), Some(1.0), Some(1.0), None, None]),
            ],
        }
    }

    #[test]
    fn equal_values_are_one_word_and_the_end_of_a_series_is_marked() {
        let text = recording().input();
        assert!(text.contains("  - series: 'x'\n    values: '_x2 0.5x1 -3 stale'\n"), "{text}");
        assert!(text.contains("values: '1x5'"), "{text}");
    }

    #[test]
    fn what_was_written_is_read_again() {
        let fired = Fired { alert: "A".into(), severity: "info".into(), second: 10 };
        let text = recording().write(&["a.rules.yaml".into()], &[fired]);
        assert!(
            text.contains("- labels: '{alertname=\"A\", severity=\"info\"}'\n      value: 10\n")
        );
        assert_eq!(Recording::read(&text).expect("its own text"), recording());
        assert!(recording().write(&[], &[]).ends_with("exp_samples: []\n"));
    }

    #[test]
    fn the_leak_begins_and_ends_where_the_truth_says_so() {
        assert_eq!(recording().leak(), Some((5, 15)));
        let innocent = Recording { series: recording().series[..2].to_vec(), ..recording() };
        assert_eq!((innocent.leak(), innocent.seconds()), (None, 25));
    }

    #[test]
    fn scraped_less_often_it_has_fewer_values_and_never_more() {
        let slow = recording().scraped(10).expect("a multiple");
        assert_eq!(slow.values("x"), Some([None, Some(0.5), Some(-3.0)].as_slice()));
        assert!(recording().scraped(7).is_err() && recording().scraped(0).is_err());
    }

    #[test]
    fn text_that_is_no_recording_is_refused() {
        for text in ["", "  interval: 5s\n", "values: 'q'\n", "- series: 'x'\n  values: 'q'\n"] {
            assert!(Recording::read(text).is_err(), "{text:?}");
        }
    }
}
