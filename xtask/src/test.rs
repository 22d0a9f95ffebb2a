//! `cargo xtask test`: every test of the repository, counted; a failure does not stop the steps after it.

mod alertmanager;
mod alerts;
mod cluster;
mod crates;
mod dashboards;
mod k8s;
pub(crate) mod lab;
pub(crate) mod prometheus;
mod proof;
mod receiver;
mod tally;
mod v2;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::packages::{self, Package};
use crate::{release, tidy};
pub(crate) use tally::Tally;

/// What to test.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these steps [default: all of them].
    #[arg(value_name = "STEP", value_parser = PossibleValuesParser::new(STEPS.map(|step| step.name)))]
    only: Vec<String>,
}

struct Step {
    name: &'static str,
    run: fn(&mut Tally) -> Result<()>,
}

/// In this order: what is quick or stops everything else first; the shipped programs before what starts them.
const STEPS: [Step; 13] = [
    Step { name: "packages", run: |_| packages::ensure(&PACKAGES) },
    Step { name: "format", run: |_| crates::format() },
    Step { name: "lint", run: |_| crates::lint() },
    Step { name: "build", run: |_| release::build() },
    Step { name: "crates", run: crates::test },
    Step { name: "loadtest", run: crates::loadtest },
    Step { name: "tidy", run: tidy::test },
    Step { name: "alerts", run: alerts::test },
    Step { name: "dashboards", run: dashboards::test },
    Step { name: "proof", run: proof::test },
    Step { name: "k8s", run: k8s::test },
    Step { name: "cluster", run: cluster::test },
    Step { name: "v2", run: v2::test },
];

const PACKAGES: [Package; 16] = [
    packages::BUILD[0],
    packages::ALERTMANAGER,
    Package {
        name: "chromium",
        probe: &["chromium", "--version"],
        why: "opens the page in its tests",
    },
    Package {
        name: "prometheus",
        probe: &["promtool", "--version"],
        why: "tests alert rules, dashboards, /metrics and the rules the detector is compared with",
    },
    Package {
        name: "python3-prometheus-client",
        probe: &["/usr/bin/python3", "-c", "import prometheus_client"],
        why: "reads /metrics as OpenMetrics, strictly",
    },
    packages::CLUSTER[3],
    Package {
        name: "python3-venv",
        probe: &["python3", "-c", "import ensurepip, venv"],
        why: "validates what k8s/ renders to",
    },
    Package { name: "gcc", probe: &["cc", "--version"], why: "builds the gallery's C program" },
    packages::CLUSTER[0],
    packages::CLUSTER[1],
    packages::CLUSTER[2],
    Package { name: "libjemalloc2", probe: &[], why: "is preloaded into the gallery's C program" },
    Package { name: "libjemalloc-dev", probe: &["jeprof", "--version"], why: "brings jeprof" },
    Package {
        name: "binutils",
        probe: &["addr2line", "--version"],
        why: "jeprof's and our own truth",
    },
    v2::PACKAGES[0],
    v2::PACKAGES[1],
];

/// Runs the steps; the last line says what passed and failed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let mut tally = Tally::default();
    let steps: Vec<_> = STEPS
        .iter()
        .filter(|step| options.only.is_empty() || options.only.iter().any(|n| n == step.name))
        .collect();
    for (index, step) in steps.iter().enumerate() {
        let place = format!("[{}/{}] {}", index + 1, steps.len(), step.name);
        let started = Instant::now();
        println!("\n{place} …");
        let passed = tally.step(step.name, step.run);
        let word = if passed { "ok" } else { "FAILED" };
        println!("{place}: {word}, {} s", started.elapsed().as_secs());
    }
    Ok(tally.close())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_built_before_the_steps_that_start_them() {
        let place = |name| STEPS.iter().position(|step| step.name == name);
        for user in ["crates", "proof", "k8s", "cluster", "v2"] {
            assert!(place("build") < place(user), "{user}");
        }
        assert_eq!(place("packages"), Some(0));
    }
}
