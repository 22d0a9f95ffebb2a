//! Records real runs: a program of the gallery under a limit that kills, a watchdog beside it, both scraped together.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};

use super::recording::{Recording, Series, TRUTH};
use crate::demo::stage::free_port;
use crate::sh::Background;
use crate::{http, release, root};

/// What is run, and how it is scraped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) name: &'static str,
    program: &'static str,
    /// Bytes a second that are kept, or handled.
    rate: u64,
    limit_mib: u64,
    step: usize,
    /// It is ended then, if the kernel has not.
    seconds: usize,
    pub(super) leaks: bool,
}

/// Leaks that take a minute, five and fifteen; innocents of each kind that rules take for a leak.
pub(super) const RUNS: [Run; 8] = [
    leak("leak-of-a-minute", "unbounded-cache", 4_000_000, 1),
    leak("leak-of-five-minutes", "library", 900_000, 5),
    leak("leak-of-a-quarter-hour", "reference-cycle", 300_000, 5),
    innocent("bounded-cache", 600_000, 96),
    innocent("batch-sawtooth", 1_000_000, 64),
    innocent("page-cache", 3_000_000, 128),
    innocent("warm-up", 1_000_000, 192),
    innocent("connection-pool", 2_000_000, 64),
];

const fn leak(name: &'static str, program: &'static str, rate: u64, step: usize) -> Run {
    Run { name, program, rate, limit_mib: 256, step, seconds: 1800, leaks: true }
}

const fn innocent(name: &'static str, rate: u64, limit_mib: u64) -> Run {
    Run { name, program: name, rate, limit_mib, step: 5, seconds: 600, leaks: false }
}

/// How long after a kill the watchdog is still scraped, so that the kill itself is seen to be told.
const AFTERWARDS: usize = 30;
const INSTANCE: &str = "instance=\"recorded\",job=\"oomen\"";
const START: Duration = Duration::from_secs(30);
/// How the watchdog's metrics end that are times of day.
const TIME_SUFFIXES: [&str; 2] = ["_timestamp_seconds", "_start_time_seconds"];

/// The series of one scrape.
type Scrape = BTreeMap<String, f64>;

impl Run {
    fn about(self) -> String {
        let Self { program, rate, limit_mib, step, .. } = self;
        format!(
            "{program} at {rate} bytes a second below a limit of {limit_mib} MiB every {step} s"
        )
    }

    /// Runs it until the kernel has killed it, or its time is over. Of the watchdog's series those are kept that
    /// `is_wanted` takes, with three decimals.
    pub(super) fn record(self, is_wanted: &dyn Fn(&str) -> bool) -> Result<Recording> {
        let mut stage = Stage::set(self)?;
        let (started, began) = (Instant::now(), SystemTime::UNIX_EPOCH.elapsed()?.as_secs_f64());
        let mut scrapes: Vec<Scrape> = Vec::new();
        let (mut last, mut ended) = (self.seconds / self.step, false);
        while scrapes.len() <= last {
            let due = Duration::from_secs((scrapes.len() * self.step) as u64);
            thread::sleep(due.saturating_sub(started.elapsed()));
            if !ended && stage.program.ended()? {
                ended = true;
                last = scrapes.len() + AFTERWARDS / self.step;
            }
            let mut scrape = stage.watchdog(began, is_wanted)?;
            if !ended {
                scrape.extend(stage.container(self)?);
                scrape.insert(TRUTH.into(), f64::from(u8::from(self.leaks)));
            }
            scrapes.push(scrape);
        }
        ensure!(ended == self.leaks, "{}: ended: {ended}, which it was not to do", self.name);
        Ok(Recording { about: self.about(), step: self.step, series: columns(&scrapes) })
    }
}

/// The program in its cgroup and the watchdog beside it.
struct Stage {
    _oomen: Background,
    program: Background,
    watchdog: SocketAddr,
    /// Last, so that it goes after those that are in it.
    remains: Remains,
}

/// What is to be removed when all has ended.
struct Remains {
    cgroup: PathBuf,
    folder: PathBuf,
}

