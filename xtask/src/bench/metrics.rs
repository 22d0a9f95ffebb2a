//! What a scrape of a large watchdog takes: `/metrics` with five hundred targets of which everything is known, beside a
//! bare handler that sends the same bytes.
//!
//! Every request is one over a new connection, from connecting to the last byte, and the kinds take turns, so that they
//! share the machine's mood.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::bench::table::{markdown, median};
use crate::demo::stage::Owned;
use crate::{packages, release, root, sh};

/// How many targets and scrapes.
#[derive(Debug, Clone, Args)]
pub(crate) struct MetricsArgs {
    /// Targets, each with everything known.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..))]
    targets: u16,
    /// Requests of each kind.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(3..))]
    rounds: u16,
}

impl Default for MetricsArgs {
    fn default() -> Self {
        Self { targets: 500, rounds: 200 }
    }
}

const BUILD_DEADLINE: Duration = Duration::from_secs(2400);
const DEADLINE: Duration = Duration::from_secs(10);
const MAX_SECONDS: f64 = 0.020;
const MAX_BYTES: usize = 2 << 20;
const WARM_UP: u16 = 5;

/// A kind of request: its name, whom it asks, what it says of itself.
struct Kind {
    name: &'static str,
    server: SocketAddr,
    headers: &'static str,
    bytes: usize,
    seconds: Vec<f64>,
}

pub(super) fn run(args: &MetricsArgs) -> Result<(bool, Value)> {
    packages::ensure(&packages::BUILD)?;
    let mut build = release::cargo();
    build.args(["build", "--release", "-p", "watchdog-web", "--example", "scrape"]);
    sh::run(&mut build, BUILD_DEADLINE)?;
    let (_server, watchdog, bare) = start(args.targets)?;
    let kind = |name, server, headers| Kind { name, server, headers, bytes: 0, seconds: vec![] };
    let mut kinds = [
        kind("/metrics", watchdog, ""),
        kind("/metrics, OpenMetrics", watchdog, "Accept: application/openmetrics-text\r\n"),
        kind("/metrics, gzip", watchdog, "Accept-Encoding: gzip\r\n"),
        kind("a bare handler, the same bytes", bare, ""),
    ];
    for round in 0..args.rounds.saturating_add(WARM_UP) {
        for kind in &mut kinds {
            let (seconds, bytes) = scrape(kind.server, kind.headers)
                .with_context(|| format!("asking for {}", kind.name))?;
            kind.bytes = bytes;
            if round >= WARM_UP {
                kind.seconds.push(seconds);
            }
        }
    }
    Ok(report(args, &kinds))
}

fn report(args: &MetricsArgs, kinds: &[Kind]) -> (bool, Value) {
    let middle = |kind: &Kind| median(&kind.seconds);
    let bare = kinds.last().map_or(0.0, middle);
    let (mut rows, mut results, mut ok) = (Vec::new(), Vec::new(), true);
    for kind in kinds {
        let (took, slowest) = (middle(kind), slow(&kind.seconds));
        let times = took / bare;
        let holds = took <= MAX_SECONDS && kind.bytes <= MAX_BYTES;
        ok &= holds;
        rows.push(vec![
            kind.name.to_owned(),
            format!("{:.2} MiB", kind.bytes as f64 / f64::from(1 << 20)),
            format!("{:.1} ms", took * 1e3),
            format!("{:.1} ms", slowest * 1e3),
            format!("{times:.1}"),
            if holds { "yes" } else { "no" }.to_owned(),
        ]);
        results.push(json!({
            "name": kind.name, "bytes": kind.bytes, "median_seconds": took,
            "p95_seconds": slowest, "times_bare": times, "holds": holds,
        }));
    }
    let targets = format!("{} targets", args.targets);
    let head = [&targets, "answer", "median", "95th percentile", "times bare", "≤ 20 ms, ≤ 2 MiB"];
    println!("{}", markdown(&head, &rows));
    (ok, json!({ "targets": args.targets, "rounds": args.rounds, "requests": results }))
}

/// The time that one in twenty exceeds.
fn slow(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) * 95 / 100).copied().unwrap_or(0.0)
}

/// The program, and the addresses of its two servers.
fn start(targets: u16) -> Result<(Owned, SocketAddr, SocketAddr)> {
    let program = root().join("target/release/examples/scrape");
    let child = Command::new(&program)
        .arg(targets.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    let mut owned = Owned(child);
    let stdout = owned.0.stdout.take().context("its stdout is not there")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let (watchdog, bare) = line.trim().split_once(' ').context("it says no two addresses")?;
    let (watchdog, bare) = (watchdog.parse()?, bare.parse()?);
    Ok((owned, watchdog, bare))
}

/// One scrape: how long it took, and the bytes of its body.
fn scrape(server: SocketAddr, headers: &str) -> Result<(f64, usize)> {
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n{headers}\r\n");
    let began = Instant::now();
    let mut stream = TcpStream::connect_timeout(&server, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::with_capacity(MAX_BYTES);
    stream.read_to_end(&mut answer)?;
    let took = began.elapsed().as_secs_f64();
    ensure!(answer.starts_with(b"HTTP/1.1 200 "), "the answer is no 200");
    let end =
        answer.windows(4).position(|four| four == b"\r\n\r\n").context("no end of the head")?;
    Ok((took, answer.len() - end - 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_twenty_is_slower_than_the_slow() {
        let seconds: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(slow(&seconds), 95.0);
        assert_eq!(slow(&[]), 0.0);
    }

    #[test]
    fn an_answer_that_is_too_large_or_too_late_does_not_hold() {
        let kind = |bytes, seconds| Kind {
            name: "x",
            server: SocketAddr::from(([127, 0, 0, 1], 1)),
            headers: "",
            bytes,
            seconds: vec![seconds],
        };
        let of = |bytes, seconds| {
            report(&MetricsArgs::default(), &[kind(bytes, seconds), kind(1, 0.001)]).0
        };
        assert!(of(MAX_BYTES, MAX_SECONDS));
        assert!(!of(MAX_BYTES + 1, MAX_SECONDS));
        assert!(!of(MAX_BYTES, MAX_SECONDS + 0.001));
    }
}
