//! A running `oomen watch` and what it says of itself.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::service::field;
use super::{Outcome, Program, SOON, eventually, get, get_json, http, shipped};

/// The watchdog as shipped, with its page on a port of its own.
pub(crate) struct Watchdog {
    pub(crate) program: Program,
    /// The address of its page.
    pub(crate) url: String,
    _data: Option<TempDir>,
}

impl Watchdog {
    /// `oomen watch` with these flags beside those that every test needs.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(shipped("oomen"));
        let mut watchdog = Self::start_as(&mut command, data.path(), flags).await;
        watchdog._data = Some(data);
        watchdog
    }

    /// The same by way of a command that ends in the program's name.
    pub(crate) async fn start_as(command: &mut Command, data: &Path, flags: &[&str]) -> Self {
        command.args(["watch", "--listen=127.0.0.1:0", "--warm-up=1s", "--data-dir"]).arg(data);
        // What the tests themselves are to log is none of its business.
        if !command.get_envs().any(|(name, _)| name == "RUST_LOG") {
            command.env_remove("RUST_LOG");
        }
        let program = Program::start(command.args(flags));
        let line = program.says("are served").await;
        let address = field(&line, "address=").expect("its address");
        Self { program, url: format!("http://{address}"), _data: None }
    }

    pub(crate) async fn metrics(&self) -> String {
        get(&format!("{}/metrics", self.url)).await.expect("metrics")
    }

    /// One series' value, `None` where there is none.
    pub(crate) async fn metric(&self, series: &str) -> Option<f64> {
        value(&self.metrics().await, series)
    }

    /// Waits until a series' value fits.
    pub(crate) async fn metric_fits(&self, series: &str, fits: impl Fn(f64) -> bool) -> f64 {
        eventually(series, SOON, async || self.metric(series).await.filter(|value| fits(*value)))
            .await
    }

    pub(crate) async fn api(&self, path: &str) -> Value {
        get_json(&format!("{}/api/v1/{path}", self.url)).await.expect("an answer")
    }

    /// Waits until an incident fits.
    pub(crate) async fn incident(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually(what, SOON, async || {
            let answer = self.api("incidents").await;
            let incidents = answer["incidents"].as_array().expect("a list");
            incidents.iter().find(|incident| fits(incident)).cloned()
        })
        .await
    }

    /// Asks for a heap profile now; true if one was stored.
    pub(crate) async fn capture(&self, target: &str) -> bool {
        let url = format!("{}/api/v1/targets/{target}/heap-dumps", self.url);
        http().post(url).send().await.is_ok_and(|answer| answer.status().is_success())
    }

    /// Waits until the first profile is there, with which later ones are compared.
    pub(crate) async fn has_baseline(&self, target: &str) {
        let captures = format!("oomen_heap_captures_total{{target=\"{target}\",outcome=\"ok\"}}");
        self.metric_fits(&captures, |count| count >= 1.0).await;
    }

    /// Everything that people can read of it.
    pub(crate) async fn everything_readable(&self) -> String {
        let mut text = self.program.stdout() + &self.program.stderr();
        for path in ["metrics", "api/v1/targets", "api/v1/incidents", "api/v1/heap-dumps", ""] {
            text += &get(&format!("{}/{path}", self.url)).await.expect("an answer");
        }
        text
    }

    /// SIGTERM, to be obeyed within five seconds.
    pub(crate) async fn stop(self) -> Outcome {
        self.program.signal(Signal::TERM);
        self.program.ended(std::time::Duration::from_secs(5)).await
    }
}

/// A series' value in an exposition.
pub(crate) fn value(metrics: &str, series: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}
