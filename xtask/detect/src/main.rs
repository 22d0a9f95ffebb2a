//! Measures the detector and the rules people run today on the same series; prints one JSON object.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use clap::Parser;
use rayon::prelude::*;
use xtask_detect::generate::{Family, generate};
use xtask_detect::judge::Judged;
use xtask_detect::report::Report;
use xtask_detect::{backtest, cost, recorded};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What to measure on.
#[derive(Debug, Parser)]
struct Args {
    /// Seeds of each family.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first of them; those below 2000 were used for tuning.
    #[arg(long, default_value_t = 2000)]
    first_seed: u64,
    /// Directory of recorded series with an index.csv.
    #[arg(long, value_name = "DIR")]
    traces: Option<PathBuf>,
    /// Where pictures of misses and false alarms go.
    #[arg(long, value_name = "DIR")]
    pictures: PathBuf,
    /// The program whose `backtest` must say the same as the replay here.
    #[arg(long, value_name = "PROGRAM", requires = "samples")]
    oomen: Option<PathBuf>,
    /// Where the made-up series go that it is asked about.
    #[arg(long, value_name = "DIR")]
    samples: Option<PathBuf>,
    /// Targets whose cost is measured side by side.
    #[arg(long, default_value_t = 10_000)]
    targets: usize,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    for directory in std::iter::once(&args.pictures).chain(&args.samples) {
        empty(directory)?;
    }
    // Before the threads: the processor's caches are part of the cost.
    let cost = cost::measure(args.targets)?;
    let seeds = args.first_seed..args.first_seed + args.seeds;
    let wanted: Vec<(Family, u64)> =
        Family::ALL.iter().flat_map(|family| seeds.clone().map(|seed| (*family, seed))).collect();
    let progress = Progress::new("made-up series", wanted.len());
    let mut judged = wanted
        .par_iter()
        .map(|(family, seed)| {
            let trace = generate(*family, *seed);
            let name = seed.to_string();
            let judged = Judged::new(
                family.name(),
                &name,
                "made up",
                Some(trace.truth),
                &trace.samples,
                &args.pictures,
            );
            progress.step();
            judged
        })
        .collect::<Result<Vec<_>>>()?;
    if let Some(dir) = &args.traces {
        judged.extend(recorded::judge(dir, &args.pictures)?);
    }
    let mut report = Report::new(&judged, [seeds.start, seeds.end.saturating_sub(1)], cost);
    if let Some((oomen, samples)) = args.oomen.as_ref().zip(args.samples.as_ref()) {
        let compared = backtest::compare(oomen, samples, args.first_seed)?;
        report.tables.push(compared.table());
        report.bounds.push(compared.bound());
    }
    println!("{}", serde_json::to_string(&report)?);
    let holds = report.bounds.iter().all(|bound| bound.holds);
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A directory with nothing in it: files of an earlier run would be taken for this one's.
fn empty(directory: &Path) -> Result<()> {
    if directory.exists() {
        std::fs::remove_dir_all(directory)
            .with_context(|| format!("cannot clear {}", directory.display()))?;
    }
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))
}

/// Tells on stderr how far it is, every tenth.
struct Progress {
    what: &'static str,
    all: usize,
    done: AtomicUsize,
}

impl Progress {
    fn new(what: &'static str, all: usize) -> Self {
        Self { what, all, done: AtomicUsize::new(0) }
    }

    fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of((self.all / 10).max(1)) {
            eprintln!("{}: {done} of {}", self.what, self.all);
        }
    }
}
