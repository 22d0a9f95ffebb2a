//! The detector on series whose truth is known, beside the alert rules people run today.

mod report;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use crate::{packages, release, root, sh};
use report::{Report, Run};

/// The default seeds take a fiftieth of this on two cores.
const DEADLINE: Duration = Duration::from_secs(7200);
const QUICK: Duration = Duration::from_secs(60);
/// Where recorded series lie, for those who have some.
const TRACES: &str = "OOMEN_TRACES";

/// On which series.
#[derive(Debug, Clone, Args)]
pub(crate) struct DetectArgs {
    /// Seeds of each family of made-up series.
    #[arg(long, default_value_t = SEEDS)]
    seeds: u64,
    /// The first of them; those below 2000 were used for tuning.
    #[arg(long, default_value_t = FIRST_SEED)]
    first_seed: u64,
    /// Directory of recorded series with an index.csv [default: $OOMEN_TRACES, else none].
    #[arg(long, value_name = "DIR")]
    traces: Option<PathBuf>,
    /// Where report.md and report.json go; pictures/ and samples/ in it are replaced [default: target/bench/detect].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

const SEEDS: u64 = 200;
const FIRST_SEED: u64 = 2000;

impl Default for DetectArgs {
    fn default() -> Self {
        Self { seeds: SEEDS, first_seed: FIRST_SEED, traces: None, out: None }
    }
}

pub(super) fn run(args: &DetectArgs) -> Result<(bool, Value)> {
    ensure!(args.seeds > 0, "no seeds, nothing to measure");
    packages::ensure(&packages::BUILD)?;
    release::build()?;
    let run = Run {
        commit: commit(),
        seeds: args.seeds,
        first_seed: args.first_seed,
        traces: traces(args.traces.as_deref(), std::env::var_os(TRACES)),
    };
    let out = args.out.clone().unwrap_or_else(|| root().join("target/bench/detect"));
    fs::create_dir_all(&out).with_context(|| format!("creating {}", out.display()))?;
    let (ok, answer) = sh::answer(&mut measure(&run, &out), DEADLINE)?;
    let report: Report = serde_json::from_str(&answer).context("xtask-detect gave no report")?;
    let text = report.markdown(&run, &out);
    println!("\n{text}");
    let result = serde_json::to_value(report.of(run))?;
    fs::write(out.join("report.md"), text)?;
    fs::write(out.join("report.json"), serde_json::to_string_pretty(&result)? + "\n")?;
    println!("written: {}", out.join("report.md").display());
    Ok((ok, result))
}

fn measure(run: &Run, out: &Path) -> Command {
    let mut command = Command::new(release::directory().join("xtask-detect"));
    command.args(["--seeds", &run.seeds.to_string()]);
    command.args(["--first-seed", &run.first_seed.to_string()]);
    command.arg("--pictures").arg(out.join("pictures"));
    command.arg("--oomen").arg(release::directory().join("oomen"));
    command.arg("--samples").arg(out.join("samples"));
    if let Some(traces) = &run.traces {
        command.arg("--traces").arg(traces);
    }
    command
}

fn traces(named: Option<&Path>, environment: Option<OsString>) -> Option<PathBuf> {
    let environment = environment.filter(|value| !value.is_empty());
    named.map(Path::to_owned).or_else(|| environment.map(PathBuf::from))
}

/// The commit that is measured, with a mark where files differ from it; none outside a clone.
fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        sh::capture(Command::new("git").current_dir(root()).args(arguments), QUICK).ok()
    };
    let head = git(&["rev-parse", "--short", "HEAD"])?;
    let changed = !git(&["status", "--porcelain"])?.trim().is_empty();
    Some(format!("{}{}", head.trim(), if changed { "+changes" } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_series_are_those_of_the_option_else_of_the_environment() {
        let (option, variable) = (Path::new("a"), || Some(OsString::from("b")));
        assert_eq!(traces(Some(option), variable()), Some("a".into()));
        assert_eq!(traces(None, variable()), Some("b".into()));
        assert_eq!(traces(None, Some(OsString::new())), None);
        assert_eq!(traces(None, None), None);
    }
}
