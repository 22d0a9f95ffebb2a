//! A real Prometheus that scrapes a few addresses every second, as pods of one namespace, and evaluates the shipped rules.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::lab::{Folder, free_port};
use crate::sh::Background;
use crate::{http, root};

const START: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(250);
/// Every file of rules that is shipped.
pub(super) const RULES: &str = "alerts/*.rules.yaml";

/// The server; it ends when this is dropped.
pub(super) struct Prometheus {
    addr: SocketAddr,
    _server: Background,
    _folder: Folder,
}

impl Prometheus {
    /// Starts it on a free port and waits until it has scraped each of `targets` once.
    pub(super) fn start(targets: &[SocketAddr]) -> Result<Self> {
        let folder = Folder::new("prometheus")?;
        let config = folder.path().join("prometheus.yml");
        fs::write(&config, configuration(targets, &root().join(RULES).to_string_lossy()))?;
        let addr = free_port()?;
        let mut server = Background::start(
            Command::new("prometheus")
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
                .arg(format!("--web.listen-address={addr}"))
                .arg("--log.level=warn"),
            &folder.path().join("prometheus.log"),
        )?;
        server
            .wait_until("ready", START, || matches!(http::get(addr, "/-/ready"), Ok((200, _))))?;
        server.wait_until("up to date with its targets", START, || scraped(addr, targets.len()))?;
        Ok(Self { addr, _server: server, _folder: folder })
    }

    /// How many rules it evaluates; an error while one of them fails or was not evaluated yet.
    pub(super) fn healthy_rules(&self) -> Result<usize> {
        let data = api(self.addr, "/api/v1/rules")?;
        let groups = data["groups"].as_array().context("no groups in the answer")?;
        let rules: Vec<_> =
            groups.iter().filter_map(|group| group["rules"].as_array()).flatten().collect();
        for rule in &rules {
            ensure!(
                rule["health"] == "ok",
                "{}: {} {}",
                rule["name"],
                rule["health"],
                rule["lastError"]
            );
        }
        Ok(rules.len())
    }

    /// The labels of each series that an instant query returns now.
    pub(super) fn series(&self, query: &str) -> Result<Vec<Value>> {
        series(self.addr, query)
    }

    /// The labels of each series that a query returns over the time until now, asked for every second as by a panel.
    pub(super) fn series_over(&self, query: &str, span: Duration) -> Result<Vec<Value>> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let (start, end) = (now.saturating_sub(span).as_secs(), now.as_secs());
        let query = http::encode(query);
        let path = format!("/api/v1/query_range?query={query}&start={start}&end={end}&step=1");
        Ok(labels(&api(self.addr, &path)?))
    }

    /// Waits until `done` holds; its last error or `false` when the time is over.
    pub(super) fn wait(
        &self,
        deadline: Duration,
        done: impl Fn(&Self) -> Result<bool>,
    ) -> Result<bool> {
        let until = Instant::now() + deadline;
        loop {
            match done(self) {
                Ok(true) => return Ok(true),
                last if Instant::now() >= until => return last,
                _ => thread::sleep(POLL),
            }
        }
    }
}

fn configuration(targets: &[SocketAddr], rules: &str) -> String {
    let targets = targets.iter().zip(1..).map(|(target, number)| {
        format!(
            "  - targets: ['{target}']\n    labels: {{ namespace: shop, pod: recommendations-{number} }}\n"
        )
    });
    format!(
        "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files: ['{rules}']\n\
         scrape_configs:\n- job_name: oomen\n  static_configs:\n{}",
        targets.collect::<String>()
    )
}

fn scraped(addr: SocketAddr, targets: usize) -> bool {
    series(addr, "up == 1").is_ok_and(|found| found.len() == targets)
}

fn series(addr: SocketAddr, query: &str) -> Result<Vec<Value>> {
    let data = api(addr, &format!("/api/v1/query?query={}", http::encode(query)))?;
    match data["resultType"].as_str() {
        Some("vector") => Ok(labels(&data)),
        other => bail!("{query}: a result of type {other:?}"),
    }
}

fn labels(data: &Value) -> Vec<Value> {
    let result = data["result"].as_array();
    result.into_iter().flatten().map(|series| series["metric"].clone()).collect()
}

fn api(addr: SocketAddr, path: &str) -> Result<Value> {
    let (status, body) = http::get(addr, path)?;
    let mut answer: Value = serde_json::from_slice(&body)
        .with_context(|| format!("{status}: {}", String::from_utf8_lossy(&body)))?;
    ensure!(answer["status"] == "success", "{}: {}", answer["errorType"], answer["error"]);
    Ok(answer["data"].take())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_the_targets_and_the_rules() {
        let targets = [9911, 9912].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let text = configuration(&targets, "/r.yaml");
        assert!(text.contains("\n  - targets: ['127.0.0.1:9911']\n"), "{text}");
        assert!(text.contains("\n  - targets: ['127.0.0.1:9912']\n"), "{text}");
        assert!(text.contains("rule_files: ['/r.yaml']\n"), "{text}");
    }
}
