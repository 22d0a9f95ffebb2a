//! The real engine: promtool evaluates rules over series as Prometheus does, `for` and `keep_firing_for` included.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::recording::{Fired, Recording, first};
use crate::sh;

const DEADLINE: Duration = Duration::from_secs(600);

/// Which alerts of the rules ever fire on the recording, and since when; the earliest first. The rules lie in `folder`.
///
/// A unit test that expects nothing is asked: what it says it got is the answer.
pub(super) fn fired(folder: &Path, rules: &[String], run: &Recording) -> Result<Vec<Fired>> {
    let files: String = rules.iter().map(|file| format!("- {file}\n")).collect();
    let (step, end) = (run.step, run.seconds());
    let test = format!(
        "rule_files:\n{files}evaluation_interval: {step}s\ntests:\n-{}  promql_expr_test:\n  \
         - expr: '{}'\n    eval_time: {end}s\n    exp_samples: []\n",
        &run.input()[1..],
        first(end, step)
    );
    let path = folder.join("run.test.yaml");
    fs::write(&path, test)?;
    let mut promtool = Command::new("promtool");
    promtool.args(["test", "rules"]).arg(&path);
    match sh::capture(&mut promtool, DEADLINE) {
        Ok(_) => Ok(Vec::new()),
        Err(error) => answer(&format!("{error:#}")),
    }
}

/// Reads `got: {alertname="A", severity="s"} 1.5E+01, {alertname="B"} 9E+00`.
fn answer(text: &str) -> Result<Vec<Fired>> {
    let Some(got) = text.lines().find_map(|line| line.trim().strip_prefix("got: ")) else {
        bail!("promtool did not evaluate it: {text}");
    };
    let mut fired = got.split(", {").map(one).collect::<Result<Vec<_>>>()?;
    fired.sort_by(|a, b| (a.second, &a.alert, &a.severity).cmp(&(b.second, &b.alert, &b.severity)));
    Ok(fired)
}

fn one(text: &str) -> Result<Fired> {
    let label = |name: &str| {
        let (_, rest) = text.split_once(&format!("{name}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let second = text.rsplit(' ').next().unwrap_or_default();
    let second: f64 = second.parse().with_context(|| format!("no number ends {text:?}"))?;
    Ok(Fired {
        alert: label("alertname").with_context(|| format!("no alert is named in {text:?}"))?,
        severity: label("severity").unwrap_or_default(),
        second: second.round() as usize,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failed_test_got_is_the_answer() {
        let text = "FAILED:\n    exp: nil\n    got: {alertname=\"B\"} 1.2E+02, {alertname=\"A\", severity=\"info\"} 9E+00\n";
        let fired = |alert: &str, severity: &str, second| Fired {
            alert: alert.into(),
            severity: severity.into(),
            second,
        };
        assert_eq!(answer(text).expect("an answer"), [fired("A", "info", 9), fired("B", "", 120)]);
    }

    #[test]
    fn a_failure_of_another_kind_is_no_answer() {
        assert!(answer("rules: parse error").is_err() && answer("got: nil").is_err());
    }
}
