//! The `notifications` program.

use clap::Parser;
use services_kit::Peer;
use services_notifications::MailOptions;

services_kit::probe::install!();

/// Notifications: what customers are told about their orders, in a mailbox and by mail.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(flatten)]
    options: services_kit::Options,
    #[command(flatten)]
    mail: MailOptions,
}

fn main() -> anyhow::Result<()> {
    let Cli { options, mail } = services_kit::parse(Peer::Notifications);
    services_kit::run(Peer::Notifications, options, |kit| {
        services_notifications::service(kit, mail)
    })
}
