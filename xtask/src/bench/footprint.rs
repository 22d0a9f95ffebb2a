//! What watching costs: CPU and resident memory of the watchdog beside Prometheus' process and node exporters.
//!
//! All three are scraped once a second in the same run, so that the figures share the machine's mood.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};

use crate::bench::table::markdown;
use crate::demo::stage::{Binaries, Owned, Stage, free_port, wait_for};
use crate::http;
use crate::packages;

/// For how long.
#[derive(Debug, Clone, Args)]
pub(crate) struct FootprintArgs {
    /// Seconds of measurement, after half a minute of settling.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
}

impl Default for FootprintArgs {
    fn default() -> Self {
        Self { seconds: 120 }
    }
}

const SETTLE: u64 = 30;
const MAX_CPU_PERCENT: f64 = 0.3;
const MAX_RSS_MIB: f64 = 16.0;
/// Clock ticks per second in `/proc/PID/stat`: 100 on every Linux that Debian ships.
const TICKS: f64 = 100.0;

struct Watched {
    name: &'static str,
    pid: u32,
    metrics: SocketAddr,
    _owned: Option<Owned>,
}

pub(super) fn run(binaries: &Binaries, args: &FootprintArgs) -> Result<(bool, Value)> {
    packages::ensure(&packages::EXPORTERS)?;
    let stage = Stage::set(binaries, 256 << 20, false)?;
    let watched = [
        Watched {
            name: "oomen watch",
            pid: stage.oomen.0.id(),
            metrics: stage.watchdog,
            _owned: None,
        },
        exporter(
            "prometheus-process-exporter",
            &["-procnames", "recommendations", "-threads=false", "-web.listen-address"],
        )?,
        exporter("prometheus-node-exporter", &["--web.listen-address"])?,
    ];
    scrape_for(&watched, SETTLE)?;
    let before = cpu_seconds(&watched)?;
    let began = Instant::now();
    scrape_for(&watched, args.seconds)?;
    let wall = began.elapsed().as_secs_f64();
    let after = cpu_seconds(&watched)?;
    let (mut rows, mut results, mut ok) = (Vec::new(), Vec::new(), true);
    for (i, one) in watched.iter().enumerate() {
        let cpu = (after[i] - before[i]) / wall * 100.0;
        let rss = rss_mib(one.pid)?;
        if i == 0 {
            ok = cpu <= MAX_CPU_PERCENT && rss <= MAX_RSS_MIB;
        }
        rows.push(vec![one.name.into(), format!("{cpu:.2} %"), format!("{rss:.1} MiB")]);
        results.push(json!({ "name": one.name, "cpu_percent_of_a_core": cpu, "rss_mib": rss }));
    }
    println!("{}", markdown(&["program", "CPU, of one core", "RSS"], &rows));
    Ok((ok, Value::Array(results)))
}

/// Starts an exporter; the last argument takes its address.
fn exporter(name: &'static str, args: &[&str]) -> Result<Watched> {
    let metrics = free_port()?;
    let child = Command::new(name)
        .args(args)
        .arg(metrics.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("{name} does not start"))?;
    let owned = Owned(child);
    wait_for(name, Duration::from_secs(10), || Ok(http::get(metrics, "/metrics").ok()))?;
    Ok(Watched { name, pid: owned.0.id(), metrics, _owned: Some(owned) })
}

fn scrape_for(watched: &[Watched], seconds: u64) -> Result<()> {
    let began = Instant::now();
    for second in 1..=seconds {
        for one in watched {
            let (status, _) = http::get(one.metrics, "/metrics")?;
            anyhow::ensure!(status == 200, "{} answers {status}", one.name);
        }
        let next = began + Duration::from_secs(second);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// User and system time so far.
fn cpu_seconds(watched: &[Watched]) -> Result<Vec<f64>> {
    watched
        .iter()
        .map(|one| {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", one.pid))?;
            // The command may hold spaces; the fields after its closing bracket do not.
            let fields: Vec<&str> =
                stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            let ticks = |i: usize| -> Result<f64> {
                Ok(fields.get(i).context("/proc/PID/stat is short")?.parse()?)
            };
            Ok((ticks(11)? + ticks(12)?) / TICKS)
        })
        .collect()
}

fn rss_mib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}
