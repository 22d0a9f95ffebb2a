//! The programs as they are shipped, for everything that starts them.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::{root, sh};

/// A cold build on two cores takes a quarter of this.
const DEADLINE: Duration = Duration::from_secs(2400);
/// Built in one command: another selection would build shared dependencies again, with other features.
const PACKAGES: [&str; 3] = ["oomen", "services-recommendations", "watchdog-fixtures"];

/// Where the shipped programs are after [`build`].
pub(crate) fn directory() -> PathBuf {
    root().join("target/release")
}

/// Builds the shipped programs; quick when nothing changed.
pub(crate) fn build() -> Result<()> {
    let mut command = cargo();
    command.args(["build", "--release"]);
    for package in PACKAGES {
        command.args(["-p", package]);
    }
    sh::run(&mut command, DEADLINE)
}

/// Runs cargo in the load test's own workspace: `build`, `clippy` ….
pub(crate) fn loadtest(subcommand: &str, more: &[&str]) -> Result<()> {
    sh::run(&mut loadtest_command(subcommand, more), DEADLINE)
}

/// Cargo for the load test's own workspace, with one profile and one target directory for all subcommands.
pub(crate) fn loadtest_command(subcommand: &str, more: &[&str]) -> Command {
    let mut command = cargo();
    command.args([subcommand, "--release", "--manifest-path", "loadtest/Cargo.toml"]);
    command.args(["--target-dir", "target/loadtest"]).args(more);
    command
}

/// Cargo, at the repository's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}
