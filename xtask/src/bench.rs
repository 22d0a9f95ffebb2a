//! `cargo xtask bench`: every figure the README claims, beside what it is compared to.

mod alerts;
mod cpu;
mod detect;
mod footprint;
mod heap;
mod metrics;
mod notify;
mod quiet;
mod race;
mod shop;
pub(crate) mod table;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::demo::stage::Binaries;

/// Which figures.
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchArgs {
    /// One benchmark; without a name all of them run.
    #[command(subcommand)]
    which: Option<Which>,
    /// Print one JSON object as the last line of stdout.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum Which {
    /// Does the report precede the kill, by how much, and is the function the right one?
    Race(race::RaceArgs),
    /// The same load without a fault: is anybody told anything?
    Quiet(quiet::QuietArgs),
    /// CPU and memory of the watchdog, beside two Prometheus exporters scraped in the same run.
    Footprint(footprint::FootprintArgs),
    /// The detector beside the alert rules people run: leaks caught, how early, false alarms, cost.
    Detect(detect::DetectArgs),
    /// Our alerts beside the rules people run, by Prometheus, on recorded runs: how soon, how early, false alarms.
    Alerts(alerts::AlertsArgs),
    /// The heap profiler beside the tools people use: speed, memory, the recorder, what is known after a kill.
    Heap(heap::HeapArgs),
    /// Telling people: from the decision to the wire, and sampling while all receivers hang.
    Notify(notify::NotifyArgs),
    /// A scrape of /metrics with five hundred targets, beside a bare handler that sends the same bytes.
    Metrics(metrics::MetricsArgs),
    /// The shop: browsing beside a bare handler, orders beside pgbench, and what heap profiling costs either.
    Shop(shop::ShopArgs),
}

/// Runs them; true when every bound holds.
pub(crate) fn run(args: &BenchArgs) -> Result<bool> {
    let all = [
        Which::Race(race::RaceArgs::default()),
        Which::Quiet(quiet::QuietArgs::default()),
        Which::Footprint(footprint::FootprintArgs::default()),
        Which::Detect(detect::DetectArgs::default()),
        Which::Alerts(alerts::AlertsArgs::default()),
        Which::Heap(heap::HeapArgs::default()),
        Which::Notify(notify::NotifyArgs::default()),
        Which::Metrics(metrics::MetricsArgs::default()),
        Which::Shop(shop::ShopArgs::default()),
    ];
    let chosen = args.which.clone().map_or_else(|| all.to_vec(), |one| vec![one]);
    let (mut ok, mut results) = (true, serde_json::Map::new());
    for which in &chosen {
        let (name, (passed, result)) = match which {
            Which::Race(args) => ("race", race::run(&Binaries::build()?, args)?),
            Which::Quiet(args) => ("quiet", quiet::run(&Binaries::build()?, args)?),
            Which::Footprint(args) => ("footprint", footprint::run(&Binaries::build()?, args)?),
            Which::Detect(args) => ("detect", detect::run(args)?),
            Which::Alerts(args) => ("alerts", alerts::run(args)?),
            Which::Heap(args) => ("heap", heap::run(args)?),
            Which::Notify(args) => ("notify", notify::run(args)?),
            Which::Metrics(args) => ("metrics", metrics::run(args)?),
            Which::Shop(args) => ("shop", shop::run(args)?),
        };
        ok &= passed;
        results.insert(name.into(), result);
    }
    if args.json {
        println!("{}", serde_json::to_string(&results)?);
    }
    Ok(ok)
}
