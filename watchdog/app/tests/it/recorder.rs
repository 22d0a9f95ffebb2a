//! The flight recorder from outside: a service that only links the probe is understood while it runs, while it hangs and
//! after it was killed.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use watchdog_core::units::Bytes;

use crate::support::{
    CULPRIT, Outcome, Program, SOON, Service, Shop, Watchdog, eventually, free_port, get,
    get_bytes, held_by_function, needs_root, set_fault, share_of, shipped,
};

/// A directory that a watchdog and a service both see.
struct Recorded {
    shop: Shop,
    directory: TempDir,
}

impl Recorded {
    fn new() -> Self {
        Self { shop: Shop::new(), directory: tempfile::tempdir().expect("a directory") }
    }

    fn name(&self) -> &str {
        &self.shop.name
    }

    /// A watchdog that knows no address of the service.
    async fn watchdog(&self) -> Watchdog {
        let process = format!("--process={}", self.name());
        let recorders = format!("--recorder-dir={}", self.directory.path().display());
        Watchdog::start(&[&process, &recorders]).await
    }

    async fn service(&self, limit: Bytes) -> Service {
        let variable = format!("OOMEN_RECORDER_DIR={}", self.directory.path().display());
        self.shop.start_confined(limit, &["env", &variable]).await
    }
}

fn assert_killed(outcome: &Outcome) {
    assert_eq!(outcome.status.signal(), Some(9), "{outcome:?}");
}

async fn kill_of(watchdog: &Watchdog) -> Value {
    watchdog.incident("the kill", |incident| incident["state"] == "killed").await
}

