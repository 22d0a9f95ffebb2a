//! `oomen confine`: this process enters a memory-limited cgroup and becomes the command.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use watchdog_collect::confine::Confined;

use crate::cli::ConfineArgs;

/// Enters the cgroup and executes the command; returns only when that fails.
///
/// # Errors
/// When the cgroup cannot be made or entered, or the command cannot be executed.
pub fn run(args: &ConfineArgs) -> anyhow::Result<ExitCode> {
    let confined = Confined::create(&args.name, args.limit)?;
    confined.enter(std::process::id())?;
    // The cgroup outlives this program image: what is executed now lives in it.
    std::mem::forget(confined);
    let (program, arguments) = args.command.split_first().context("no command")?;
    let error = Command::new(program).args(arguments).exec();
    bail!("cannot execute {program}: {error}")
}
