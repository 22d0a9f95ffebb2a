//! The watchdog dies and comes back: what its detectors knew is still there.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Program, SOON, Watchdog, eventually, shipped};

const STATE: &str = "state/detectors";

/// A process to watch, and the directory and configuration of whoever watches it.
struct Stage {
    process: Program,
    data: TempDir,
    config: String,
}

impl Stage {
    fn new(settings: &str) -> Self {
        let process = Program::start(Command::new("sleep").arg("600"));
        let data = tempfile::tempdir().expect("a directory");
        let config = data.path().join("oomen.toml");
        let target = format!("[[target]]\nname = \"job\"\npid = {}\n", process.pid());
        fs::write(&config, format!("{settings}\n{target}")).expect("written");
        let config = format!("--config={}", config.display());
        Self { process, data, config }
    }

    fn state(&self) -> std::path::PathBuf {
        self.data.path().join(STATE)
    }

    async fn watch(&self) -> Watchdog {
        let flags = [self.config.as_str(), "--limit=64MiB"];
        let mut command = Command::new(shipped("oomen"));
        let watchdog = Watchdog::start_as(&mut command, self.data.path(), &flags).await;
        eventually("a sample", SOON, async || {
            let targets = watchdog.api("targets").await;
            targets["targets"].get(0).filter(|target| !target["sample"].is_null()).cloned()
        })
        .await;
        watchdog
    }
}

async fn rows(watchdog: &Watchdog) -> Vec<Value> {
    let series = watchdog.api("targets/job/series").await;
    series["rows"].as_array().expect("rows").clone()
}

fn at(row: &Value) -> f64 {
    row["at"].as_f64().expect("a moment")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_series_reaches_back_before_a_kill_and_before_an_orderly_stop() {
    let stage = Stage::new("state_interval = \"1s\"");
    let mut first = stage.watch().await;
    eventually("a state on the disk", SOON, async || stage.state().exists().then_some(())).await;
    let seen = rows(&first).await;
    first.program.kill();

    let second = stage.watch().await;
    second.program.says("the detectors go on where an earlier watchdog left them").await;
    let again = rows(&second).await;
    assert_eq!(at(&again[0]), at(&seen[0]), "the first row is still there");
    assert!(again.windows(2).all(|pair| at(&pair[0]) < at(&pair[1])), "{again:?}");
    assert!(at(again.last().expect("a row")) > at(seen.last().expect("a row")));
    let target = second.api("targets/job").await;
    assert_eq!(target["identity"]["pid"], stage.process.pid());
    let last = at(rows(&second).await.last().expect("a row"));
    assert_eq!(second.stop().await.code(), Some(0));

    // At an orderly stop nothing is lost, whatever the interval.
    let third = stage.watch().await;
    assert!(rows(&third).await.iter().any(|row| at(row) >= last), "the last samples are lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_state_is_refused_with_its_reason_and_watching_goes_on() {
    let stage = Stage::new("");
    assert_eq!(stage.watch().await.stop().await.code(), Some(0));
    let mut bytes = fs::read(stage.state()).expect("a state");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(stage.state(), &bytes).expect("damaged");

    let began = std::time::SystemTime::now();
    let watchdog = stage.watch().await;
    let line = watchdog.program.says("the detectors' state is refused").await;
    assert!(line.contains("every target starts cold"), "{line}");
    assert!(line.contains("its checksum is wrong"), "{line}");
    let refused = stage.data.path().join("state/detectors.refused");
    assert_eq!(fs::read(refused).expect("kept for whoever looks into it"), bytes);
    let wall = rows(&watchdog).await[0]["wall"].as_f64().expect("a time");
    let began = began.duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs_f64();
    assert!(wall >= began, "a row from before");
    // A good one takes its place.
    assert_eq!(watchdog.stop().await.code(), Some(0));
    assert!(stage.state().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_cannot_be_written_is_said_once_and_watching_goes_on() {
    let stage = Stage::new("state_interval = \"1s\"");
    // Where the directory should be made there is a file: root may write anywhere else.
    fs::write(stage.data.path().join("state"), "in the way").expect("written");
    let watchdog = stage.watch().await;
    let said = "the detectors' state cannot be written";
    watchdog.program.says(said).await;
    let reads = "oomen_source_reads_total{target=\"job\",source=\"proc\",outcome=\"ok\"}";
    let before = watchdog.metric(reads).await.expect("a series");
    tokio::time::sleep(Duration::from_secs(2)).await;
    watchdog.metric_fits(reads, |count| count > before).await;
    let outcome = watchdog.stop().await;
    assert_eq!(outcome.code(), Some(0));
    assert_eq!(outcome.stderr.matches(said).count(), 1, "{}", outcome.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_judged_by_itself_and_leaves_no_state() {
    let report = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(shipped("oomen"));
    command.args(["run", "--for=1s", "--report"]).arg(report.path()).args(["--", "sleep", "60"]);
    let outcome = Program::run(&mut command, SOON).await;
    assert_eq!(outcome.code(), Some(4), "{outcome:?}");
    assert!(report.path().join("report.json").exists());
    assert!(!Path::new(&report.path().join("state")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_becomes_another_program_begins_anew() {
    let mut wrapper = Command::new("sh");
    wrapper.args(["-c", "trap 'exec sleep 600' USR1; while :; do sleep 0.1; done"]);
    let process = Program::start(&mut wrapper);
    let pid = format!("--pid={}", process.pid());
    let watchdog = Watchdog::start(&[&pid, "--name=job", "--limit=64MiB"]).await;
    let sampled = "oomen_target_up{target=\"job\"}";
    watchdog.metric_fits(sampled, |up| up == 1.0).await;
    process.signal(Signal::USR1);
    let line = watchdog.program.says("the process has become another program").await;
    assert!(line.contains("sleep"), "{line}");
    let target = watchdog.api("targets/job").await;
    assert_eq!((&target["up"], &target["identity"]["pid"]), (&true.into(), &process.pid().into()));
    let age = target["sample"]["age"].as_f64().expect("an age");
    assert!(age < 10.0, "its memory is {age} s old");
}
