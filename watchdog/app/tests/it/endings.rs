//! How a service ends, and what the watchdog makes of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use watchdog_core::units::Bytes;
use watchdog_fixtures::slack::{Event, Message, SlackServer, TOKEN};

use crate::support::{SOON, Shop, Watchdog, eventually};

async fn target(watchdog: &Watchdog, name: &str) -> Value {
    watchdog.api(&format!("targets/{name}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_killed_is_down_and_its_next_process_is_picked_up_under_its_name() {
    for choose in ["--process", "--pid"] {
        let shop = Shop::new();
        let mut service = shop.start().await;
        let which = if choose == "--pid" { service.pid().to_string() } else { shop.name.clone() };
        let mut watchdog = Watchdog::start(&[choose, &which, "--limit=256MiB"]).await;
        let up = format!("oomen_target_up{{target=\"{}\"}}", shop.name);
        watchdog.metric_fits(&up, |up| up == 1.0).await;
        let first = service.pid();
        assert_eq!(target(&watchdog, &shop.name).await["identity"]["pid"], first);

        service.program.kill();
        watchdog.metric_fits(&up, |up| up == 0.0).await;
        assert_eq!(watchdog.program.has_ended(), None);

        let next = shop.start().await;
        watchdog.metric_fits(&up, |up| up == 1.0).await;
        let seen = target(&watchdog, &shop.name).await;
        assert_eq!(seen["identity"]["pid"], next.pid(), "{choose}: {seen}");
        let targets = watchdog.api("targets").await;
        assert_eq!(targets["targets"].as_array().map(Vec::len), Some(1), "{choose}: {targets}");
        // A SIGKILL from outside is no kill for memory.
        assert_eq!(seen["oom_kills"], 0, "{seen}");
        let incidents = watchdog.api("incidents").await;
        assert_eq!(incidents["incidents"], Value::Array(Vec::new()), "{choose}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_by_pid_leaves_other_processes_of_that_name_alone() {
    let shop = Shop::new();
    let mut service = shop.start().await;
    let other = shop.start().await;
    let watchdog = Watchdog::start(&["--pid", &service.pid().to_string()]).await;
    let up = format!("oomen_target_up{{target=\"{}\"}}", shop.name);
    watchdog.metric_fits(&up, |up| up == 1.0).await;
    service.program.kill();
    watchdog.metric_fits(&up, |up| up == 0.0).await;

    // Searching goes on: the next one is found, and the one that ran beside the first is not it.
    let next = shop.start().await;
    watchdog.metric_fits(&up, |up| up == 1.0).await;
    let seen = target(&watchdog, &shop.name).await;
    assert_eq!(seen["identity"]["pid"], next.pid(), "not {}: {seen}", other.pid());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_by_the_kernel_closes_the_incident_with_evidence_after_the_report() {
    let slack = SlackServer::start().await.expect("a server");
    let token = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(token.path(), TOKEN).expect("written");
    let shop = Shop::new();
    let mut service = shop.start_confined(Bytes::from_mib(64), &[]).await;
    let mut watchdog = Watchdog::start(&[
        &format!("--process={}", shop.name),
        &format!("--probe={}", service.admin),
        "--slack-channel=#oncall",
        &format!("--slack-api-url={}", slack.url()),
        &format!("--slack-token-file={}", token.path().display()),
    ])
    .await;
    watchdog.has_baseline(&shop.name).await;
    service.leak(8_000_000).await;
    let ended = service.program.wait(SOON).await;
    let killed = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs_f64();
    let signal = std::os::unix::process::ExitStatusExt::signal(&ended.status);
    assert_eq!(signal, Some(9), "{ended:?}");

    let incident = watchdog.incident("the kill", |incident| incident["state"] == "killed").await;
    let evidence = incident["evidence"].as_str().expect("evidence");
    assert!(evidence.contains("oom_kill went from 0 to 1"), "{evidence}");
    assert_eq!(incident["culprit"]["frame"]["function"], crate::support::CULPRIT, "{incident:#}");
    let kills = format!("oomen_target_oom_kills_total{{target=\"{}\"}}", shop.name);
    assert_eq!(watchdog.metric(&kills).await, Some(1.0));
    assert_eq!(watchdog.program.has_ended(), None);

    // The end of the process was looked for every 50 ms; a report within twice that proves nothing.
    let came = slack.wait_for(|came| says(came, "killed for its memory"), SOON).await;
    let came = came.expect("the end is told");
    assert_eq!(came[0].event, Event::Post);
    let lead = killed - came[0].at_unix;
    assert!(lead > 0.1, "the report came {lead} s before the kill: {came:#?}");
    // What is learned after it stands in its thread.
    let stands_in = |message: &Message| message.thread_ts.clone().unwrap_or(message.ts.clone());
    assert!(came.iter().all(|message| stands_in(message) == came[0].ts), "more than one message");
}

fn says(came: &[Message], part: &str) -> bool {
    came.last().is_some_and(|message| message.text.contains(part))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaking_service_that_ends_otherwise_is_gone_and_not_killed() {
    let shop = Shop::new();
    let mut service = shop.start().await;
    let flags = [&format!("--process={}", shop.name), "--limit=96MiB"];
    let watchdog = Watchdog::start(&flags.map(AsRef::as_ref)).await;
    service.leak(12_000_000).await;
    watchdog.incident("a leak is told", |incident| !incident["told"].is_null()).await;
    service.program.kill();
    let gone = watchdog.incident("its end", |incident| incident["state"] == "gone").await;
    assert!(gone["evidence"].as_str().is_some_and(|words| words.contains("last seen")), "{gone:#}");
    eventually("the end on the terminal", Duration::from_secs(30), async || {
        watchdog.program.stdout().contains("GONE").then_some(())
    })
    .await;
}
