//! The fault in the program as it is shipped: that pages are lost at the rate it was given, that
//! next to none of them is in use, and that it stops.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

const MIB: f64 = 1_048_576.0;

struct Program {
    child: Child,
    admin: String,
    _data: TempDir,
}

impl Program {
    /// Starts the program on free ports and waits until it says which.
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let data = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_inventory"))
            .args(["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--log-format=json"])
            .env("SHOP_FAULTS", "on")
            .env("SHOP_DATA", data.path())
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
        Self { child, admin: format!("http://{admin}"), _data: data }
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

    /// Polls until this much more is resident than `before`; how much that is, and when it was.
    async fn until_grown(&self, before: f64, by: f64) -> (f64, Instant) {
        let grown = async {
            let mut ticks = interval(Duration::from_millis(20));
            loop {
                ticks.tick().await;
                let asked = Instant::now();
                let now = self.resident();
                if now >= before + by {
                    // The answer is from half-way between.
                    return (now, asked + asked.elapsed() / 2);
                }
            }
        };
        timeout(Duration::from_secs(60), grown).await.expect("the fault grows")
    }

    /// The most resident at any look within `window`.
    async fn most_within(&self, window: Duration) -> f64 {
        let started = Instant::now();
        let mut ticks = interval(Duration::from_millis(20));
        let mut most = 0.0;
        while started.elapsed() < window {
            ticks.tick().await;
            most = self.resident().max(most);
        }
        most
    }
}

#[tokio::test]
async fn fragmentation_takes_pages_at_the_rate_it_was_given_and_stops_when_told() {
    let program = Program::start().await;
    for rate in [5.0 * MIB, 30.0 * MIB] {
        // Pages that are free already are taken first.
        let start = program.resident();
        program.set("fragmentation", rate).await;
        let (early, began) = program.until_grown(start, rate).await;
        let allocated = program.allocated().await;
        let (late, ended) = program.until_grown(early, rate * 3.0).await;
        let measured = (late - early) / (ended - began).as_secs_f64();
        assert!((0.8..1.2).contains(&(measured / rate)), "{measured} at a rate of {rate}");
        program.set("fragmentation", 0.0).await;
        let used = program.allocated().await - allocated;
        let grown = program.resident() - early;
        assert!(used < grown * 0.25, "{used} of {grown} is in use");
        let stopped = program.resident();
        let most = program.most_within(Duration::from_millis(500)).await;
        assert!(most - stopped < rate * 0.05, "grew by {} after it was stopped", most - stopped);
        assert!(program.resident() - start > rate, "pages in use cannot be given back");
    }
}
