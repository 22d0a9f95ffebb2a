//! Our alerts beside the rules people run today, on recorded runs that really ended as they did, by the real engine.
//!
//! The rules see what they would in a cluster. cAdvisor's three metrics were read from the cgroup in the same moment as
//! the watchdog's; the others are the same numbers by other names: `process_resident_memory_anon_bytes` is the
//! watchdog's anonymous memory, `go_memstats_heap_inuse_bytes` what the allocator has given out,
//! `vm_available_memory_bytes` the limit, `container_memory_usage_percent` working set over limit. From the kill on
//! kube-state-metrics counts one restart, killed for memory.

mod engine;
mod record;
mod recording;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};

use super::table::markdown;
use crate::{packages, release, root};
use record::RUNS;
use recording::{Fired, Recording, Series};

const BASELINES: &str = include_str!("alerts/baselines.yaml");
/// Our rules; those on services and fleets say nothing of one container.
const OURS: &str = "oomen.rules.yaml";
/// Which of them tells of a leak.
const OUR_ALERT: &str = "OomenMemoryLeak";
const TESTS: &str = "alerts/tests";

/// On which runs.
#[derive(Debug, Clone, Args)]
pub(crate) struct AlertsArgs {
    /// Seconds between two scrapes and between two evaluations; a multiple of 5. The `PodMonitor` has 15.
    #[arg(long, default_value_t = INTERVAL, value_name = "SECONDS")]
    interval: usize,
    /// Record the runs anew before; takes a quarter of an hour, and all of them are written over.
    #[arg(long)]
    record: bool,
}

const INTERVAL: usize = 15;

impl Default for AlertsArgs {
    fn default() -> Self {
        Self { interval: INTERVAL, record: false }
    }
}

/// What fired on one run.
struct Outcome {
    name: &'static str,
    run: Recording,
    fired: Vec<Fired>,
}

pub(super) fn run(args: &AlertsArgs) -> Result<(bool, Value)> {
    packages::ensure(&packages::PROMETHEUS)?;
    let folder = root().join("target/bench/alerts");
    fs::create_dir_all(&folder)?;
    fs::copy(root().join("alerts").join(OURS), folder.join(OURS)).context(OURS)?;
    fs::write(folder.join("baselines.yaml"), BASELINES)?;
    if args.record {
        release::build()?;
        record(&folder)?;
    }
    let rules = [OURS.to_owned(), "baselines.yaml".to_owned()];
    let mut outcomes = Vec::new();
    for run in RUNS {
        let path = path(run.name);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let recording = Recording::read(&text).with_context(|| path.display().to_string())?;
        let seen = with_other_names(&recording.scraped(args.interval)?);
        let fired = engine::fired(&folder, &rules, &seen)?;
        outcomes.push(Outcome { name: run.name, run: recording, fired });
    }
    let text = tables(&outcomes, args.interval);
    println!("\n{text}");
    fs::write(folder.join("report.md"), &text)?;
    let ok = outcomes.iter().all(Outcome::holds);
    let runs: Vec<_> = outcomes.iter().map(Outcome::json).collect();
    Ok((ok, json!({ "interval_s": args.interval, "runs": runs })))
}

fn path(name: &str) -> PathBuf {
    root().join(TESTS).join(format!("recorded-{name}.test.yaml"))
}

