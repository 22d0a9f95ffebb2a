//! The export to a collector costs nothing while it is off.

use std::time::Duration;

use oomen::otlp::{Otlp, OtlpConfig};
use tempfile::NamedTempFile;
use watchdog_core::incident::{Change, Ending, IncidentTracker, TargetIdentity};
use watchdog_core::units::{Bytes, WallTime};
use watchdog_fixtures::hostile::{HostileServer, Mode};
use watchdog_fixtures::otlp::{OtlpCollector, attributes};

use crate::support::{SOON, Shop, Watchdog, eventually};

/// Threads of the export in this process; no other test here exports anything.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("the threads");
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
    tasks.flatten().flat_map(name).filter(|name| name.starts_with("OpenTelemetry")).count()
}

fn killed() -> Change {
    let target = TargetIdentity { name: "shop".into(), pid: 7, ..TargetIdentity::default() };
    let mut tracker = IncidentTracker::new(target);
    let ending = Ending::OomKilled("oom_kill went from 0 to 1".into());
    tracker.ended(ending, Bytes(9), Some(Bytes(10)), WallTime(100.0)).expect("an incident")
}

#[tokio::test]
async fn off_it_has_no_thread_and_on_it_has_no_connection_before_there_is_something_to_say() {
    let server = HostileServer::start(Mode::Hang).await.expect("a server");
    let off = Otlp::off();
    off.changed(&killed().incident);
    off.shutdown(SOON).await;
    assert_eq!(threads(), 0);
    let mut config = OtlpConfig::new(server.url().parse().expect("a URL"));
    config.batching.every = Duration::from_millis(20);
    let on = Otlp::start(&config).expect("started");
    // A thread has its name a moment after it was started.
    eventually("a thread for each signal", SOON, async || (threads() == 2).then_some(())).await;
    assert_eq!(server.connections(), 0);
    on.changed(&killed().incident);
    eventually("a request", SOON, async || (server.requests() == 1).then_some(())).await;
    on.shutdown(Duration::from_millis(100)).await;
    eventually("the threads' end", SOON, async || (threads() == 0).then_some(())).await;
}

const TOKEN: &str = "Bearer very-secret-of-otlp";

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_watchdog_exports_an_incident_as_a_trace_and_its_log_and_keeps_the_token() {
    let collector = OtlpCollector::start().await.expect("a collector");
    let (token, config) =
        (NamedTempFile::new().expect("a file"), NamedTempFile::new().expect("a file"));
    std::fs::write(token.path(), TOKEN).expect("written");
    let text = format!(
        "[otlp]\nendpoint = \"{}\"\nheader = \"authorization\"\nheader_file = \"{}\"\n",
        collector.url(),
        token.path().display()
    );
    std::fs::write(config.path(), text).expect("written");
    let shop = Shop::new();
    let mut service = shop.start().await;
    let watchdog = Watchdog::start(&[
        &format!("--pid={}", service.pid()),
        "--limit=96MiB",
        &format!("--config={}", config.path().display()),
    ])
    .await;
    service.leak(12_000_000).await;
    watchdog.incident("a leak is told", |incident| !incident["told"].is_null()).await;
    service.program.kill();
    let incident = watchdog.incident("its end", |incident| incident["state"] == "gone").await;
    let readable = watchdog.everything_readable().await;
    assert!(!readable.contains("very-secret-of-otlp"), "the token can be read");
    // What is pending is exported at the end.
    watchdog.stop().await;
    let received = collector.received();
    assert_eq!(received.mistakes, Vec::<String>::new());
    assert_eq!(received.headers["authorization"], TOKEN);
    assert_eq!(received.resource["service.name"], "oomen");
    let root = received.span("incident").expect("the incident's span");
    let about = attributes(&root.attributes);
    assert_eq!(incident["id"].as_str(), Some(about["oomen.incident.id"].as_str()));
    assert_eq!(about["oomen.incident.state"], "gone");
    let events: Vec<_> = root.events.iter().map(|event| event.name.as_str()).collect();
    assert!(
        events.starts_with(&["suspected", "told"]) && events.ends_with(&["gone"]),
        "{events:?}"
    );
    let reports: Vec<_> =
        received.spans.iter().filter(|span| span.name == "report terminal").collect();
    assert!(!reports.is_empty(), "{received:#?}");
    for report in reports {
        assert_eq!((&report.trace_id, &report.parent_span_id), (&root.trace_id, &root.span_id));
        assert!(report.start_time_unix_nano >= root.start_time_unix_nano);
    }
    let own = received.logs.iter().filter(|(scope, _)| scope.starts_with("oomen"));
    assert!(own.count() > 0, "the log is exported");
}
