//! What is measured, each in a process of its own so that neither memory nor caches of one are counted for another.

mod accuse;
mod cart;
mod convert;
mod leak;
mod live;
mod load;
mod spin;

use anyhow::Result;
use clap::Subcommand;

pub(crate) use accuse::Accused;
pub(crate) use cart::Served;
pub(crate) use convert::Converted;
pub(crate) use leak::{LEAKING_FUNCTION, Sizes, read_truth};
pub(crate) use live::{InProcess, Live, Marked};
pub(crate) use spin::Spun;

/// Which.
#[derive(Debug, Subcommand)]
pub(crate) enum Work {
    /// A heap dump becomes a pprof profile.
    Convert(convert::Convert),
    /// The function is named of which three dumps say that it leaks.
    Accuse(accuse::Accuse),
    /// A process with many live stacks and a thread that allocates.
    Live(live::Holding),
    /// The allocation-only loop.
    Spin(spin::Spin),
    /// A JSON service.
    Cart,
    /// Requests to a service.
    Load(load::Load),
    /// Leaks until it is killed.
    Leak(leak::Leak),
}

/// Does it.
pub(crate) fn run(work: Work) -> Result<()> {
    match work {
        Work::Convert(args) => convert::run(&args),
        Work::Accuse(args) => accuse::run(&args),
        Work::Live(args) => live::run(&args),
        Work::Spin(args) => spin::run(&args),
        Work::Cart => cart::run(),
        Work::Load(args) => load::run(&args),
        Work::Leak(args) => leak::run(&args),
    }
}

/// Prints an answer, a line.
fn tell(answer: &impl serde::Serialize) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, answer)?;
    writeln!(out)?;
    Ok(out.flush()?)
}
