//! Small programs that leak, or only look like it, each with the function that a report must name.

mod admin;
mod catalogue;
mod cli;
mod drive;
mod innocents;
mod leaks;
mod traffic;

use crate::cli::Order;

oomen_probe::install!();

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match cli::parse() {
        Order::List { json } => catalogue::print(json),
        Order::Run { entry, rate, admin } => {
            let program = entry.start()?;
            admin::serve(admin).await?;
            drive::drive(program, rate, entry.leaks.then_some(drive::MOST)).await
        }
    }
}
