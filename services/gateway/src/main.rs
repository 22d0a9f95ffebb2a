//! The `gateway` program.

use clap::Parser;
use services_gateway::Settings;
use services_kit::Peer;

services_kit::probe::install!();

/// Gateway: the one door of the shop, with its storefront page.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(flatten)]
    options: services_kit::Options,
    #[command(flatten)]
    settings: Settings,
}

fn main() -> anyhow::Result<()> {
    let Cli { options, settings } = services_kit::parse(Peer::Gateway);
    services_kit::run(Peer::Gateway, options, |kit| services_gateway::service(kit, settings))
}
