//! The faults in the program as it is shipped: that they leak, how fast, in which function, and that they stop.

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
        let mut child = Command::new(env!("CARGO_BIN_EXE_users"))
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
        let admin = timeout(Duration::from_secs(20), listening).await.unwrap();
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

    /// Polls until this much more is resident than `before`, and gives the time it took.
    async fn until_grown(&self, before: f64, by: f64) -> Duration {
        let started = Instant::now();
        let grown = async {
            let mut ticks = interval(Duration::from_millis(20));
            while self.resident() < before + by {
                ticks.tick().await;
            }
        };
        timeout(Duration::from_secs(30), grown).await.expect("the fault grows");
        started.elapsed()
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
async fn the_mappings_leak_at_the_rate_that_was_given_outside_the_allocator_until_told() {
    let program = Program::start().await;
    for rate in [5.0 * MIB, 50.0 * MIB] {
        let (before, allocated) = (program.resident(), program.allocated().await);
        program.set("native-mmap", rate).await;
        let took = program.until_grown(before, rate * 1.5).await;
        let grown = program.resident() - before;
        let measured = grown / took.as_secs_f64();
        assert!((0.8..1.2).contains(&(measured / rate)), "{measured} at a rate of {rate}");
        program.set("native-mmap", 0.0).await;
        let allocated = program.allocated().await - allocated;
        assert!(allocated < grown * 0.1, "the allocator knows {allocated} of {grown}");
        let stopped = program.resident();
        let most = program.most_within(Duration::from_millis(500)).await;
        assert!(most - stopped < rate * 0.1, "grew by {} after it was stopped", most - stopped);
        assert!(most - before > rate, "a leak is not given back when it stops");
    }
}
