//! The `orders` program.

use clap::Parser;
use services_kit::Peer;

services_kit::probe::install!();

/// Orders: carts, checkout and what becomes of an order.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(flatten)]
    options: services_kit::Options,
}

fn main() -> anyhow::Result<()> {
    let cli: Cli = services_kit::parse(Peer::Orders);
    services_kit::run(Peer::Orders, cli.options, services_orders::service)
}