/// All runs at once, as none of them needs more than a part of a core, and most wait.
fn record(folder: &Path) -> Result<()> {
    let rules = [OURS.to_owned()];
    let ours = fs::read_to_string(root().join("alerts").join(OURS)).context(OURS)?;
    let is_wanted = |series: &str| is_wanted(&ours, series);
    let recorded: Vec<_> = thread::scope(|scope| {
        let all = RUNS.map(|run| scope.spawn(move || run.record(&is_wanted)));
        all.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    for (run, recorded) in RUNS.iter().zip(recorded) {
        let recorded = recorded.map_err(|_| anyhow::anyhow!("{}: a panic", run.name))??;
        let fired = engine::fired(folder, &rules, &recorded)?;
        fs::write(path(run.name), recorded.write(&rules, &fired))?;
        println!("recorded: {}: {} s, {} alerts", run.name, recorded.seconds(), fired.len());
    }
    Ok(())
}

/// What the rules of others ask for beside the container's metrics.
const HEAP: &str = "oomen_target_allocator_allocated_bytes";
const KINDS: &str = "oomen_target_memory_bytes";
const ANON: &str = "kind=\"anon\"";

/// Whether a rule asks for a series. What only words an alert is left out.
fn is_wanted(rules: &str, series: &str) -> bool {
    let name = series.split('{').next().unwrap_or_default();
    let mut conditions = rules.lines().filter(|line| !line.contains("| query"));
    match name {
        HEAP => true,
        KINDS => series.contains(ANON),
        name => conditions.any(|line| line.contains(name)),
    }
}

/// The same numbers by the names that the rules of others ask for.
fn with_other_names(run: &Recording) -> Recording {
    let mut run = run.clone();
    let working_set = run.values("container_memory_working_set_bytes").unwrap_or_default().to_vec();
    let limit = run.values("container_spec_memory_limit_bytes").unwrap_or_default().to_vec();
    let percent = working_set.iter().zip(&limit);
    let percent = percent.map(|(used, limit)| Some((*used)? / (*limit)? * 100.0)).collect();
    let anon = run
        .series
        .iter()
        .find(|series| series.name.starts_with(KINDS) && series.name.contains(ANON));
    let anon = anon.map(|series| series.values.clone()).unwrap_or_default();
    let heap = run.values(HEAP).unwrap_or_default().to_vec();
    let killed: Vec<_> = match run.leak() {
        Some((_, kill)) => {
            let alive = kill / run.step + 1;
            (0..limit.len()).map(|at| Some(f64::from(u8::from(at >= alive)))).collect()
        }
        None => vec![Some(0.0); limit.len()],
    };
    for (name, values) in [
        ("container_memory_usage_percent{container=\"c\"}", percent),
        ("process_resident_memory_anon_bytes{container=\"c\"}", anon),
        ("vm_available_memory_bytes{container=\"c\"}", limit),
        ("go_memstats_heap_inuse_bytes{container=\"c\"}", heap),
        ("kube_pod_container_status_restarts_total{container=\"c\"}", killed.clone()),
        (
            "kube_pod_container_status_last_terminated_reason{container=\"c\",reason=\"OOMKilled\"}",
            killed,
        ),
    ] {
        run.series.push(Series { name: name.into(), values });
    }
    run
}

impl Outcome {
    /// When an alert fired first, of these severities.
    fn second(&self, alert: &str, severity: &str) -> Option<usize> {
        let mut fired = self.fired.iter();
        Some(fired.find(|fired| fired.alert == alert && fired.severity == severity)?.second)
    }

    /// A leak is told before the kill, and of an innocent nobody is told.
    fn holds(&self) -> bool {
        let told =
            self.fired.iter().filter(|fired| fired.alert == OUR_ALERT).map(|f| f.second).min();
        match self.run.leak() {
            Some((_, kill)) => told.is_some_and(|second| second < kill),
            None => told.is_none(),
        }
    }

    fn json(&self) -> Value {
        let fired: Vec<_> = self
            .fired
            .iter()
            .map(|f| json!({ "alert": f.alert, "severity": f.severity, "second": f.second }))
            .collect();
        let (onset, kill) = self.run.leak().unzip();
        json!({
            "run": self.name, "about": self.run.about, "seconds": self.run.seconds(),
            "onset_s": onset, "kill_s": kill, "fired": fired,
        })
    }

    /// What a table says of an alert on this run.
    fn cell(&self, alert: &str, severity: &str) -> String {
        match (self.second(alert, severity), self.run.leak()) {
            (None, _) => "–".into(),
            (Some(second), None) => format!("{second} s"),
            (Some(second), Some((_, kill))) if second > kill => "after".into(),
            (Some(second), Some((onset, kill))) => {
                format!("{} s, {} s left", second.saturating_sub(onset), kill - second)
            }
        }
    }
}

/// Each alert with its severity and how it is called.
fn alerts() -> Vec<(String, &'static str, String)> {
    let mut theirs: Vec<_> = BASELINES
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .map(|name| (name.to_owned(), "", name.to_owned()))
        .collect();
    theirs.dedup();
    let ours = [(OUR_ALERT, "warning"), (OUR_ALERT, "critical"), ("OomenMemorySuspected", "info")];
    let ours =
        ours.map(|(alert, severity)| (alert.into(), severity, format!("{alert}, {severity}")));
    ours.into_iter().chain(theirs).collect()
}

fn tables(outcomes: &[Outcome], interval: usize) -> String {
    let (leaks, innocents): (Vec<_>, Vec<_>) =
        outcomes.iter().partition(|outcome| outcome.run.leak().is_some());
    let table = |runs: &[&Outcome]| {
        let head: Vec<_> = std::iter::once("").chain(runs.iter().map(|run| run.name)).collect();
        let row = |(alert, severity, name): &(String, &str, String)| {
            let cells = runs.iter().map(|run| run.cell(alert, severity));
            std::iter::once(name.clone()).chain(cells).collect::<Vec<_>>()
        };
        markdown(&head, &alerts().iter().map(row).collect::<Vec<_>>())
    };
    format!(
        "Leaks, scraped and evaluated every {interval} s: from onset to alert, and what is left before the kill. `info` is told\n\
         nobody.\n\n{}\nInnocents: how long after the start an alert fired that should not have.\n\n{}",
        table(&leaks),
        table(&innocents)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(truth: &[Option<f64>], fired: &[(&str, &str, usize)]) -> Outcome {
        let series = Series { name: recording::TRUTH.into(), values: truth.to_vec() };
        let fired = fired.iter().map(|(alert, severity, second)| Fired {
            alert: (*alert).into(),
            severity: (*severity).into(),
            second: *second,
        });
        Outcome {
            name: "run",
            run: Recording { about: "a run".into(), step: 5, series: vec![series] },
            fired: fired.collect(),
        }
    }

    #[test]
    fn a_leak_must_be_told_before_its_kill_and_an_innocent_never() {
        let (leak, calm) = ([Some(0.0), Some(1.0), Some(1.0), Some(1.0), None], [Some(0.0); 5]);
        let told = |second| [(OUR_ALERT, "warning", second)];
        assert!(outcome(&leak, &told(10)).holds() && outcome(&calm, &[]).holds());
        for wrong in [outcome(&leak, &[]), outcome(&leak, &told(20)), outcome(&calm, &told(5))] {
            assert!(!wrong.holds());
        }
    }

    #[test]
    fn a_cell_says_how_soon_and_how_early_or_that_it_was_too_late() {
        let leak = [Some(0.0), Some(1.0), Some(1.0), Some(1.0), None];
        let run = outcome(&leak, &[("B1", "", 10), ("B3", "", 20)]);
        assert_eq!(run.cell("B1", ""), "5 s, 5 s left");
        assert_eq!((run.cell("B3", ""), run.cell("B4", "")), ("after".into(), "–".into()));
        assert_eq!(outcome(&[Some(0.0)], &[("B5", "", 10)]).cell("B5", ""), "10 s");
    }

    #[test]
    fn the_rules_of_others_are_named_once_each() {
        let names: Vec<_> = alerts().into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names.iter().filter(|name| *name == "B13").count(), 1);
        assert_eq!(names.len(), 3 + 13, "{names:?}");
    }

    #[test]
    fn what_only_words_an_alert_is_not_recorded() {
        let rules = "expr: oomen_a == 1\n{{- with printf \"oomen_b{x=%q}\" $x | query }}\n";
        let wanted = |series| is_wanted(rules, series);
        assert!(wanted("oomen_a{x=\"1\"}") && !wanted("oomen_b") && wanted(HEAP));
        assert!(wanted("oomen_target_memory_bytes{kind=\"anon\"}"));
        assert!(!wanted("oomen_target_memory_bytes{kind=\"file\"}"));
    }

    #[test]
    fn others_count_a_restart_from_the_kill_on() {
        let truth = [Some(1.0), Some(1.0), None];
        let mut run = outcome(&truth, &[]).run;
        run.series.push(Series {
            name: "container_spec_memory_limit_bytes".into(),
            values: vec![Some(4.0), Some(4.0), None],
        });
        let named = with_other_names(&run);
        let restarts = named.values("kube_pod_container_status_restarts_total");
        assert_eq!(restarts, Some([Some(0.0), Some(0.0), Some(1.0)].as_slice()));
    }
}
