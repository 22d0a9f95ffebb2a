//! What watching costs: CPU and resident memory of the watchdog beside Prometheus' process and node exporters.
//!
//! All three are scraped once a second in the same run, so that the figures share the machine's mood.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};
use services_engines::fault::UNBOUNDED_CACHE;

use crate::bench::cpu;
use crate::bench::table::markdown;
use crate::demo::round::{Plan, play};
use crate::demo::stage::{Alone, Binaries, Owned, Stage, free_port, wait_for};
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
/// The sidecar's limit in k8s/.
const MAX_ANON_MIB: f64 = 32.0;
/// jemalloc's decay time is ten seconds; the rest is for its background thread.
const AFTER: Duration = Duration::from_secs(20);

struct Watched {
    name: &'static str,
    pid: u32,
    metrics: SocketAddr,
    _owned: Option<Owned>,
}

pub(super) fn run(binaries: &Binaries, args: &FootprintArgs) -> Result<(bool, Value)> {
    packages::ensure(&packages::EXPORTERS)?;
    let mut stage = Stage::alone(binaries, 256 << 20)?;
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
        let rss = status_mib(one.pid, "VmRSS:")?;
        if i == 0 {
            ok = cpu <= MAX_CPU_PERCENT && rss <= MAX_RSS_MIB;
        }
        rows.push(vec![one.name.into(), format!("{cpu:.2} %"), format!("{rss:.1} MiB")]);
        results.push(json!({ "name": one.name, "cpu_percent_of_a_core": cpu, "rss_mib": rss }));
    }
    println!("{}", markdown(&["program", "CPU, of one core", "RSS"], &rows));
    let incident = through_an_incident(&mut stage)?;
    println!("{}", markdown(&["oomen watch", "anonymous memory"], &incident.rows()));
    ok &= incident.peak <= MAX_ANON_MIB;
    let anon = json!({ "calm": incident.calm, "peak": incident.peak, "after": incident.after });
    Ok((ok, json!({ "steady": results, "incident_anonymous_mib": anon })))
}

/// Anonymous memory of the watchdog in MiB: before an incident, at its peak, and a while after its end.
struct ThroughAnIncident {
    calm: f64,
    peak: f64,
    after: f64,
}

impl ThroughAnIncident {
    fn rows(&self) -> Vec<Vec<String>> {
        [
            ("calm", self.calm),
            ("peak through a leak, its profiles, its function and the kill", self.peak),
            ("20 s after the kill", self.after),
        ]
        .map(|(moment, mib)| vec![moment.to_owned(), format!("{mib:.1} MiB")])
        .to_vec()
    }
}

/// Lets the service leak until it is killed and looks at the watchdog's memory meanwhile.
fn through_an_incident(stage: &mut Stage<Alone>) -> Result<ThroughAnIncident> {
    let pid = stage.oomen.0.id();
    let calm = status_mib(pid, "RssAnon:")?;
    let plan = Plan { fault: &UNBOUNDED_CACHE, rate: 20_000_000, limit: 256 << 20 };
    let over = AtomicBool::new(false);
    let peak = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut peak = calm;
            while !over.load(Ordering::Relaxed) {
                peak = status_mib(pid, "RssAnon:").map_or(peak, |now| peak.max(now));
                std::thread::sleep(Duration::from_millis(5));
            }
            peak
        });
        let played = play(stage, &plan, &mut |_| {});
        over.store(true, Ordering::Relaxed);
        let peak = looking.join().map_err(|_| anyhow::anyhow!("the looking thread panicked"))?;
        anyhow::ensure!(played?.ok, "the incident did not go as it should; see cargo xtask demo");
        Ok(peak)
    })?;
    std::thread::sleep(AFTER);
    Ok(ThroughAnIncident { calm, peak, after: status_mib(pid, "RssAnon:")? })
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
    watched.iter().map(|one| cpu::seconds(one.pid)).collect()
}

/// A line of `/proc/PID/status` in MiB.
fn status_mib(pid: u32, item: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(item))
        .with_context(|| format!("/proc/{pid}/status has no {item}"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}
