//! The export to a collector costs nothing while it is off.

use std::time::Duration;

use oomen::otlp::{Otlp, OtlpConfig};
use watchdog_core::incident::{Change, Ending, IncidentTracker, TargetIdentity};
use watchdog_core::units::{Bytes, WallTime};
use watchdog_fixtures::hostile::{HostileServer, Mode};

use crate::support::{SOON, eventually};

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