impl Drop for Remains {
    fn drop(&mut self) {
        // What cannot be removed lies under target/, or is an empty cgroup, and harms nobody.
        let _ = fs::remove_dir(&self.cgroup);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Stage {
    fn set(run: Run) -> Result<Self> {
        let name = format!("record-{}-{}", run.name, std::process::id());
        let folder = root().join("target/xtask").join(&name);
        fs::create_dir_all(&folder)?;
        let (admin, watchdog) = (free_port()?, free_port()?);
        let oomen = release::directory().join("oomen");
        let mut program = Background::start(
            Command::new(&oomen)
                .args(["confine", "--name", &name, "--limit", &format!("{}MiB", run.limit_mib)])
                .arg("--")
                .arg(release::directory().join("gallery"))
                .args([run.program, "--rate", &run.rate.to_string()])
                .args(["--admin", &admin.to_string()]),
            &folder.join("program.log"),
        )?;
        program.wait_until("listening", START, || TcpStream::connect(admin).is_ok())?;
        let mut oomen = Background::start(
            Command::new(&oomen)
                .args(["watch", "--pid", &program.pid().to_string(), "--name", run.name])
                .args(["--probe", &format!("http://{admin}"), "--listen", &watchdog.to_string()])
                .arg("--data-dir")
                .arg(folder.join("data")),
            &folder.join("oomen.log"),
        )?;
        oomen.wait_until("ready", START, || {
            matches!(http::get(watchdog, "/health/ready"), Ok((200, _)))
        })?;
        let mounts = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"];
        let places = mounts.map(|mount| Path::new(mount).join("oomen").join(&name));
        let cgroup = places.into_iter().find(|place| place.join("memory.stat").is_file());
        let cgroup = cgroup.context("the program's cgroup is not to be found")?;
        Ok(Self { _oomen: oomen, program, watchdog, remains: Remains { cgroup, folder } })
    }

    /// What the watchdog says. Times of day count from the first scrape, as those of promtool do.
    fn watchdog(&self, began: f64, is_wanted: &dyn Fn(&str) -> bool) -> Result<Scrape> {
        let (status, body) = http::get(self.watchdog, "/metrics")?;
        ensure!(status == 200, "/metrics: {status}");
        let text = String::from_utf8(body)?;
        let mut scrape = Scrape::from([(labelled("up", INSTANCE), 1.0)]);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            if !is_wanted(series) {
                continue;
            }
            let is_time = TIME_SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
            let value: f64 = value.parse().with_context(|| line.to_owned())?;
            let value = if is_time { value - began } else { value };
            let value = (value * 1000.0).round() / 1000.0;
            let labels = labels.trim_end_matches('}').trim_end_matches(',');
            let comma = if labels.is_empty() { "" } else { "," };
            scrape.insert(labelled(name, &format!("{INSTANCE}{comma}{labels}")), value);
        }
        Ok(scrape)
    }

    /// What cAdvisor says of the container: its cgroup's usage without inactive file pages, its anonymous memory, its limit.
    fn container(&self, run: Run) -> Result<Scrape> {
        let read = |name: &str| fs::read_to_string(self.remains.cgroup.join(name));
        let usage = read("memory.usage_in_bytes").or_else(|_| read("memory.current"))?;
        let usage: f64 = usage.trim().parse().context("the cgroup's usage")?;
        let stat = read("memory.stat")?;
        let stat = |names: [&str; 2]| {
            let lines = stat.lines().filter_map(|line| line.split_once(' '));
            let value =
                lines.filter(|(name, _)| names.contains(name)).map(|(_, value)| value).next_back();
            value.and_then(|value| value.parse::<f64>().ok()).context("a line of memory.stat")
        };
        // Version 1 has sums over the children, version 2 nothing else.
        let inactive = stat(["total_inactive_file", "inactive_file"])?;
        let anonymous = stat(["total_rss", "anon"])?;
        let limit = (run.limit_mib << 20) as f64;
        let container = format!("container=\"{}\"", run.name);
        Ok(Scrape::from([
            (
                labelled("container_memory_working_set_bytes", &container),
                (usage - inactive).max(0.0),
            ),
            (labelled("container_memory_rss", &container), anonymous),
            (labelled("container_spec_memory_limit_bytes", &container), limit),
        ]))
    }
}

fn labelled(name: &str, labels: &str) -> String {
    format!("{name}{{{labels}}}")
}

/// One series with a value, or none, of each scrape.
fn columns(scrapes: &[Scrape]) -> Vec<Series> {
    let names: BTreeSet<&String> = scrapes.iter().flat_map(BTreeMap::keys).collect();
    let values = |name| scrapes.iter().map(|scrape| scrape.get(name).copied()).collect();
    names.into_iter().map(|name| Series { name: name.clone(), values: values(name) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_that_is_missing_in_a_scrape_has_a_gap_there() {
        let scrape = |pairs: &[(&str, f64)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect::<Scrape>()
        };
        let columns = columns(&[scrape(&[("a", 1.0)]), scrape(&[("a", 2.0), ("b", 3.0)])]);
        assert_eq!(columns[0].values, [Some(1.0), Some(2.0)]);
        assert_eq!((columns[1].name.as_str(), &columns[1].values), ("b", &vec![None, Some(3.0)]));
    }

    #[test]
    fn runs_have_names_of_their_own_and_steps_that_fit_a_scrape_interval() {
        let names: BTreeSet<_> = RUNS.iter().map(|run| run.name).collect();
        assert_eq!(names.len(), RUNS.len());
        assert!(RUNS.iter().all(|run| 15 % run.step == 0));
    }
}
