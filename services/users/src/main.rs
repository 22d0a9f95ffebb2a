//! The `users` program.

use clap::Parser;
use services_kit::Peer;

services_kit::probe::install!();

/// Users: who has an account, who is signed in, and where parcels go.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(flatten)]
    options: services_kit::Options,
}

fn main() -> anyhow::Result<()> {
    let cli: Cli = services_kit::parse(Peer::Users);
    services_kit::run(Peer::Users, cli.options, services_users::service)
}
