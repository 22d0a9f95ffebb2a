//! The `inventory` program.

use clap::Parser;
use services_kit::Peer;

services_kit::probe::install!();

/// Inventory: the products of the shop and what is in stock.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(flatten)]
    options: services_kit::Options,
}

fn main() -> anyhow::Result<()> {
    let cli: Cli = services_kit::parse(Peer::Inventory);
    services_kit::run(Peer::Inventory, cli.options, services_inventory::service)
}
