//! The race against the kill: many rounds of the demo at several rates.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use services_engines::fault::UNBOUNDED_CACHE;

use crate::bench::table::{least, markdown, median};
use crate::demo::round::{Outcome, Plan, play};
use crate::demo::stage::{Binaries, Stage};

/// How many rounds, at which rates.
#[derive(Debug, Clone, Args)]
pub(crate) struct RaceArgs {
    /// Rounds at each rate.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Rates in MB (10^6 bytes) per second.
    #[arg(long, value_delimiter = ',', default_values_t = [5, 20, 50])]
    rates: Vec<u64>,
    /// The service's limit in MiB.
    #[arg(long, default_value_t = 256)]
    limit_mib: u64,
    /// Rounds at a time, each with its own service, cgroup, watchdog, load and Slack.
    #[arg(long, default_value_t = 4)]
    parallel: usize,
}

impl Default for RaceArgs {
    fn default() -> Self {
        Self { rounds: 20, rates: vec![5, 20, 50], limit_mib: 256, parallel: 4 }
    }
}

/// At this rate and below, the first report must lead by half of the time from leak to kill.
const LEAD_RATE: u64 = 5;
const LEAD_SHARE: f64 = 0.5;

pub(super) fn run(binaries: &Binaries, args: &RaceArgs) -> Result<(bool, Value)> {
    let queue: Vec<u64> =
        args.rates.iter().flat_map(|&rate| std::iter::repeat_n(rate, args.rounds)).collect();
    let played = play_all(binaries, args, &queue)?;
    let (mut rows, mut results, mut ok) = (Vec::new(), Vec::new(), true);
    for &rate in &args.rates {
        let outcomes: Vec<_> =
            played.iter().filter(|(at, _)| *at == rate).map(|(_, outcome)| outcome).collect();
        let figures = Figures::of(&outcomes);
        ok &= figures.hold(rate, args.rounds);
        rows.push(figures.row(rate, args.rounds));
        results.push(json!({ "rate_mb_per_s": rate, "rounds": outcomes }));
    }
    let head = [
        "leak",
        "report first",
        "culprit right",
        "first report",
        "full report",
        "kill",
        "lead, median",
        "lead, least",
        "least lead of run-up",
    ];
    println!("{}", markdown(&head, &rows));
    Ok((ok, Value::Array(results)))
}

/// Plays a round for each rate of the queue, several at a time.
fn play_all(binaries: &Binaries, args: &RaceArgs, queue: &[u64]) -> Result<Vec<(u64, Outcome)>> {
    let next = AtomicUsize::new(0);
    let worker = || -> Result<Vec<(u64, Outcome)>> {
        let mut played = Vec::new();
        while let Some(&rate) = queue.get(next.fetch_add(1, Ordering::Relaxed)) {
            let limit = args.limit_mib << 20;
            let plan = Plan { fault: &UNBOUNDED_CACHE, rate: rate * 1_000_000, limit };
            let outcome = play(&mut Stage::alone(binaries, limit)?, &plan, &mut |_| {})?;
            eprintln!("{rate} MB/s: {}", serde_json::to_string(&outcome)?);
            played.push((rate, outcome));
        }
        Ok(played)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..args.parallel.max(1)).map(|_| scope.spawn(worker)).collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.join().map_err(|_| anyhow::anyhow!("a round panicked"))??);
        }
        Ok(all)
    })
}

struct Figures {
    first: usize,
    right: usize,
    first_s: Vec<f64>,
    full_s: Vec<f64>,
    kill_s: Vec<f64>,
    lead_s: Vec<f64>,
    share: Vec<f64>,
}

impl Figures {
    fn of(outcomes: &[&Outcome]) -> Self {
        let column = |field: fn(&Outcome) -> Option<f64>| {
            outcomes.iter().filter_map(|outcome| field(outcome)).collect()
        };
        Self {
            first: outcomes.iter().filter(|o| o.lead_s.is_some_and(|lead| lead > 0.0)).count(),
            right: outcomes
                .iter()
                .filter(|o| o.culprit.is_some() && o.culprit == o.culprit_expected)
                .count(),
            first_s: column(|o| o.first_report_s),
            full_s: column(|o| o.full_report_s),
            kill_s: column(|o| o.kill_s),
            lead_s: column(|o| o.lead_s),
            share: column(|o| o.lead_s.zip(o.kill_s).map(|(lead, kill)| lead / kill)),
        }
    }

    fn hold(&self, rate: u64, rounds: usize) -> bool {
        let led = rate > LEAD_RATE || least(&self.share) >= LEAD_SHARE;
        self.first == rounds && self.right == rounds && led
    }

    fn row(&self, rate: u64, rounds: usize) -> Vec<String> {
        let seconds = |values: &[f64]| format!("{:.1} s", median(values));
        vec![
            format!("{rate} MB/s"),
            format!("{} of {rounds}", self.first),
            format!("{} of {rounds}", self.right),
            seconds(&self.first_s),
            seconds(&self.full_s),
            seconds(&self.kill_s),
            seconds(&self.lead_s),
            format!("{:.1} s", least(&self.lead_s)),
            format!("{:.0} %", least(&self.share) * 100.0),
        ]
    }
}
