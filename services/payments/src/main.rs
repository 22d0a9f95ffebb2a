//! The `payments` program.

use clap::Parser;
use services_kit::Peer;

services_kit::probe::install!();

/// Payments: tokens for cards, one charge per order, refunds.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(flatten)]
    options: services_kit::Options,
}

fn main() -> anyhow::Result<()> {
    let cli: Cli = services_kit::parse(Peer::Payments);
    services_kit::run(Peer::Payments, cli.options, services_payments::service)
}
