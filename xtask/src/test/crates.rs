//! The crates' own tests, format and lints.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::tally::Tally;
use crate::release::{self, cargo};
use crate::{packages, sh};

/// Building and running everything on two cold cores takes half of this.
const DEADLINE: Duration = Duration::from_secs(3600);

pub(crate) fn format() -> Result<()> {
    sh::run(cargo().args(["fmt", "--all", "--check"]), DEADLINE)
}

pub(crate) fn lint() -> Result<()> {
    let lint = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    sh::run(cargo().args(lint), DEADLINE)
}

pub(crate) fn test(tally: &mut Tally) -> Result<()> {
    packages::ensure(&packages::ENGINES)?;
    counted(cargo().args(["test", "--workspace", "--no-fail-fast"]), tally)
}

/// The load test is a workspace of its own; everything in one profile, as its dependencies take long to build.
pub(crate) fn loadtest(tally: &mut Tally) -> Result<()> {
    release::loadtest("build", &[])?;
    tally.check("loadtest::format", loadtest_format());
    let lint = release::loadtest("clippy", &["--all-targets", "--", "-D", "warnings"]);
    tally.check("loadtest::lint", lint);
    counted(&mut release::loadtest_command("test", &["--no-fail-fast"]), tally)
}

fn loadtest_format() -> Result<()> {
    sh::run(cargo().args(["fmt", "--manifest-path", "loadtest/Cargo.toml", "--check"]), DEADLINE)
}

/// Runs `cargo test`, counts its tests, and lets those that start shipped programs know where these are.
pub(super) fn counted(command: &mut Command, tally: &mut Tally) -> Result<()> {
    command.env("OOMEN_TEST_BIN_DIR", release::directory());
    sh::tee(command, DEADLINE, |line| tally.libtest(line))
}
