//! The shipped `oomen backtest` beside the replay in this process: of the same files both must say the same.
//!
//! Both read files, and a file holds less than the series it was made of. The age of a process counts from the first
//! row, so that a restart shows only by what memory does; the allocator's retained, mapped and metadata bytes and its
//! profiling are left out; times and loads have three digits. What that changes is counted beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use watchdog_collect::recording::Recording;
use watchdog_core::detector::{DetectorConfig, Level};
use watchdog_core::replay::{Replay, Replayer};
use watchdog_core::sample::Sample;
use watchdog_core::verdict::Kind;

use crate::generate::{Family, generate, to_csv};
use crate::report::{Bound, Table};

/// What both said of one made-up series of each family.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    series: usize,
    alarms: usize,
    /// Files of which the program said something else.
    different: Vec<String>,
    /// Files of which something else is said than of the series they were made of.
    lossy: Vec<String>,
}

/// A line of `oomen backtest --format json` without its file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Said {
    samples: u64,
    span_s: f64,
    verdict: Kind,
    alarms: Vec<Raised>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Raised {
    start_s: f64,
    end_s: f64,
    output: Level,
    kind: Kind,
    eta_low_s: Option<f64>,
    eta_s: Option<f64>,
    eta_high_s: Option<f64>,
}

#[derive(Deserialize)]
struct Line {
    file: String,
    #[serde(flatten)]
    said: Said,
}

/// Writes one series of each family to `dir` and asks `oomen`, the program, and the replay in this process about them.
///
/// # Errors
/// When a file cannot be written or read back, or the program does not answer.
pub fn compare(oomen: &Path, dir: &Path, seed: u64) -> Result<Compared> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let traces: Vec<_> = Family::ALL.iter().map(|family| generate(*family, seed)).collect();
    let path = |family: &str| dir.join(format!("{family}-{seed}.csv"));
    for trace in &traces {
        fs::write(path(trace.family), to_csv(trace)).context("cannot write a made-up series")?;
    }
    let theirs = ask(oomen, dir)?;
    let mut compared = Compared { series: traces.len(), ..Compared::default() };
    for trace in &traces {
        let path = path(trace.family);
        let samples: Vec<Sample> = Recording::open(&path, None)?.collect::<Result<_, _>>()?;
        let file = path.display().to_string();
        compared.count(trace.family, &said(&samples)?, theirs.get(&file), &said(&trace.samples)?);
    }
    Ok(compared)
}

impl Compared {
    fn count(&mut self, name: &str, ours: &Said, theirs: Option<&Said>, whole: &Said) {
        self.alarms += ours.alarms.len();
        if theirs != Some(ours) {
            eprintln!("{name}: here {ours:?}\n{name}: oomen backtest {theirs:?}");
            self.different.push(name.to_owned());
        }
        if !ours.resembles(whole) {
            self.lossy.push(name.to_owned());
        }
    }

    /// What was compared, and where something differs.
    pub fn table(&self) -> Table {
        let names = |of: &[String]| if of.is_empty() { "none".to_owned() } else { of.join(", ") };
        Table {
            title: "`oomen backtest` on one made-up series of each family".to_owned(),
            head: ["series", "alarms", "said otherwise", "changed by the format"]
                .map(str::to_owned)
                .to_vec(),
            rows: vec![vec![
                self.series.to_string(),
                self.alarms.to_string(),
                names(&self.different),
                names(&self.lossy),
            ]],
        }
    }

    /// That the program says the same.
    pub fn bound(&self) -> Bound {
        Bound {
            what: "series of which oomen backtest says something else".to_owned(),
            figure: self.different.len() as f64,
            bound: "at most 0".to_owned(),
            holds: self.different.is_empty(),
        }
    }
}

impl Said {
    /// Whether the same was said, at the times that a file can hold.
    fn resembles(&self, other: &Self) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() < 0.001;
        self.alarms.len() == other.alarms.len()
            && self.alarms.iter().zip(&other.alarms).all(|(a, b)| {
                (a.output, a.kind) == (b.output, b.kind)
                    && near(a.start_s, b.start_s)
                    && near(a.end_s, b.end_s)
            })
    }
}

impl From<Replay> for Said {
    fn from(replay: Replay) -> Self {
        let alarms = replay.alarms.into_iter().map(|alarm| Raised {
            start_s: alarm.start.0,
            end_s: alarm.end.0,
            output: alarm.output,
            kind: alarm.kind,
            eta_low_s: alarm.forecast.map(|forecast| forecast.low),
            eta_s: alarm.forecast.map(|forecast| forecast.estimate),
            eta_high_s: alarm.forecast.and_then(|forecast| forecast.high),
        });
        Self {
            samples: replay.samples,
            span_s: replay.span,
            verdict: replay.verdict,
            alarms: alarms.collect(),
        }
    }
}

/// What the replay says, through the same text as the program's answer: reading a number may cost its last digit.
fn said(samples: &[Sample]) -> Result<Said> {
    let mut replayer = Replayer::new(DetectorConfig::default());
    for sample in samples {
        replayer.observe(sample);
    }
    let said = serde_json::to_string(&Said::from(replayer.finish()))?;
    Ok(serde_json::from_str(&said)?)
}

fn ask(oomen: &Path, dir: &Path) -> Result<BTreeMap<String, Said>> {
    let answer = Command::new(oomen)
        .arg("backtest")
        .arg(dir)
        .args(["--format", "json"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", oomen.display()))?;
    ensure!(answer.status.success(), "oomen backtest failed ({})", answer.status);
    let lines = std::str::from_utf8(&answer.stdout)?.lines().map(|line| {
        let Line { file, said } = serde_json::from_str(line)
            .with_context(|| format!("not a line of oomen backtest: {line}"))?;
        Ok((file, said))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raised(start_s: f64, kind: Kind) -> Said {
        let alarm = Raised {
            start_s,
            end_s: 90.0,
            output: Level::Leak,
            kind,
            eta_low_s: Some(1.0),
            eta_s: Some(2.0),
            eta_high_s: None,
        };
        Said { samples: 7, span_s: 90.0, verdict: kind, alarms: vec![alarm] }
    }

    #[test]
    fn another_time_another_kind_and_silence_are_different() {
        let ours = raised(60.0, Kind::HeapLeak);
        let mut compared = Compared::default();
        compared.count("same", &ours, Some(&raised(60.0, Kind::HeapLeak)), &ours);
        compared.count("time", &ours, Some(&raised(75.0, Kind::HeapLeak)), &ours);
        compared.count("kind", &ours, Some(&raised(60.0, Kind::OffHeap)), &ours);
        compared.count("silent", &ours, None, &ours);
        assert_eq!(compared.different, ["time", "kind", "silent"]);
        assert!(!compared.bound().holds);
    }

    #[test]
    fn what_the_format_changes_is_named_but_no_failure() {
        let ours = raised(60.0, Kind::HeapLeak);
        let mut compared = Compared::default();
        compared.count("digits", &ours, Some(&ours), &raised(60.000_4, Kind::HeapLeak));
        compared.count("restart", &ours, Some(&ours), &raised(75.0, Kind::HeapLeak));
        assert_eq!(compared.lossy, ["restart"]);
        assert!(compared.bound().holds);
    }
}
