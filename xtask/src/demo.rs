//! `cargo xtask demo`: a service of the shop leaks under a real limit, and the report comes before the kill.

mod faults;
pub(crate) mod round;
pub(crate) mod slack;
pub(crate) mod stage;

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use services_engines::fault::Fault;

use crate::http;
use crate::interrupt::Interrupt;
use round::{Outcome, Plan};
use stage::{Binaries, Stage, TheShop};

/// What the demo does.
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    /// End after one round: the full report, then the kill if it comes; fail unless the report came first.
    #[arg(long)]
    once: bool,
    /// The fault to inject: a leak of one service, an innocent look-alike, or `none`.
    #[arg(long, default_value = "unbounded-cache", value_parser = faults::find)]
    fault: &'static Fault,
    /// How fast it leaks, in bytes per second (5MB, 20MiB and the like are understood).
    #[arg(long, default_value = "5MB", value_parser = size)]
    rate: u64,
    /// The memory limit of the service that has the fault; the others have 256 MiB each.
    #[arg(long, default_value = "256MiB", value_parser = size)]
    limit: u64,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

/// Runs the demo; true when the report came first, or nobody was told of an innocent.
pub(crate) fn run(args: &DemoArgs) -> Result<bool> {
    let binaries = Binaries::build()?;
    let interrupt = Interrupt::catch()?;
    let plan = Plan { fault: args.fault, rate: args.rate, limit: args.limit };
    eprintln!("==> opening the shop; the limit of {} is {} bytes", plan.fault.service, plan.limit);
    let mut stage = Stage::shop(&binaries, plan.fault.service, plan.limit, interrupt)?;
    eprintln!("==> the storefront is at http://{}/", stage.scene.door());
    eprintln!("==> the watchdog's page is at http://{}/", stage.watchdog);
    let outcome = round::play(&mut stage, &plan, &mut |line| eprintln!("==> {line}"))?;
    eprintln!("{}", outcome.summary(&plan));
    if args.json {
        println!("{}", serde_json::to_string(&outcome)?);
    }
    if !args.once {
        if outcome.kill_s.is_some() {
            show_the_next(&mut stage)?;
        }
        eprintln!("==> shop and page stay open; Ctrl-C ends");
        stage.until_interrupted()?;
    }
    Ok(outcome.ok)
}

/// After the kill the watchdog goes on with the service's next process.
fn show_the_next(stage: &mut Stage<TheShop>) -> Result<()> {
    eprintln!("==> starting the service again; the watchdog should pick it up");
    let pid = stage.scene.restart()?;
    stage::wait_for("the watchdog to watch the next process", Duration::from_secs(20), || {
        let (_, body) = http::get(stage.watchdog, "/api/v1/targets")?;
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(text.contains(&format!("\"pid\":{pid}")).then_some(()))
    })?;
    eprintln!("==> it does: pid {pid}");
    Ok(())
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
    fn summary(&self, plan: &Plan) -> String {
        let seconds = |at: Option<f64>| at.map_or("never".into(), |at| format!("{at:.2} s"));
        let judgement = match (plan.fault.verdict, self.ok) {
            (Some(_), true) => "OK: the report came first",
            (None, true) => "OK: nobody was told anything",
            (_, false) if self.falsely_accused.is_empty() => "NOT OK",
            (_, false) => "NOT OK: people were told of services without a fault: ",
        };
        format!(
            "\n    leak began       0.00 s\n    first report     {}\n    full report      {}\n    \
             killed           {}\n    lead             {}\n    verdict          {}\n    culprit          {}\n    \
             {judgement}{}\n",
            seconds(self.first_report_s),
            seconds(self.full_report_s),
            seconds(self.kill_s),
            seconds(self.lead_s),
            self.verdict.as_deref().unwrap_or("none"),
            self.culprit.as_deref().unwrap_or("none"),
            self.falsely_accused.join(", "),
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