/// The share of all bytes in use that a function and those below it hold, in percent.
fn share_in(profile: &[u8], function: &str) -> f64 {
    let held = held_by_function(profile);
    let most = held.values().max().copied().unwrap_or_default();
    100.0 * held.get(function).copied().unwrap_or_default() as f64 / most.max(1) as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_function_is_named_and_the_heap_at_the_end_can_be_had_in_every_form() {
    let recorded = Recorded::new();
    let watchdog = recorded.watchdog().await;
    let mut service = recorded.service(Bytes::from_mib(64)).await;
    watchdog.has_baseline(recorded.name()).await;
    service.leak(8_000_000).await;
    assert_killed(&service.program.wait(SOON).await);
    // As where a container goes with its files.
    std::fs::remove_file(recorded.shop.program()).expect("removed");

    let incident = kill_of(&watchdog).await;
    assert_eq!(incident["culprit"]["frame"]["function"], CULPRIT, "{incident:#}");
    assert!(incident["culprit"]["rate"].as_f64().is_some_and(|rate| rate > 0.0), "{incident:#}");
    let dump = watchdog.dump("the heap at its end", |dump| dump["source"] == "after-kill").await;
    let dumps = incident["dumps"].as_array().expect("a list");
    assert!(dumps.contains(&dump["id"]), "{dump:#} is not of {incident:#}");
    // Of the 64 MiB the service needed a few itself when it did not leak yet.
    let held = dump["inuse_space"].as_u64().expect("bytes") >> 20;
    assert!((44..=66).contains(&held), "{held} MiB: {dump:#}");

    let url = watchdog.dump_url(&dump);
    let top = get(&format!("{url}?format=top")).await.expect("a table");
    assert!(share_of(&top, CULPRIT) > 90.0, "{top}");
    let picture = get(&format!("{url}?format=flamegraph")).await.expect("a picture");
    assert!(picture.contains(CULPRIT), "{CULPRIT} is not in the picture");
    let collapsed = get(&format!("{url}?format=collapsed")).await.expect("stacks");
    assert!(collapsed.contains(CULPRIT), "{collapsed}");
    let profile = get_bytes(&format!("{url}?format=pprof")).await.expect("a profile");
    assert!(share_in(&profile, CULPRIT) > 90.0, "{:#?}", held_by_function(&profile));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_address_the_allocator_is_known_and_the_function_is_named() {
    let recorded = Recorded::new();
    let watchdog = recorded.watchdog().await;
    let mut service = recorded.service(Bytes::from_mib(512)).await;
    let name = recorded.name();
    let written = format!("oomen_target_flight_recorder{{target=\"{name}\"}}");
    watchdog.metric_fits(&written, |written| written == 1.0).await;
    watchdog.has_baseline(name).await;
    service.leak(12_000_000).await;

    let incident = watchdog.incident("a name", |incident| !incident["culprit"].is_null()).await;
    assert_eq!(incident["culprit"]["frame"]["function"], CULPRIT, "{incident:#}");
    let dump = watchdog.dump("a dump of its recorder", |dump| dump["source"] == "recorder").await;
    assert_eq!(dump["target"], name, "{dump:#}");
    let target = watchdog.api(&format!("targets/{name}")).await;
    let allocator = &target["sample"]["allocator"];
    assert!(allocator["allocated"].as_u64().is_some_and(|bytes| bytes > 0), "{target:#}");
    assert_eq!(allocator["profiling"], true, "{target:#}");
    let lost = format!("oomen_target_recorder_lost_samples{{target=\"{name}\"}}");
    assert_eq!(watchdog.metric(&lost).await, Some(0.0));
    service.assert_untouched().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_killed_within_its_first_seconds_still_has_its_function() {
    let recorded = Recorded::new();
    let watchdog = recorded.watchdog().await;
    let mut service = recorded.service(Bytes::from_mib(192)).await;
    service.leak(200_000_000).await;
    assert_killed(&service.program.wait(SOON).await);

    let incident = kill_of(&watchdog).await;
    assert_eq!(incident["culprit"]["frame"]["function"], CULPRIT, "{incident:#}");
    assert!(incident["culprit"]["profiles"].as_u64().is_some_and(|n| n >= 1), "{incident:#}");
    assert!(!incident["told"].is_null(), "nobody was told: {incident:#}");
    eventually("the kill on the terminal", SOON, async || {
        let told = watchdog.program.stdout();
        (told.contains("KILLED") && told.contains(CULPRIT)).then_some(())
    })
    .await;
    if incident["culprit"]["profiles"] == 1 {
        let told = watchdog.program.stdout();
        assert!(told.contains("of the heap at its end"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gated_run_names_the_function_without_being_told_where_the_probe_is() {
    needs_root();
    let shop = Shop::new();
    let admin = format!("127.0.0.1:{}", free_port());
    let report = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(shipped("oomen"));
    command.args(["run", "--gate", "--limit=128MiB", "--warm-up=2s"]);
    command.arg(format!("--report={}", report.path().display())).arg("--").arg(shop.program());
    command.args(["--listen=127.0.0.1:0", "--faults=on"]).arg(format!("--admin-listen={admin}"));
    let run = Program::start(command.env_remove("RUST_LOG"));
    run.says("the process writes a flight recorder").await;
    run.says("heap profile taken").await;
    set_fault(&format!("http://{admin}"), 12_000_000).await;

    let outcome = run.ended(Duration::from_secs(90)).await;
    assert_eq!(outcome.code(), Some(3), "{outcome:?}");
    assert!(outcome.stdout.contains(&format!("Held by {CULPRIT}")), "{outcome:?}");
    let written = std::fs::read_to_string(report.path().join("report.json")).expect("a report");
    let written: Value = serde_json::from_str(&written).expect("JSON");
    assert_eq!(written["incidents"][0]["culprit"]["frame"]["function"], CULPRIT, "{written:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_heap_of_a_stopped_service_can_still_be_read() {
    let recorded = Recorded::new();
    let watchdog = recorded.watchdog().await;
    let service = recorded.service(Bytes::from_mib(512)).await;
    watchdog.has_baseline(recorded.name()).await;
    service.leak(20_000_000).await;
    let allocated =
        format!("oomen_target_allocator_allocated_bytes{{target=\"{}\"}}", recorded.name());
    watchdog.metric_fits(&allocated, |bytes| bytes > 40e6).await;
    service.program.signal(Signal::STOP);
    let status = format!("/proc/{}/status", service.pid());
    eventually("it is stopped", SOON, async || {
        std::fs::read_to_string(&status).expect("a status").contains("\nState:\tT").then_some(())
    })
    .await;

    let url = format!("{}/debug/pprof/heap?target={}", watchdog.url, recorded.name());
    for _ in 0..2 {
        let profile = get_bytes(&url).await.expect("a profile");
        assert!(share_in(&profile, CULPRIT) > 80.0, "{:#?}", held_by_function(&profile));
    }
    assert!(watchdog.capture(recorded.name()).await, "no dump of a stopped service");
    let target = watchdog.api(&format!("targets/{}", recorded.name())).await;
    assert_eq!(target["up"], true, "{target:#}");
    service.program.signal(Signal::CONT);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_privileges_a_kill_has_its_function() {
    const NOBODY: u32 = 65_534;
    const AS_NOBODY: [&str; 5] =
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"];
    let recorded = Recorded::new();
    let data = tempfile::tempdir().expect("a directory");
    for directory in [recorded.directory.path(), data.path()] {
        std::os::unix::fs::chown(directory, Some(NOBODY), Some(NOBODY)).expect("given away");
    }
    let mut command = Command::new(AS_NOBODY[0]);
    command.args(&AS_NOBODY[1..]).arg(recorded.shop.beside("oomen"));
    let process = format!("--process={}", recorded.name());
    let recorders = format!("--recorder-dir={}", recorded.directory.path().display());
    let watchdog = Watchdog::start_as(&mut command, data.path(), &[&process, &recorders]).await;
    let variable = format!("OOMEN_RECORDER_DIR={}", recorded.directory.path().display());
    let wrapper = [&AS_NOBODY as &[&str], &["env", &variable]].concat();
    let mut service = recorded.shop.start_confined(Bytes::from_mib(64), &wrapper).await;
    watchdog.has_baseline(recorded.name()).await;
    service.leak(8_000_000).await;
    assert_killed(&service.program.wait(SOON).await);

    let incident = kill_of(&watchdog).await;
    assert_eq!(incident["culprit"]["frame"]["function"], CULPRIT, "{incident:#}");
    watchdog.dump("the heap at its end", |dump| dump["source"] == "after-kill").await;
}
