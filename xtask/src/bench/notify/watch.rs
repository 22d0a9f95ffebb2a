//! The watchdog under test: it watches the leakers and tells four receivers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::leakers::Leakers;
use super::receiver::{Arrivals, Manner, Receiver};
use crate::demo::slack::SlackRecord;
use crate::demo::stage::{Owned, free_port, wait_for};
use crate::{http, release};

/// Everybody who is told, in the order of the tables.
pub(super) const SINKS: [&str; 4] = ["slack", "alertmanager", "loki", "webhook"];
const READY: Duration = Duration::from_secs(20);
/// As much as the leak of a few seconds takes, so that it is told of within a few seconds.
const LIMIT: &str = "256MiB";

/// A watchdog and everybody it tells. The order of the fields is the order in which they are stopped.
#[derive(Debug)]
pub(super) struct Watch {
    _oomen: Owned,
    addr: SocketAddr,
    /// Slack, where it answers: the server and what it says.
    slack: Option<(Owned, SlackRecord)>,
    _receivers: Vec<Receiver>,
    pub(super) arrivals: Arrivals,
    names: Vec<String>,
}

/// How late the looks at all targets were.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sampling {
    pub(super) samples: f64,
    pub(super) delay_s: f64,
    pub(super) longest_s: f64,
}

impl Watch {
    /// Starts it with its files in `data`, and waits until it watches every leaker.
    pub(super) fn start(leakers: &Leakers, manner: Manner, data: &Path) -> Result<Self> {
        let names = leakers.names();
        let arrivals = Arrivals::of(names.clone());
        let mut receivers = Vec::new();
        let mut urls = BTreeMap::new();
        let mut slack = None;
        for sink in SINKS {
            if sink == "slack" && manner == Manner::Answers {
                let (server, record) = start_slack()?;
                urls.insert(sink, record.url.clone());
                slack = Some((server, record));
            } else {
                let receiver = Receiver::start(sink, manner, &arrivals)?;
                urls.insert(sink, format!("http://{}", receiver.addr));
                receivers.push(receiver);
            }
        }
        let addr = free_port()?;
        let config = write_config(data, addr, &urls, leakers)?;
        let log = std::fs::File::create(data.join("oomen.log"))?;
        let oomen = Command::new(release::directory().join("oomen"))
            .args(["watch", "--config"])
            .arg(config)
            .env("OOMEN_SLACK_TOKEN", "xoxb-bench")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("oomen does not start")?;
        let _oomen = Owned(oomen);
        let watch = Self { _oomen, addr, slack, _receivers: receivers, arrivals, names };
        let wanted = watch.names.len();
        wait_for(&format!("{wanted} targets; see {}", data.display()), READY, || {
            let up = sum(&watch.metrics()?, "oomen_target_up{", "");
            Ok((up >= wanted as f64).then_some(()))
        })?;
        Ok(watch)
    }

    /// Notes what Slack has taken meanwhile. Its server takes the time when it has read and checked a message, so that
    /// what is measured is longer than the way to it.
    pub(super) fn read_slack(&self, patience: Duration) -> Result<()> {
        let Some((_, record)) = &self.slack else {
            std::thread::sleep(patience);
            return Ok(());
        };
        let mut message = record.next(patience)?;
        while let Some(one) = message {
            self.arrivals.note("slack", one.at_unix, one.raw.as_bytes());
            message = record.next(Duration::ZERO)?;
        }
        Ok(())
    }

    /// When it was decided to tell people of each target, in Unix seconds.
    pub(super) fn told(&self) -> Result<Vec<Option<f64>>> {
        let (status, body) = http::get(self.addr, "/api/v1/incidents")?;
        ensure!(status == 200, "the watchdog answers {status}");
        let answer: Value = serde_json::from_slice(&body)?;
        let incidents = answer["incidents"].as_array().context("no incidents in the answer")?;
        let told = |name: &String| {
            let of = incidents.iter().filter(|i| i["target"]["name"].as_str() == Some(name));
            of.filter_map(|incident| incident["told"].as_f64()).reduce(f64::min)
        };
        Ok(self.names.iter().map(told).collect())
    }

