//! `oomen run`: its exit status, its report, and that it leaves nothing behind.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    CULPRIT, Outcome, Program, SOON, Shop, eventually, free_port, get, needs_root, set_fault,
    shipped,
};

/// A run that is long enough to be judged, and some more.
const LONG: Duration = Duration::from_secs(90);

fn oomen_run(arguments: &[&str]) -> Command {
    let mut command = Command::new(shipped("oomen"));
    command.arg("run").args(arguments).env_remove("RUST_LOG");
    command
}

async fn run(arguments: &[&str]) -> Outcome {
    Program::run(&mut oomen_run(arguments), LONG).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_command_that_was_watched_long_enough_ends_with_zero() {
    let outcome = run(&["--warm-up=1s", "--for=35s", "--", "sleep", "600"]).await;
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains("no leak: No growth in"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_too_short_is_undecided() {
    let outcome = run(&["--for=2s", "--", "sleep", "600"]).await;
    assert_eq!(outcome.code(), Some(4), "{outcome:?}");
    assert!(outcome.stdout.starts_with("undecided: "), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_own_failure_is_passed_on() {
    for (script, code) in [("exit 7", 7), ("sleep 1; exit 9", 9), ("kill -9 $$", 137)] {
        let outcome = run(&["--", "sh", "-c", script]).await;
        assert_eq!(outcome.code(), Some(code), "{script}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_not_there_is_an_error_that_names_it() {
    let outcome = run(&["--", "/no/such/program"]).await;
    assert_eq!(outcome.code(), Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("/no/such/program"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_stops_a_leaking_command_and_its_report_names_the_function() {
    needs_root();
    let shop = Shop::new();
    let report = tempfile::tempdir().expect("a directory");
    let admin = format!("127.0.0.1:{}", free_port());
    let run = Program::start(&mut oomen_run(&[
        "--gate",
        "--limit=128MiB",
        "--warm-up=2s",
        &format!("--report={}", report.path().display()),
        &format!("--probe=http://{admin}"),
        "--",
        shop.program().to_str().expect("a path"),
        "--listen=127.0.0.1:0",
        &format!("--admin-listen={admin}"),
        "--faults=on",
    ]));
    let cgroup = cgroup_of_run(run.pid());
    run.says("heap profile taken").await;
    assert!(cgroup.exists(), "{} is not there", cgroup.display());
    set_fault(&format!("http://{admin}"), 12_000_000).await;

    let outcome = run.ended(LONG).await;
    assert_eq!(outcome.code(), Some(3), "{outcome:?}");
    assert!(outcome.stdout.contains(&format!("Held by {CULPRIT}")), "{outcome:?}");
    let written = std::fs::read_to_string(report.path().join("report.json")).expect("a report");
    let written: Value = serde_json::from_str(&written).expect("JSON");
    assert_eq!(written["verdict"]["judgement"], "leak");
    assert_eq!(written["incidents"][0]["target"]["name"], shop.name, "{written:#}");
    assert_eq!(written["incidents"][0]["culprit"]["frame"]["function"], CULPRIT);
    assert!(!cgroup.exists(), "{} is left", cgroup.display());
    assert!(get(&format!("http://{admin}/health/live")).await.is_none(), "it still runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_the_kernel_kills_is_a_leak() {
    needs_root();
    let script = "while :; do text=$text$(printf %0500000d 0); sleep 0.02; done";
    let arguments = ["--limit=48MiB", "--warm-up=1s", "--", "sh", "-c", script];
    let run = Program::start(&mut oomen_run(&arguments));
    let cgroup = cgroup_of_run(run.pid());
    let outcome = run.ended(LONG).await;
    assert_eq!(outcome.code(), Some(3), "{outcome:?}");
    assert!(outcome.stdout.contains(" was killed for its memory"), "{outcome:?}");
    assert!(outcome.stdout.contains("oom_kill went from 0 to 1"), "{outcome:?}");
    assert!(!cgroup.exists(), "{} is left", cgroup.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cgroup_is_removed_even_if_the_command_left_something_running_for_a_moment() {
    needs_root();
    let run = Program::start(&mut oomen_run(&["--limit=64MiB", "--", "sh", "-c", "sleep 0.5 &"]));
    let cgroup = cgroup_of_run(run.pid());
    let outcome = run.ended(SOON).await;
    assert_eq!(outcome.code(), Some(4), "{outcome:?}");
    assert!(!cgroup.exists(), "{} is left", cgroup.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_end_the_command_and_the_run() {
    for signal in [Signal::TERM, Signal::INT] {
        let run = Program::start(&mut oomen_run(&["--", "sleep", "600"]));
        run.says("watching target_name=sleep").await;
        let child = child_of(run.pid()).await;
        run.signal(signal);
        let outcome = run.ended(SOON).await;
        assert_eq!(outcome.code(), Some(4), "{outcome:?}");
        assert!(!Path::new(&format!("/proc/{child}")).exists(), "the command still runs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_processes_of_the_commands_name_are_none_of_its_business() {
    let mut other = Program::start(Command::new("sleep").arg("600"));
    let outcome = run(&["--for=17s", "--", "sleep", "600"]).await;
    // Every fifteen seconds the watchdog looks for more.
    let watched = outcome.stderr.matches("watching target_name=").count();
    assert_eq!(watched, 1, "{outcome:?}");
    assert_eq!(other.has_ended(), None);
}

/// The process that a program has started, by whichever of its threads.
async fn child_of(pid: u32) -> u32 {
    eventually("a child", SOON, async || {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
        let mut lists = tasks
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
        lists.find_map(|list| list.split_whitespace().next()?.parse().ok())
    })
    .await
}

/// Where the command of this run is confined, on cgroup v1 or v2.
fn cgroup_of_run(pid: u32) -> PathBuf {
    let root = Path::new("/sys/fs/cgroup");
    let v1 = root.join("memory");
    let base = if v1.exists() { v1 } else { root.to_owned() };
    base.join(format!("oomen/run-{pid}"))
}
