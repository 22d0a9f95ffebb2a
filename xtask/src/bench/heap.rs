//! The heap profiler beside the tools people use: formats, names, the recorder, and what is known after a kill.

mod report;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::{packages, release, root, sh};
use report::Report;

/// All parts take a quarter of this on two cores.
const DEADLINE: Duration = Duration::from_secs(7200);
const QUICK: Duration = Duration::from_secs(60);
/// A cold build with all debug information, on two cores that others use as well.
const BUILD_DEADLINE: Duration = Duration::from_secs(3600);

/// Which parts.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct HeapArgs {
    /// Parts; without a name all of them run.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Where report.md and report.json go, and what is measured on [default: target/bench/heap].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A fraction of the rounds, to see that it works: no figure of such a run means anything.
    #[arg(long)]
    quick: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Part {
    /// From a heap dump to a pprof profile, beside jeprof, pprof_util and jemalloc_pprof.
    Formats,
    /// From three profiles to the function that leaks.
    Culprit,
    /// What taking a profile does to the process: memory, and how long its threads stand still.
    Capture,
    /// The watchdog's own memory through an incident, beside a small and a large program.
    Memory,
    /// What sampling and the recorder cost a program that runs.
    Overhead,
    /// What the recorder says after the kernel's kill.
    Kill,
}

pub(super) fn run(args: &HeapArgs) -> Result<(bool, Value)> {
    packages::ensure(&packages::BUILD)?;
    packages::ensure(&packages::HEAP)?;
    release::build()?;
    let out = args.out.clone().unwrap_or_else(|| root().join("target/bench/heap"));
    fs::create_dir_all(&out).with_context(|| format!("creating {}", out.display()))?;
    let debug = build_with_all_debug_information()?;
    let (ok, answer) = sh::answer(&mut measure(args, &debug, &out), DEADLINE)?;
    let report: Report = serde_json::from_str(&answer).context("xtask-heap gave no report")?;
    let commit = commit();
    let text = report.markdown(commit.as_deref());
    println!("\n{text}");
    let result = serde_json::to_value(report.of(commit))?;
    fs::write(out.join("report.md"), text)?;
    fs::write(out.join("report.json"), serde_json::to_string_pretty(&result)? + "\n")?;
    println!("written: {}", out.join("report.md").display());
    Ok((ok, result))
}

/// Builds a large program to be symbolized, and the one that symbolizes itself as others do. In a directory of its own,
/// because everything is compiled differently; it stays there for the next time.
fn build_with_all_debug_information() -> Result<PathBuf> {
    let directory = root().join("target/bench/heap/debug2");
    println!("building with all debug information; the first time this takes several minutes");
    let mut command = release::cargo();
    command.args(["build", "--release", "-p", "services-recommendations", "-p", "xtask-heap"]);
    command.args(["--features", "xtask-heap/symbolize", "--target-dir"]).arg(&directory);
    command.env("CARGO_PROFILE_RELEASE_DEBUG", "2");
    sh::run(&mut command, BUILD_DEADLINE)?;
    Ok(directory.join("release"))
}

fn measure(args: &HeapArgs, debug: &Path, out: &Path) -> Command {
    let mut command = Command::new(release::directory().join("xtask-heap"));
    command.arg("measure").arg("--out").arg(out.join("files"));
    command.arg("--release").arg(release::directory()).arg("--debug").arg(debug);
    if args.quick {
        command.arg("--quick");
    }
    let named = args.parts.iter().filter_map(ValueEnum::to_possible_value);
    command.args(named.map(|part| part.get_name().to_owned()));
    command
}

/// The commit that is measured, with a mark where files differ from it; none outside a clone.
fn commit() -> Option<String> {
    let mut git = Command::new("git");
    git.current_dir(root()).args(["describe", "--always", "--dirty=+changes", "--exclude=*"]);
    sh::capture(&mut git, QUICK).ok().map(|said| said.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_that_are_named_are_handed_on() {
        let args = HeapArgs { parts: vec![Part::Formats, Part::Kill], ..HeapArgs::default() };
        let command = measure(&args, Path::new("debug"), Path::new("out"));
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        assert!(words.ends_with(&["formats".into(), "kill".into()]), "{words:?}");
        assert!(words.contains(&"out/files".into()) && !words.contains(&"--quick".into()));
    }
}