    /// How late it looked so far.
    pub(super) fn sampling(&self) -> Result<Sampling> {
        Ok(sampling(&self.metrics()?))
    }

    fn metrics(&self) -> Result<String> {
        let (status, body) = http::get(self.addr, "/metrics")?;
        ensure!(status == 200, "the watchdog answers {status}");
        Ok(String::from_utf8(body)?)
    }
}

fn start_slack() -> Result<(Owned, SlackRecord)> {
    let mut child = Command::new(release::directory().join("slack-server"))
        .args(["--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("slack-server does not start")?;
    let stdout = child.stdout.take().context("slack-server has no stdout");
    let server = Owned(child);
    Ok((server, SlackRecord::follow(stdout?)?))
}

fn write_config(
    data: &Path,
    listen: SocketAddr,
    urls: &BTreeMap<&str, String>,
    leakers: &Leakers,
) -> Result<PathBuf> {
    let url = |sink: &str| urls.get(sink).map(String::as_str).unwrap_or_default();
    let quoted = |path: PathBuf| toml::Value::from(path.to_string_lossy().into_owned());
    let mut text = format!(
        "listen = \"{listen}\"\ndata_dir = {}\nrecorder_dir = {}\n\
         [detector]\nwarm_up = \"1s\"\n\
         [slack]\nchannel = \"#oncall\"\napi_url = \"{}/api/\"\n\
         [alertmanager]\nurls = [\"{}\"]\n[loki]\nurl = \"{}\"\n[webhook]\nurl = \"{}/oomen\"\n",
        quoted(data.join("watchdog")),
        quoted(recorders(data)),
        url("slack"),
        url("alertmanager"),
        url("loki"),
        url("webhook"),
    );
    for (name, pid) in leakers.names().iter().zip(leakers.pids()) {
        writeln!(text, "[[target]]\nname = \"{name}\"\npid = {pid}\nlimit = \"{LIMIT}\"")?;
    }
    let path = data.join("oomen.toml");
    std::fs::write(&path, text)?;
    Ok(path)
}

/// Where the leakers' flight recorders are.
pub(super) fn recorders(data: &Path) -> PathBuf {
    data.join("recorder")
}

fn sampling(metrics: &str) -> Sampling {
    let longest = values(metrics, "oomen_target_sample_delay_max_seconds{", "");
    Sampling {
        samples: sum(metrics, "oomen_source_reads_total{", "source=\"proc\""),
        delay_s: sum(metrics, "oomen_target_sample_delay_seconds_total{", ""),
        longest_s: longest.fold(0.0, f64::max),
    }
}

fn sum(metrics: &str, begins: &str, contains: &str) -> f64 {
    values(metrics, begins, contains).sum()
}

/// Values of the series that begin and contain so.
fn values<'a>(text: &'a str, begins: &'a str, contains: &'a str) -> impl Iterator<Item = f64> {
    text.lines()
        .filter(move |line| line.starts_with(begins) && line.contains(contains))
        .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_looks_at_all_targets_are_counted_together() {
        let metrics = "# TYPE oomen_source_reads_total counter\n\
            oomen_source_reads_total{target=\"a\",source=\"proc\",outcome=\"ok\"} 90\n\
            oomen_source_reads_total{target=\"b\",source=\"proc\",outcome=\"error\"} 10\n\
            oomen_source_reads_total{target=\"b\",source=\"cgroup\",outcome=\"ok\"} 7\n\
            oomen_target_sample_delay_seconds_total{target=\"a\"} 0.25\n\
            oomen_target_sample_delay_seconds_total{target=\"b\"} 0.5\n\
            oomen_target_sample_delay_max_seconds{target=\"a\"} 0.125\n\
            oomen_target_sample_delay_max_seconds{target=\"b\"} 0.0625\n";
        let expected = Sampling { samples: 100.0, delay_s: 0.75, longest_s: 0.125 };
        assert_eq!(sampling(metrics), expected);
    }
}
