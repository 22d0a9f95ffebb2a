//! `cargo xtask tidy`: the repository's own rules, which no compiler knows.

mod alerts;
mod arrows;
mod generated;
mod metrics;
mod readme;
mod sources;
mod tree;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use crate::root;
use crate::test::Tally;
use tree::Tree;

/// How to check.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Write the files that are generated from others, then check.
    #[arg(long)]
    write: bool,
}

/// A rule finds what breaks it: one line each, beginning with the file.
struct Rule {
    name: &'static str,
    find: fn(&Tree) -> Vec<String>,
}

const RULES: [Rule; 11] = [
    Rule { name: "crates use only what ARCHITECTURE.md allows", find: arrows::find },
    Rule { name: "every source says what it is for", find: sources::without_purpose },
    Rule { name: "no source is longer than its budget", find: sources::too_long },
    Rule { name: "modules are foo.rs and foo/, not mod.rs", find: sources::mod_rs },
    Rule { name: "no file is too large", find: sources::too_large },
    Rule { name: "no text names one machine's paths", find: sources::machine_paths },
    Rule { name: "every metric that is named exists", find: metrics::find },
    Rule { name: "every alert has a test and a runbook", find: alerts::find },
    Rule { name: "generated files are as generated", find: generated::find },
    Rule { name: "xtask commands in documents exist", find: readme::xtask_commands },
    Rule { name: "oomen commands in documents exist", find: readme::oomen_commands },
];

/// Checks every rule and says what breaks it.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.write {
        generated::write(&root())?;
    }
    let mut tally = Tally::default();
    test(&mut tally)?;
    Ok(tally.close())
}

/// Counts each rule as a test.
pub(crate) fn test(tally: &mut Tally) -> Result<()> {
    let tree = Tree::of(&root())?;
    for rule in &RULES {
        tally.check(&format!("tidy: {}", rule.name), verdict(&(rule.find)(&tree)));
    }
    Ok(())
}

fn verdict(found: &[String]) -> Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    bail!("{}", found.join("\n"))
}
