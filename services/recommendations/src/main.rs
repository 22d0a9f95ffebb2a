//! The `recommendations` program.

use clap::Parser;

services_kit::probe::install!();

/// Recommendations: what is bought together, learned from orders as they come.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(flatten)]
    options: services_kit::Options,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    services_kit::run(services_recommendations::service()?, &cli.options)
}
