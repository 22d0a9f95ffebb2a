//! Rules fitted to a target: written by the watchdog that has learned, taken by a real Prometheus, and firing there when
//! the watchdog is gone.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::learned::{learned, wall};
use crate::support::{
    Outcome, Program, SOON, Watchdog, eventually, free_port, get, get_json, needs_root, place,
    shipped,
};

const MIB: f64 = 1024.0 * 1024.0;

/// A process, and what an earlier watchdog has learned of its like in twelve hours.
struct Stage {
    process: Program,
    data: TempDir,
    rules: TempDir,
}

impl Stage {
    fn new() -> Self {
        let (data, rules) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        // Under a name of its own: when it ends, the next of its name is watched, and other tests sleep as well.
        let program = data.path().join(data.path().file_name().expect("a name"));
        place(Path::new("/bin/sleep"), &program);
        let process = Program::start(Command::new(&program).arg0("sleep").arg("600"));
        learned(data.path(), "job");
        Self { process, data, rules }
    }

    fn file(&self) -> PathBuf {
        self.rules.path().join("fitted.yaml")
    }

    async fn watch(&self, limit: &str, settings: &str) -> Watchdog {
        let config = self.data.path().join("oomen.toml");
        let text = format!(
            "[[target]]\nname = \"job\"\npid = {}\n[rules]\nfile = {:?}\ninterval = \"1s\"\n{settings}\n",
            self.process.pid(),
            self.file(),
        );
        fs::write(&config, text).expect("written");
        let flags = [format!("--config={}", config.display()), format!("--limit={limit}")];
        let mut command = Command::new(shipped("oomen"));
        let flags = flags.each_ref().map(String::as_str);
        Watchdog::start_as(&mut command, self.data.path(), &flags).await
    }

    async fn says(&self, part: &str) -> String {
        eventually(&format!("`{part}` in the rule file"), SOON, async || {
            fs::read_to_string(self.file()).ok().filter(|text| text.contains(part))
        })
        .await
    }
}

async fn promtool(arguments: &[&str], files: &[&Path]) -> Outcome {
    let outcome = Program::run(Command::new("promtool").args(arguments).args(files), SOON).await;
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    outcome
}

async fn rules(arguments: &[&str]) -> Outcome {
    let mut command = Command::new(shipped("oomen"));
    Program::run(command.arg("rules").args(arguments), SOON).await
}

/// A Prometheus whose only data is a leak of the target up to now.
struct Prometheus {
    _program: Program,
    _data: TempDir,
    url: String,
}

impl Prometheus {
    async fn start(rules: &Path) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let (series, blocks) = (data.path().join("series.om"), data.path().join("tsdb"));
        fs::write(&series, leak()).expect("written");
        promtool(&["tsdb", "create-blocks-from", "openmetrics"], &[&series, &blocks]).await;
        let config = data.path().join("prometheus.yml");
        let text = format!("global: {{evaluation_interval: 1s}}\nrule_files: [{rules:?}]\n");
        fs::write(&config, text).expect("written");
        let address = format!("127.0.0.1:{}", free_port());
        let program = Program::start(
            Command::new("prometheus")
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", blocks.display()))
                .arg(format!("--web.listen-address={address}"))
                .arg("--web.enable-lifecycle"),
        );
        let url = format!("http://{address}");
        eventually("a Prometheus", SOON, async || get(&format!("{url}/-/ready")).await).await;
        Self { _program: program, _data: data, url }
    }

    /// An alert of the target in this state.
    async fn alert(&self, name: &str, state: &str) -> Value {
        eventually(&format!("{name} {state}"), SOON, async || {
            let answer = get_json(&format!("{}/api/v1/alerts", self.url)).await?;
            let alerts = answer["data"]["alerts"].as_array()?.clone();
            alerts.into_iter().find(|a| a["labels"]["alertname"] == name && a["state"] == state)
        })
        .await
    }
}

