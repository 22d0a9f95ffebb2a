//! A real Prometheus that scrapes a few addresses every second, as pods, evaluates the shipped rules, and tells an
//! Alertmanager.

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
const RULES: &str = "alerts/*.rules.yaml";

/// An address that is scraped, and what it is said to be.
#[derive(Debug)]
pub(crate) struct Scraped {
    pub(crate) job: &'static str,
    pub(crate) namespace: &'static str,
    pub(crate) pod: String,
    pub(crate) addr: SocketAddr,
}

/// The server; it ends when this is dropped.
pub(crate) struct Prometheus {
    addr: SocketAddr,
    _server: Background,
    _folder: Folder,
}

impl Prometheus {
    /// Starts it on a free port and waits until it has scraped each of `targets` once.
    pub(crate) fn start(targets: &[Scraped], alertmanager: Option<SocketAddr>) -> Result<Self> {
        let folder = Folder::new("prometheus")?;
        let config = folder.path().join("prometheus.yml");
        let rules = root().join(RULES);
        fs::write(&config, configuration(targets, &rules.to_string_lossy(), alertmanager))?;
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
    pub(crate) fn healthy_rules(&self) -> Result<usize> {
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

    /// What the API answers under `data`.
    pub(crate) fn api(&self, path: &str) -> Result<Value> {
        api(self.addr, path)
    }

    /// The labels of each series that an instant query returns now.
    pub(crate) fn series(&self, query: &str) -> Result<Vec<Value>> {
        series(self.addr, query)
    }

    /// The labels of each series that a query returns over the time until now, asked for every second as by a panel.
    pub(crate) fn series_over(&self, query: &str, span: Duration) -> Result<Vec<Value>> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let (start, end) = (now.saturating_sub(span).as_secs(), now.as_secs());
        let query = http::encode(query);
        let path = format!("/api/v1/query_range?query={query}&start={start}&end={end}&step=1");
        Ok(labels(&api(self.addr, &path)?))
    }

    /// Waits until `done` holds; its last error or `false` when the time is over.
    pub(crate) fn wait(
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

fn configuration(targets: &[Scraped], rules: &str, alertmanager: Option<SocketAddr>) -> String {
    let targets = targets.iter().map(|Scraped { job, namespace, pod, addr }| {
        format!(
            "  - targets: ['{addr}']\n    labels: {{ job: {job}, namespace: {namespace}, pod: {pod} }}\n"
        )
    });
    let alerting = alertmanager.map_or_else(String::new, |addr| {
        format!("alerting:\n  alertmanagers:\n  - static_configs:\n    - targets: ['{addr}']\n")
    });
    format!(
        "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files: ['{rules}']\n{alerting}\
         scrape_configs:\n- job_name: lab\n  static_configs:\n{}",
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
    fn the_configuration_names_the_targets_the_rules_and_who_is_told() {
        let scraped = |port, pod: &str| Scraped {
            job: "oomen",
            namespace: "shop",
            pod: pod.to_owned(),
            addr: SocketAddr::from(([127, 0, 0, 1], port)),
        };
        let targets = [scraped(9911, "a"), scraped(9912, "b")];
        let told = SocketAddr::from(([127, 0, 0, 1], 9093));
        let text = configuration(&targets, "/r.yaml", Some(told));
        for part in [
            "\n  - targets: ['127.0.0.1:9911']\n    labels: { job: oomen, namespace: shop, pod: a }\n",
            "\n  - targets: ['127.0.0.1:9912']\n",
            "rule_files: ['/r.yaml']\n",
            "\n    - targets: ['127.0.0.1:9093']\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!configuration(&targets, "/r.yaml", None).contains("alerting"));
    }
}
