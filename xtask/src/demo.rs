//! `cargo xtask demo`: a real service leaks under a real limit, and the report comes before the kill.

pub(crate) mod round;
pub(crate) mod slack;
pub(crate) mod stage;

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use crate::http;
use round::{Outcome, Plan};
use stage::{Binaries, Stage};

/// What the demo does.
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    /// End after one round: the full report, then the kill if it comes; fail unless the report came first.
    #[arg(long)]
    once: bool,
    /// The fault to inject, or `none`.
    #[arg(long, default_value = "unbounded-cache")]
    fault: String,
    /// How fast it leaks, in bytes per second (5MB, 20MiB and the like are understood).
    #[arg(long, default_value = "5MB", value_parser = size)]
    rate: u64,
    /// The service's memory limit.
    #[arg(long, default_value = "256MiB", value_parser = size)]
    limit: u64,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

/// A function of the shop's that a fault makes leak, as the watchdog should name it.
const CULPRITS: [(&str, &str); 1] =
    [("unbounded-cache", "services_recommendations::cache::remember")];

/// The function that a fault should be blamed on; `None` for the innocents.
pub(crate) fn culprit_of(fault: &str) -> Option<&'static str> {
    CULPRITS.iter().find(|(name, _)| *name == fault).map(|(_, function)| *function)
}

/// Runs the demo; true when the report came first.
pub(crate) fn run(args: &DemoArgs) -> Result<bool> {
    if culprit_of(&args.fault).is_none() && args.fault != "none" {
        let known: Vec<_> = CULPRITS.iter().map(|(name, _)| *name).collect();
        bail!("no fault `{}`; there are: {}, none", args.fault, known.join(", "));
    }
    let binaries = Binaries::build()?;
    let plan = Plan { fault: args.fault.clone(), rate: args.rate, limit: args.limit };
    let mut stage = Stage::set(&binaries, plan.limit, true)?;
    eprintln!("==> the page is at http://{}/", stage.watchdog);
    let outcome = round::play(&mut stage, &plan, &mut |line| eprintln!("==> {line}"))?;
    eprintln!("{}", outcome.summary());
    if args.json {
        println!("{}", serde_json::to_string(&outcome)?);
    }
    if !args.once && outcome.kill_s.is_some() {
        show_the_next(&mut stage)?;
    }
    Ok(outcome.ok)
}

/// After the kill the watchdog goes on with the service's next process.
fn show_the_next(stage: &mut Stage) -> Result<()> {
    eprintln!("==> starting the service again; the watchdog should pick it up");
    let pid = stage.restart_service()?;
    stage::wait_for("the watchdog to watch the next process", Duration::from_secs(20), || {
        let (_, body) = http::get(stage.watchdog, "/api/v1/targets")?;
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(text.contains(&format!("\"pid\":{pid}")).then_some(()))
    })?;
    eprintln!("==> it does: pid {pid}. The page stays at http://{}/ – ctrl-C ends", stage.watchdog);
    stage.until_interrupted()
}

/// A size as people write it: plain bytes, `5MB`, `256MiB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let factor: f64 = match text[digits..].trim() {
        "" | "B" => 1.0,
        "kB" | "K" | "k" => 1e3,
        "MB" | "M" => 1e6,
        "GB" | "G" => 1e9,
        "KiB" | "Ki" => 1024.0,
        "MiB" | "Mi" => 1024.0 * 1024.0,
        "GiB" | "Gi" => 1024.0 * 1024.0 * 1024.0,
        unit => return Err(format!("`{unit}` is not a unit of memory; write 5MB or 256MiB")),
    };
    let number: f64 = text[..digits].parse().map_err(|_| format!("`{text}` is not a size"))?;
    Ok((number * factor) as u64)
}

impl Outcome {
    /// What happened, in a few lines.
    fn summary(&self) -> String {
        let seconds = |at: Option<f64>| at.map_or("never".into(), |at| format!("{at:.2} s"));
        format!(
            "\n    leak began       0.00 s\n    first report     {}\n    full report      {}\n    \
             killed           {}\n    lead             {}\n    verdict          {}\n    culprit          {}\n    \
             {}\n",
            seconds(self.first_report_s),
            seconds(self.full_report_s),
            seconds(self.kill_s),
            seconds(self.lead_s),
            self.verdict.as_deref().unwrap_or("none"),
            self.culprit.as_deref().unwrap_or("none"),
            if self.ok { "OK: the report came first" } else { "NOT OK" },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(size("5MB"), Ok(5_000_000));
        assert_eq!(size("256MiB"), Ok(256 << 20));
        assert_eq!(size("1000"), Ok(1000));
        assert!(size("5 potatoes").is_err());
        assert!(size("MB").is_err());
    }
}
