//! The faults in the program as it is shipped: that they leak, how fast, in which function, and that they stop.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

use std::process::Stdio;
use std::time::{Duration, Instant};

use blazesym::symbolize::source::{Process, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

const MIB: f64 = 1_048_576.0;

struct Program {
    child: Child,
    admin: String,
}

impl Program {
    /// Starts the program on free ports and waits until it says which.
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut child = Command::new(env!("CARGO_BIN_EXE_recommendations"))
            .args(["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--log-format=json"])
            .env("SHOP_FAULTS", "on")
            .env_remove("_RJEM_MALLOC_CONF")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                let event: Value = serde_json::from_str(&line).unwrap();
                if event["message"] == "listening" {
                    return event["admin"].as_str().unwrap().to_owned();
                }
            }
            panic!("the program ended before it listened");
        };
        let admin = timeout(Duration::from_secs(60), listening).await.unwrap();
        // The log must be read on, or the program would block on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, admin: format!("http://{admin}") }
    }

    async fn allocated(&self) -> f64 {
        let url = format!("{}/debug/allocator", self.admin);
        let statistics: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        statistics["allocated"].as_f64().unwrap()
    }

    /// Resident anonymous memory, as the kernel counts it.
    fn resident(&self) -> f64 {
        let path = format!("/proc/{}/status", self.child.id().unwrap());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
    }

    async fn set(&self, fault: &str, bytes_per_second: f64) {
        let url = format!("{}/debug/faults/{fault}", self.admin);
        let body = json!({ "bytes_per_second": bytes_per_second as u64 });
        let request = reqwest::Client::new().put(url).body(body.to_string());
        let answer = request.header("content-type", "application/json").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
    }

    /// Polls until this much more is allocated than `before`; how much that is, and when it was.
    async fn until_grown(&self, before: f64, by: f64) -> (f64, Instant) {
        let grown = async {
            let mut ticks = interval(Duration::from_millis(20));
            loop {
                ticks.tick().await;
                let asked = Instant::now();
                let now = self.allocated().await;
                if now >= before + by {
                    // The answer is from half-way between.
                    return (now, asked + asked.elapsed() / 2);
                }
            }
        };
        timeout(Duration::from_secs(30), grown).await.expect("the fault grows")
    }

    /// The most allocated at any look within `window`.
    async fn most_within(&self, window: Duration) -> f64 {
        let started = Instant::now();
        let mut ticks = interval(Duration::from_millis(20));
        let mut most = 0.0;
        while started.elapsed() < window {
            ticks.tick().await;
            most = self.allocated().await.max(most);
        }
        most
    }
}

#[tokio::test]
async fn the_unbounded_cache_leaks_at_the_rate_it_was_given_and_stops_when_told() {
    let program = Program::start().await;
    for rate in [5.0 * MIB, 50.0 * MIB] {
        let (before, resident) = (program.allocated().await, program.resident());
        program.set("unbounded-cache", rate).await;
        let (early, began) = program.until_grown(before, 0.0).await;
        let (late, ended) = program.until_grown(early, rate * 1.5).await;
        let measured = (late - early) / (ended - began).as_secs_f64();
        assert!((0.8..1.2).contains(&(measured / rate)), "{measured} at a rate of {rate}");
        program.set("unbounded-cache", 0.0).await;
        let grown = program.allocated().await - before;
        let resident = program.resident() - resident;
        assert!((0.9..1.2).contains(&(resident / grown)), "{resident} resident of {grown}");
        let stopped = program.allocated().await;
        let most = program.most_within(Duration::from_millis(500)).await;
        assert!(most - stopped < rate * 0.05, "grew by {} after it was stopped", most - stopped);
        assert!(most - before > rate, "a leak is not given back when it stops");
    }
}

#[tokio::test]
async fn the_bounded_cache_fills_to_its_cap_and_goes_no_further() {
    let program = Program::start().await;
    let before = program.allocated().await;
    program.set("bounded-cache", 64.0 * MIB).await;
    program.until_grown(before, 31.0 * MIB).await;
    let most = program.most_within(Duration::from_secs(1)).await;
    assert!(most - before < 34.0 * MIB, "holds {} MiB", (most - before) / MIB);
}

/// The stack that holds most in a `heap_v2` dump, innermost address first.
fn largest_stack(dump: &str) -> Vec<u64> {
    let lines: Vec<&str> = dump.lines().collect();
    let stacks = lines.windows(2).filter_map(|pair| {
        let addresses = pair[0].strip_prefix("@ ")?;
        let (_, bytes) = pair[1].trim().strip_prefix("t*: ")?.split_once(": ")?;
        Some((bytes.split(' ').next()?.parse::<u64>().ok()?, addresses))
    });
    let (_, addresses) = stacks.max().unwrap();
    let parse = |address: &str| u64::from_str_radix(address.trim_start_matches("0x"), 16).unwrap();
    addresses.split(' ').map(parse).collect()
}

/// Names of a stack in the running program, by its symbol table: line tables have no module paths.
fn functions(pid: u32, stack: &[u64]) -> Vec<String> {
    let mut process = Process::new(pid.into());
    process.map_files = false;
    process.debug_syms = false;
    // Return addresses: one back lies in the call.
    let calls: Vec<u64> = stack.iter().map(|address| address - 1).collect();
    let symbolizer = Symbolizer::new();
    let symbols = symbolizer.symbolize(&Source::Process(process), Input::AbsAddr(&calls)).unwrap();
    symbols
        .iter()
        .filter_map(|symbol| match symbol {
            Symbolized::Sym(symbol) => Some(symbol.name.to_string()),
            Symbolized::Unknown(_) => None,
        })
        .collect()
}

#[tokio::test]
async fn the_heap_profile_names_the_function_that_keeps_the_responses() {
    let program = Program::start().await;
    let before = program.allocated().await;
    program.set("unbounded-cache", 40.0 * MIB).await;
    program.until_grown(before, 32.0 * MIB).await;
    program.set("unbounded-cache", 0.0).await;
    let url = format!("{}/debug/pprof/heap", program.admin);
    let dump = reqwest::get(url).await.unwrap().text().await.unwrap();
    let names = functions(program.child.id().unwrap(), &largest_stack(&dump));
    let own = names.iter().find(|name| name.starts_with("services_"));
    assert_eq!(
        own.map(String::as_str),
        Some("services_recommendations::cache::remember"),
        "{names:#?}"
    );
}

#[tokio::test]
async fn sigterm_ends_the_program_in_time_and_without_an_error() {
    let mut program = Program::start().await;
    let pid = program.child.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
    assert!(sent.success());
    let ended = timeout(Duration::from_secs(5), program.child.wait()).await.expect("it drains");
    assert!(ended.unwrap().success());
}