/// Three hours of growth until 245 MiB are in use now, as an exposition with times.
fn leak() -> String {
    let name = "oomen_target_memory_used_bytes";
    let mut text = format!("# TYPE {name} gauge\n");
    let now = wall().floor();
    for i in 0..=720_u32 {
        let ago = f64::from(720 - i) * 15.0;
        let bytes = ((245.0 - ago / 3600.0 * 50.0) * MIB).round();
        writeln!(
            text,
            "{name}{{instance=\"a\",job=\"oomen\",target=\"job\"}} {bytes} {}",
            now - ago
        )
        .expect("written");
    }
    text + "# EOF\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_written_by_the_watchdog_fire_in_a_real_prometheus_when_it_is_gone() {
    let stage = Stage::new();
    let prometheus = Prometheus::start(&stage.file()).await;
    let settings = format!("reload_url = \"{}/-/reload\"", prometheus.url);
    let watchdog = stage.watch("256MiB", &settings).await;
    let written = "oomen_rule_writes_total{store=\"file\",outcome=\"ok\"}";
    watchdog.metric_fits(written, |count| count >= 1.0).await;
    let outcome = promtool(&["check", "rules"], &[&stage.file()]).await;
    assert!(outcome.stdout.contains("3 rules found"), "{outcome:?}");
    let mut watchdog = watchdog;
    watchdog.program.kill();

    let alert = prometheus.alert("OomenFittedHeadroom", "firing").await;
    assert_eq!(alert["labels"]["target"], "job", "{alert}");
    let description = alert["annotations"]["description"].as_str().expect("a text");
    assert!(description.contains("The memory of job on a no longer falls"), "{description}");
    // It must hold for five minutes.
    prometheus.alert("OomenFittedGrowth", "pending").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_follows_the_limit_stays_when_the_watchdog_stops_and_goes_with_the_target() {
    let mut stage = Stage::new();
    let first = stage.watch("256MiB", "").await;
    stage.says("256.0 MiB").await;
    let target = first.api("targets/job").await;
    let scales = target["fit"]["scales"].as_array().expect("scales");
    assert_eq!(scales.len(), 2, "{target}");
    assert_eq!(first.stop().await.code(), Some(0));
    assert!(stage.file().exists());

    let second = stage.watch("512MiB", "gone_after = \"2s\"").await;
    stage.says("512.0 MiB").await;
    stage.process.kill();
    eventually("no rule file", SOON, async || (!stage.file().exists()).then_some(())).await;
    second.metric_fits("oomen_rule_targets{store=\"file\"}", |count| count == 0.0).await;
    assert!(fs::read_dir(stage.rules.path()).expect("a directory").next().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_by_another_hand_is_left_alone_and_that_is_said() {
    let stage = Stage::new();
    fs::write(stage.file(), "groups: []\n").expect("written");
    let watchdog = stage.watch("256MiB", "").await;
    let line = watchdog.program.says("the rules cannot be written").await;
    assert!(line.contains("another hand"), "{line}");
    let failed = "oomen_rule_writes_total{store=\"file\",outcome=\"failed\"}";
    watchdog.metric_fits(failed, |count| count >= 1.0).await;
    assert_eq!(fs::read_to_string(stage.file()).expect("a file"), "groups: []\n");
    let out = format!("--out={}", stage.file().display());
    let outcome = rules(&["--from", &watchdog.url, &out]).await;
    assert_eq!(outcome.code(), Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("another hand"), "{outcome:?}");
}

/// A small file system of its own. Unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    async fn mount(at: &Path) -> Self {
        let disk = Self(at.to_owned());
        disk.run("mount", &["-t", "tmpfs", "-o", "size=24k", "tmpfs"]).await;
        disk
    }

    async fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(program);
        let outcome = Program::run(command.args(arguments).arg(&self.0), SOON).await;
        assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(&self.0).status().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_or_one_that_cannot_be_written_costs_no_rule_and_is_tried_again() {
    needs_root();
    let stage = Stage::new();
    let disk = SmallDisk::mount(stage.rules.path()).await;
    let first = stage.watch("256MiB", "").await;
    let before = stage.says("256.0 MiB").await;
    assert_eq!(first.stop().await.code(), Some(0));

    let filler = stage.rules.path().join("filler");
    fs::write(&filler, vec![b'x'; 64 << 10]).expect_err("the disk is full now");
    let second = stage.watch("512MiB", "").await;
    let line = second.program.says("the rules cannot be written").await;
    assert!(line.contains("No space left"), "{line}");
    assert_eq!(fs::read_to_string(stage.file()).expect("a file"), before);
    let beside: Vec<_> = fs::read_dir(stage.rules.path()).expect("a directory").collect();
    assert_eq!(beside.len(), 2, "nothing half-written stays: {beside:?}");
    fs::remove_file(&filler).expect("removed");
    let after = stage.says("512.0 MiB").await;
    assert_eq!(second.stop().await.code(), Some(0));

    disk.run("mount", &["-o", "remount,ro"]).await;
    let third = stage.watch("768MiB", "").await;
    let line = third.program.says("the rules cannot be written").await;
    assert!(line.contains("Read-only file system"), "{line}");
    assert_eq!(fs::read_to_string(stage.file()).expect("a file"), after);
    assert_eq!(third.stop().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_what_the_watchdog_would_write() {
    let stage = Stage::new();
    let watchdog = stage.watch("256MiB", "").await;
    let written = stage.says("256.0 MiB").await;
    let own = |text: &str| text.split_once("groups:").map(|(_, groups)| groups.to_owned());

    let outcome = rules(&["--from", &watchdog.url]).await;
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""), "{outcome:?}");
    assert_eq!(own(&outcome.stdout), own(&written));

    let out = stage.data.path().join("printed.yaml");
    for limit in ["once", "again"] {
        let flag = format!("--out={}", out.display());
        let labels = ["--metric=container_memory_rss", "--label=container={workload}"];
        let outcome = rules(&["--from", &watchdog.url, &flag, labels[0], labels[1]]).await;
        assert_eq!(outcome.code(), Some(0), "{limit}: {outcome:?}");
    }
    let text = fs::read_to_string(&out).expect("a file");
    assert!(text.contains("container_memory_rss{container=\"job\"}"), "{text}");
    promtool(&["check", "rules"], &[&out]).await;

    let outcome = rules(&["--from", &watchdog.url, "--format=operator", "--name=job-rules"]).await;
    let object = &outcome.stdout;
    for part in ["kind: PrometheusRule", "name: job-rules", "  groups:\n  - name: oomen-fitted job"]
    {
        assert!(object.contains(part), "{part}: {object}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_learned_gets_no_rule_and_no_watchdog_is_an_error_that_helps() {
    let process = Program::start(Command::new("sleep").arg("600"));
    let flags = ["--name=a\"b", "--limit=256MiB", &format!("--pid={}", process.pid())];
    let watchdog = Watchdog::start(&flags).await;
    let said = eventually("a target", SOON, async || {
        let outcome = rules(&["--from", &watchdog.url]).await;
        outcome.stderr.contains("a\\\"b").then_some(outcome)
    })
    .await;
    assert_eq!(said.code(), Some(0), "{said:?}");
    assert!(said.stderr.contains("not learned yet"), "{said:?}");
    assert!(said.stdout.contains("# No rules: \"a\\\"b\": "), "{said:?}");
    assert!(said.stdout.ends_with("groups: []\n"), "{said:?}");
    let path = yaml_file(&said.stdout);
    promtool(&["check", "rules"], &[path.path()]).await;

    let nobody = format!("http://127.0.0.1:{}", free_port());
    let outcome = rules(&["--from", &nobody]).await;
    assert_eq!(outcome.code(), Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains(&format!("no watchdog answers at {nobody}")), "{outcome:?}");
    assert!(outcome.stderr.contains("--from"), "{outcome:?}");
}

fn yaml_file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a file");
    fs::write(file.path(), text).expect("written");
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_that_is_not_there_to_reload_is_tried_again_and_the_file_is_written_all_the_same()
 {
    let stage = Stage::new();
    let nobody = format!("reload_url = \"http://127.0.0.1:{}/-/reload\"", free_port());
    let watchdog = stage.watch("256MiB", &nobody).await;
    stage.says("256.0 MiB").await;
    let line = watchdog.program.says("the rules cannot be written").await;
    assert!(line.contains("is written, and who reads it was not told"), "{line}");
    let failed = "oomen_rule_writes_total{store=\"file\",outcome=\"failed\"}";
    tokio::time::timeout(Duration::from_secs(60), watchdog.metric_fits(failed, |n| n >= 2.0))
        .await
        .expect("tried again");
}
