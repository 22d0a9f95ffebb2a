//! `oomen backtest`: what goes to stdout and stderr, in which order, and its exit status.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Outcome, Program, SOON, shipped};

const MIB: u64 = 1 << 20;
/// What the leak below runs against: it ends close below it.
const LIMIT: u64 = 512 * MIB;
const FIELDS: [&str; 5] = ["alarms", "file", "samples", "span_s", "verdict"];
const ALARM_FIELDS: [&str; 7] =
    ["end_s", "eta_high_s", "eta_low_s", "eta_s", "kind", "output", "start_s"];

/// Half a day of a service, a look every minute.
fn series(mib: impl Fn(f64) -> f64) -> String {
    let mut text = String::from("t_seconds,anon_bytes\n");
    for t in (0..43_200).step_by(60) {
        let bytes = (mib(f64::from(t) / 43_200.0) * MIB as f64) as u64;
        writeln!(text, "{t},{bytes}").expect("written");
    }
    text
}

fn leak() -> String {
    series(|share| 100.0 + 390.0 * share)
}

fn flat() -> String {
    series(|_| 100.0)
}

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).expect("written");
    }
    directory
}

async fn backtest(arguments: &[&str], paths: &[&Path]) -> Outcome {
    let mut command = Command::new(shipped("oomen"));
    command.arg("backtest").args(arguments).args(paths).env_remove("RUST_LOG");
    Program::run(&mut command, SOON).await
}

fn lines(outcome: &Outcome) -> Vec<Value> {
    let line = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    outcome.stdout.lines().map(line).collect()
}

fn fields(value: &Value) -> Vec<&str> {
    let mut names: Vec<_> =
        value.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

fn outputs(line: &Value) -> Vec<&str> {
    let alarms = line["alarms"].as_array().expect("alarms");
    alarms.iter().map(|alarm| alarm["output"].as_str().expect("a word")).collect()
}

#[tokio::test]
async fn a_directory_is_told_a_line_a_file_and_a_bad_file_does_not_stop_the_others() {
    let index = format!("file,limit\nd-leak.csv,{LIMIT}\na-flat.csv,{LIMIT}\n");
    let bad = "t_seconds,rss_bytes\n0,1\n1,many\n";
    let directory = directory(&[
        ("d-leak.csv", &leak()),
        ("a-flat.csv", &flat()),
        ("b-bad.csv", bad),
        ("c-no-limit.csv", &leak()),
        ("index.csv", &index),
        ("readme.txt", "no series"),
    ]);
    let outcome = backtest(&["--format", "json"], &[directory.path()]).await;
    assert_eq!(outcome.code(), Some(1), "{outcome:?}");
    let [flat, bad, unlimited, leak] = &lines(&outcome)[..] else { panic!("{outcome:?}") };

    let path = |name| directory.path().join(name).display().to_string();
    assert_eq!(flat["file"], path("a-flat.csv"));
    assert_eq!(fields(flat), FIELDS);
    assert_eq!((&flat["samples"], &flat["span_s"]), (&Value::from(720), &Value::from(43_140.0)));
    assert!(outputs(flat).is_empty(), "{flat}");

    let error = format!("{}:3: rss_bytes cannot be `many`", path("b-bad.csv"));
    assert_eq!(bad, &serde_json::json!({ "file": path("b-bad.csv"), "error": error }));
    assert_eq!(outcome.stderr, format!("oomen: {error}\n"));

    assert_eq!(unlimited["file"], path("c-no-limit.csv"));
    let alarms = unlimited["alarms"].as_array().expect("alarms");
    assert!(alarms.iter().all(|alarm| alarm["eta_s"].is_null()), "no limit, no forecast");

    assert_eq!(leak["file"], path("d-leak.csv"));
    let alarms = leak["alarms"].as_array().expect("alarms");
    let first = alarms.iter().find(|alarm| alarm["output"] == "leak").expect("a leak");
    assert_eq!(fields(first), ALARM_FIELDS);
    let number = |name: &str| first[name].as_f64().unwrap_or_else(|| panic!("{name}: {first}"));
    assert!(number("start_s") < number("end_s") && number("end_s") <= 43_140.0, "{first}");
    assert!(number("eta_low_s") <= number("eta_s"), "{first}");
    assert!(number("eta_s") <= number("eta_high_s"), "{first}");
    let kill = number("start_s") + number("eta_s");
    assert!((42_000.0..50_000.0).contains(&kill), "it would be killed at 45 637 s: {first}");
}

#[tokio::test]
async fn people_get_a_line_a_file_the_alarms_that_tell_and_a_summary() {
    let directory = directory(&[("leak.csv", &leak()), ("flat.csv", &flat())]);
    let [leak, flat] = ["leak.csv", "flat.csv"].map(|name| directory.path().join(name));
    let outcome = backtest(&["--limit=512MiB"], &[&leak, &flat]).await;
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""), "{outcome:?}");
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert!(lines[0].starts_with(&format!("{}: ", leak.display())), "{outcome:?}");
    assert!(lines[0].contains("; first told ") && lines[0].contains(", limit in "), "{outcome:?}");
    assert!(lines[1].starts_with("    leak     t = "), "{outcome:?}");
    assert!(outcome.stdout.contains(&format!("\n{}: steady, no alarm\n", flat.display())));
    let summary = lines.last().expect("a summary");
    assert_eq!(
        *summary,
        "2 series, 1440 samples, 23 h 58 min in all: 1 with leak or imminent, 0 with suspect alone, \
         1 without an alarm"
    );
}

