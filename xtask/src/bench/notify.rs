//! Telling people: how long from the decision to the wire, and whether sampling bears it when nobody takes a report.

mod leakers;
mod receiver;
mod sampling;
mod watch;
mod wire;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use crate::{packages, release, root};

/// How many incidents and rounds.
#[derive(Debug, Clone, Args)]
pub(crate) struct NotifyArgs {
    /// Incidents, one after the other, from the decision to the wire.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..=100))]
    incidents: u16,
    /// Rounds of sampling with receivers that answer, each followed by one with receivers that hang.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=50))]
    rounds: u16,
}

impl Default for NotifyArgs {
    fn default() -> Self {
        Self { incidents: 40, rounds: 4 }
    }
}

/// Where programs of one part keep their files; gone with its owner, unless something failed.
struct Scratch(PathBuf);

impl Scratch {
    fn new(part: &str) -> Result<Self> {
        let path = root().join("target").join(format!("notify-{}-{part}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn remove(self) -> Result<()> {
        Ok(std::fs::remove_dir_all(&self.0)?)
    }
}

pub(super) fn run(args: &NotifyArgs) -> Result<(bool, Value)> {
    packages::ensure(&packages::BUILD)?;
    release::build()?;
    let before = load_average();
    let (quick, wire) = wire::measure(args.incidents.into())?;
    let (steady, sampling) = sampling::measure(args.rounds.into())?;
    let load = [before, load_average()];
    println!("load of the machine, before and after: {} and {}", load[0], load[1]);
    Ok((quick && steady, json!({ "wire": wire, "sampling": sampling, "load": load })))
}

/// Of the last minute, as the kernel says it.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1e3)
}

fn holds(ok: bool) -> String {
    if ok { "yes" } else { "no" }.to_owned()
}
