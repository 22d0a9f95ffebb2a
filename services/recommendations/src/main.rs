//! The `recommendations` program.

use clap::Parser;
use services_kit::Peer;

services_kit::probe::install!();

/// Recommendations: what is bought together, learned from orders as they come.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(flatten)]
    options: services_kit::Options,
}

fn main() -> anyhow::Result<()> {
    let cli: Cli = services_kit::parse(Peer::Recommendations);
    services_kit::run(Peer::Recommendations, cli.options, services_recommendations::service)
}
