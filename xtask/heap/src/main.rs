//! Measures the heap profiler beside the tools people use today; prints one JSON object.

mod child;
mod churn;
mod figures;
mod http;
mod machine;
mod parts;
mod report;
mod stall;
mod synthetic;
mod work;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

oomen_probe::install!();

/// What to measure, or, for what is measured, which part of it to be.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure, and print what was found.
    Measure(Box<parts::Settings>),
    /// A process that is measured.
    #[command(subcommand, hide = true)]
    Work(work::Work),
}

fn main() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::Measure(settings) => {
            let report = parts::measure(&settings)?;
            println!("{}", serde_json::to_string(&report)?);
            Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Work(work) => work::run(work).map(|()| ExitCode::SUCCESS),
    }
}
