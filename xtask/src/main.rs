//! The repository's own commands: demo, test, bench and the rules (tidy).

mod bench;
mod dashboards;
mod demo;
mod http;
mod interrupt;
mod packages;
mod release;
mod sh;
mod shop;
mod soak;
mod test;
mod tidy;
mod visitor;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The repository's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the watchdog catch a leak: a real service, a real limit, a real kill.
    Demo(demo::DemoArgs),
    /// Open the shop: seven services with a storefront page at one address, until Ctrl-C. DATABASE_URL, REDIS_URL and
    /// AMQP_URL put it on servers instead of files; the other variables of docs/shop.md go through as well.
    Shop(shop::Options),
    /// Run the whole shop at rest and under steady load, with the watchdog as the judge of whether it leaks.
    Soak(soak::Options),
    /// Measure every figure the README claims.
    Bench(bench::BenchArgs),
    /// Install what the tests need and run every test; the last line is `N passed, N failed`.
    Test(test::Options),
    /// Write dashboards/*.json from dashboards/source/.
    Dashboards(dashboards::Options),
    /// Check the repository's own rules.
    Tidy(tidy::Options),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args).map(passed),
        Command::Shop(options) => shop::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Soak(options) => soak::run(&options).map(passed),
        Command::Bench(args) => bench::run(&args).map(passed),
        Command::Dashboards(options) => dashboards::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Test(options) => test::run(&options),
        Command::Tidy(options) => tidy::run(&options),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// A check that did not hold is a failure for whoever called.
fn passed(ok: bool) -> ExitCode {
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The repository's root: where cargo's workspace is.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}
