//! The programs as they are shipped, for everything that starts them.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::{root, sh};

/// A cold build on two cores takes a quarter of this.
const DEADLINE: Duration = Duration::from_secs(2400);
/// Built in one command: another selection would build shared dependencies again, with other features.
const PACKAGES: [&str; 13] = [
    "oomen",
    "services-gateway",
    "services-inventory",
    "services-notifications",
    "services-orders",
    "services-payments",
    "services-recommendations",
    "services-trials",
    "services-users",
    "watchdog-fixtures",
    "watchdog-gallery",
    "xtask-detect",
    "xtask-heap",
];

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

/// Cargo, at the repository's root, as from a shell. What `cargo xtask` knows of its own package would be taken by
/// ring's build script for a change, and half the tree built again each time people change between the two.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_a_package(name)) {
        command.env_remove(name);
    }
    command.current_dir(root());
    command
}

fn is_of_a_package(variable: &OsStr) -> bool {
    let variable = variable.to_string_lossy();
    variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_is_run_as_from_a_shell() {
        let command = cargo();
        let removed: Vec<_> =
            command.get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        for name in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR"] {
            assert!(removed.contains(&OsStr::new(name)), "{name} stays");
        }
        assert!(!removed.contains(&OsStr::new("PATH")));
    }
}