#[tokio::test]
async fn in_a_warm_up_longer_than_the_series_no_growth_is_told() {
    let directory = directory(&[("leak.csv", &leak())]);
    let arguments = ["--format=json", "--limit=512MiB", "--warm-up=13h"];
    let outcome = backtest(&arguments, &[directory.path()]).await;
    // What is full is told also then, whatever the trend.
    let lines = lines(&outcome);
    assert!(outputs(&lines[0]).iter().all(|output| *output == "imminent"), "{outcome:?}");
}

#[tokio::test]
async fn what_is_left_out_is_noted_once_a_file() {
    let text = "t_seconds,host,rss_bytes\n0,a,1e9\n1,a,\n2,a,1e9\n2,a,1e9\n";
    let index = "file,limit\ngone.csv,1\n";
    let table = "pair,distance\na,1\n";
    let directory = directory(&[("a.csv", text), ("pairs.csv", table), ("index.csv", index)]);
    let outcome = backtest(&["--format=json"], &[directory.path()]).await;
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    let path = directory.path().display();
    assert_eq!(
        outcome.stderr,
        format!(
            "oomen: {path}: note: index.csv names files that are not there: 1, such as gone.csv\n\
             oomen: {path}: note: no series, but tables without t_seconds: 1, such as pairs.csv\n\
             oomen: {path}/a.csv: note: columns not used: host; rows without a value: 1; \
             rows with the time of the row before: 1\n"
        )
    );
    let lines = lines(&outcome);
    assert_eq!((lines.len(), &lines[0]["samples"]), (1, &Value::from(2)));
}

#[tokio::test]
async fn paths_that_hold_no_series_are_errors_and_the_others_run() {
    let empty = tempfile::tempdir().expect("a directory");
    let good = directory(&[("a.csv", &flat())]);
    let gone = empty.path().join("gone.csv");
    let paths = [empty.path(), &gone, &good.path().join("a.csv")];
    let outcome = backtest(&["--format=json"], &paths).await;
    assert_eq!(outcome.code(), Some(1), "{outcome:?}");
    let lines = lines(&outcome);
    let files: Vec<_> = lines.iter().map(|line| line["file"].clone()).collect();
    assert_eq!(files, paths.map(|path| Value::from(path.display().to_string())));
    let error = |index: usize| lines[index]["error"].as_str().unwrap_or_default();
    assert!(error(0).contains("holds no *.csv"), "{outcome:?}");
    assert!(error(1).contains("cannot be read: No such file"), "{outcome:?}");
    assert_eq!(lines[2]["samples"], 720);
}

#[tokio::test]
async fn many_files_are_told_in_their_order_and_nothing_else_is_said() {
    let directory = tempfile::tempdir().expect("a directory");
    for i in 0..400 {
        // Of very different lengths, so that they do not end in their order by themselves.
        let rows = if i % 50 == 0 { 20_000 } else { 20 };
        let rows: String = (0..rows).map(|t| format!("{t},1e9\n")).collect();
        let path = directory.path().join(format!("{i:03}.csv"));
        std::fs::write(path, format!("t_seconds,value_bytes\n{rows}")).expect("written");
    }
    let outcome = backtest(&["--format=json"], &[directory.path()]).await;
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""));
    let files: Vec<_> = lines(&outcome).iter().map(|line| line["file"].clone()).collect();
    let path = |i| directory.path().join(format!("{i:03}.csv")).display().to_string();
    assert_eq!(files, (0..400).map(|i| Value::from(path(i))).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_reader_that_leaves_early_is_no_accident() {
    let directory = tempfile::tempdir().expect("a directory");
    for i in 0..200 {
        std::fs::write(directory.path().join(format!("{i:03}.csv")), flat()).expect("written");
    }
    let script = "\"$0\" backtest --format json \"$1\" | head -n 1";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(shipped("oomen")).arg(directory.path());
    let outcome = Program::run(&mut command, SOON).await;
    assert_eq!((lines(&outcome).len(), outcome.stderr.as_str()), (1, ""));
}

#[tokio::test]
async fn a_wrong_command_line_ends_with_two() {
    for arguments in [&[][..], &["--format=xml", "a.csv"], &["--limit=much", "a.csv"]] {
        let outcome = backtest(arguments, &[]).await;
        assert_eq!(outcome.code(), Some(2), "{outcome:?}");
    }
}

/// The example of the documentation is run as it stands there.
#[tokio::test]
async fn the_documented_example_is_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/backtest.md");
    let text = std::fs::read_to_string(&path).expect("the documentation");
    let (before, rest) = text.split_once("```console\n").expect("an example");
    let (example, after) = rest.split_once("```\n").expect("its end");
    let directory = tempfile::tempdir().expect("a directory");
    let bin = shipped("oomen");
    let programs = format!(
        "{}:{}",
        bin.parent().expect("a directory").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut run = String::new();
    for command in example.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(directory.path()).env("PATH", &programs);
        let outcome = Program::run(&mut shell, SOON).await;
        writeln!(run, "$ {command}").expect("written");
        run += &outcome.stdout;
        run += &outcome.stderr;
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{before}```console\n{run}```\n{after}")).expect("written");
        return;
    }
    assert_eq!(run, example, "if it is meant so, run again with UPDATE_GOLDEN=1");
}
