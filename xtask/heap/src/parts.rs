//! The parts of the measurement, one after the other on an otherwise quiet machine.

mod capture;
mod culprit;
mod formats;
mod kill;
mod memory;
mod overhead;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use crate::machine;
use crate::report::Report;

/// What to measure, and where everything is.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Parts, all when none is named.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Where dumps, profiles and flight recorders go.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The directory of the shipped programs.
    #[arg(long, value_name = "DIR")]
    release: PathBuf,
    /// The directory of the same programs with all debug information, of which this one takes its own profile.
    #[arg(long, value_name = "DIR")]
    debug: PathBuf,
    /// A fraction of the rounds, to see that it works: no figure of such a run means anything.
    #[arg(long)]
    quick: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// From a heap dump to a pprof profile.
    Formats,
    /// From three profiles to a function.
    Culprit,
    /// What taking a profile does to the process.
    Capture,
    /// The watchdog's memory through an incident.
    Memory,
    /// What sampling and the recorder cost a program that runs.
    Overhead,
    /// What is known after the kernel's kill.
    Kill,
}

impl Settings {
    fn oomen(&self) -> PathBuf {
        self.release.join("oomen")
    }

    /// An error now rather than after an hour, when a program is missing.
    fn check(&self) -> Result<()> {
        let shipped = ["oomen", "recommendations", "slack-server"];
        let debug = ["recommendations", "xtask-heap"];
        let programs = shipped.map(|name| self.release.join(name)).into_iter();
        for program in programs.chain(debug.map(|name| self.debug.join(name))) {
            ensure!(program.is_file(), "there is no {}: it must be built first", program.display());
        }
        Ok(())
    }

    /// How often something is measured.
    fn rounds(&self, rounds: usize) -> usize {
        if self.quick { rounds.div_ceil(7) } else { rounds }
    }

    /// An empty directory for a part's files.
    fn scratch(&self, name: &str) -> Result<PathBuf> {
        let directory = self.out.join(name);
        empty(&directory)?;
        Ok(directory)
    }
}

/// Makes a directory with nothing in it.
fn empty(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("clearing {}", directory.display()))?;
    }
    fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))
}

/// Measures.
pub(crate) fn measure(settings: &Settings) -> Result<Report> {
    let mut report = Report::default();
    if settings.quick {
        report.note("A quick run: that it works is all that it shows.");
    }
    settings.check()?;
    let all = Part::value_variants();
    let parts = if settings.parts.is_empty() { all } else { settings.parts.as_slice() };
    for part in parts {
        let load = machine::load_average().unwrap_or_default();
        eprintln!("{part:?}: begins (load average {load:.2})");
        if load > 1.0 {
            report.note(format!(
                "{part:?}: {load:.1} threads wanted to run in the minute before it; on a quiet machine its figures are better."
            ));
        }
        match part {
            Part::Formats => formats::measure(settings, &mut report),
            Part::Culprit => culprit::measure(settings, &mut report),
            Part::Capture => capture::measure(settings, &mut report),
            Part::Memory => memory::measure(settings, &mut report),
            Part::Overhead => overhead::measure(settings, &mut report),
            Part::Kill => kill::measure(settings, &mut report),
        }
        .with_context(|| format!("{part:?}"))?;
    }
    Ok(report)
}
