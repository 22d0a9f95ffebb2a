//! What arrives at a strict collector, and what happens without one.

mod failures;
mod log;

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::EnvFilter;
use watchdog_core::culprit::Culprit;
use watchdog_core::incident::{Incident, State, TargetIdentity};
use watchdog_core::profile::Frame;
use watchdog_core::units::{Bytes, WallTime};
use watchdog_core::verdict::{Kind, Verdict};
use watchdog_fixtures::otlp::{OtlpCollector, attributes};

use super::*;
use crate::cli::LogFormat;

/// Long for anything these tests wait for, even while the machine does other things too.
pub(super) const SOON: Duration = Duration::from_secs(30);
/// Short, so that a test waits for its batch and not for the clock.
const EVERY: Duration = Duration::from_millis(20);

/// An incident that has just been suspected.
pub(super) fn incident(id: &str, target: TargetIdentity) -> Incident {
    Incident {
        id: id.into(),
        revision: 1,
        target,
        state: State::Suspected,
        opened: WallTime(1_700_000_000.25),
        updated: WallTime(1_700_000_000.25),
        closed: None,
        told: None,
        used: Bytes(400),
        limit: Some(Bytes(1000)),
        trend: None,
        kill: None,
        verdict: Verdict { kind: Kind::HeapLeak, sentence: "It leaks.".into() },
        culprit: None,
        suspects: Vec::new(),
        culprit_pending: None,
        evidence: None,
        dumps: Vec::new(),
    }
}

fn shop() -> Incident {
    let target = TargetIdentity {
        name: "shop".into(),
        pid: 7,
        start_ticks: 99,
        pod: Some("shop-5d".into()),
        ..Default::default()
    };
    incident("shop-7-1700000000", target)
}

/// The incident at a later time.
fn later(incident: &Incident, state: State, seconds: f64) -> Incident {
    let updated = incident.opened.plus(seconds);
    let told = incident.told.or((state != State::Suspected).then_some(updated));
    let closed = state.is_closed().then_some(updated);
    let revision = incident.revision + 1;
    Incident { state, revision, updated, told, closed, ..incident.clone() }
}

fn named(incident: &Incident, seconds: f64) -> Incident {
    let frame = Frame { function: "shop::cart::add".into(), ..Frame::default() };
    let culprit = Some(Culprit { frame, share: 0.9, ..Culprit::default() });
    Incident { culprit, ..later(incident, incident.state, seconds) }
}

fn config(url: &str) -> OtlpConfig {
    let mut config = OtlpConfig::new(url.parse().expect("a URL"));
    config.batching.every = EVERY;
    config
}

fn delivery(incident: &Incident) -> Ended<'_> {
    Ended {
        incident,
        sink: "slack",
        submitted: incident.updated,
        started: incident.updated.plus(0.5),
        finished: incident.updated.plus(2.0),
        attempts: 2,
        outcome: Ok(()),
    }
}

/// With one subscriber alone, tracing asks the thread that comes to a line of code first whether it is wanted, and keeps
/// the answer for all threads; here each thread has a subscriber of its own, or none.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));

/// What the program writes to its log meanwhile, on this thread.
struct Captured {
    lines: Arc<Mutex<Vec<u8>>>,
    _subscriber: DefaultGuard,
}

impl Captured {
    /// Captures, and exports as `otlp` does.
    fn start(otlp: &Otlp) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&lines);
        let writer = move || Writer(Arc::clone(&writer));
        LazyLock::force(&SECOND);
        let log = crate::log::dispatch(LogFormat::Text, EnvFilter::new("trace"), writer, otlp);
        Self { lines, _subscriber: tracing::dispatcher::set_default(&log) }
    }

    /// All of it, and how often that is said.
    fn said(&self, what: &str) -> (String, usize) {
        let lines = self.lines.lock().expect("the lines").clone();
        let text = String::from_utf8(lines).expect("text");
        let count = text.matches(what).count();
        (text, count)
    }
}

struct Writer(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("the lines").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Nanoseconds since the epoch, that many seconds after the incident opened.
fn nanos(seconds: f64) -> u64 {
    ((1_700_000_000.25 + seconds) * 1e9) as u64
}

/// As near as a time in seconds with a fraction can be said.
fn same_time(one: u64, other: u64) -> bool {
    one.abs_diff(other) < 1000
}

async fn soon<T>(waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, waiting).await.expect("in time")
}

#[tokio::test]
async fn a_whole_incident_arrives_as_one_trace_with_its_times_parents_and_attributes() {
    let collector = OtlpCollector::start().await.expect("a collector");
    let otlp = Otlp::start(&config(&collector.url())).expect("started");
    let suspected = shop();
    let confirmed = later(&suspected, State::Confirmed, 10.0);
    let imminent = later(&confirmed, State::Imminent, 20.0);
    let with_name = named(&imminent, 25.0);
    let mut killed = later(&with_name, State::Killed, 40.0);
    killed.evidence = Some("oom_kill went from 0 to 1".into());
    for change in [&suspected, &confirmed, &imminent, &with_name, &killed] {
        otlp.changed(change);
    }
    otlp.ended(&delivery(&confirmed));
    otlp.ended(&Ended { sink: "loki", outcome: Err("no such tenant"), ..delivery(&killed) });
    let (started, finished) = (suspected.opened.plus(11.0), suspected.opened.plus(12.5));
    let step = StepRecord { incident: &confirmed, started, finished, outcome: Ok("dump-3") };
    otlp.heap_profile(&step);
    otlp.name_function(&StepRecord { outcome: Err("too few samples"), ..step });
    otlp.name_function(&StepRecord {
        started: finished,
        finished: finished.plus(1.0),
        outcome: Ok("shop::cart::add"),
        ..step
    });
    let received = soon(collector.until(|received| received.spans.len() == 6)).await;
    assert_eq!(received.mistakes, Vec::<String>::new());

    let root = received.span("incident").expect("the root");
    assert!(root.parent_span_id.is_empty());
    for child in received.spans.iter().filter(|span| span.name != "incident") {
        assert_eq!((&child.trace_id, &child.parent_span_id), (&root.trace_id, &root.span_id));
    }
    assert!(same_time(root.start_time_unix_nano, nanos(0.0)), "{root:?}");
    assert!(same_time(root.end_time_unix_nano, nanos(40.0)), "{root:?}");
    let events: Vec<_> = root.events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(events, ["suspected", "told", "imminent", "function named", "killed"]);
    for (event, seconds) in root.events.iter().zip([0.0, 10.0, 20.0, 25.0, 40.0]) {
        assert!(same_time(event.time_unix_nano, nanos(seconds)), "{event:?}");
    }
    let about = attributes(&root.attributes);
    for (key, value) in [
        ("oomen.target", "shop"),
        ("oomen.incident.state", "killed"),
        ("oomen.verdict.kind", "heap-leak"),
        ("oomen.memory.used_bytes", "400"),
        ("oomen.memory.limit_bytes", "1000"),
        ("oomen.lead_seconds", "30"),
        ("oomen.target.pod", "shop-5d"),
        ("code.function.name", "shop::cart::add"),
    ] {
        assert_eq!(about.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert_eq!(root.status.as_ref().map(|status| status.code), Some(2), "a kill is an error");

    let first = received.span("report slack").expect("a report");
    assert!(same_time(first.start_time_unix_nano, nanos(10.0)));
    assert!(same_time(first.end_time_unix_nano, nanos(12.0)));
    assert!(same_time(first.events[0].time_unix_nano, nanos(10.5)));
    let about = attributes(&first.attributes);
    assert_eq!(about["oomen.report.sink"], "slack");
    assert_eq!(about["oomen.report.revision"], "2");
    assert_eq!(about["oomen.report.state"], "confirmed");
    assert_eq!(about["oomen.report.attempts"], "2");
    assert_eq!(about["oomen.report.waited_seconds"], "0.5");
    assert_eq!(about["oomen.outcome"], "done");
    let last = received.span("report loki").expect("the other report");
    assert_eq!(attributes(&last.attributes)["oomen.report.state"], "killed");

    let profile = received.span("heap profile").expect("a profile");
    assert!(same_time(profile.start_time_unix_nano, nanos(11.0)));
    assert!(same_time(profile.end_time_unix_nano, nanos(12.5)));
    assert_eq!(attributes(&profile.attributes)["oomen.dump.id"], "dump-3");
    let mut namings = received.spans.iter().filter(|span| span.name == "name function");
    let (failed, done) = (namings.next().expect("one"), namings.next().expect("two"));
    let status = failed.status.clone().expect("a status");
    assert_eq!((status.code, status.message.as_str()), (2, "too few samples"));
    assert_eq!(attributes(&failed.attributes)["oomen.outcome"], "failed");
    assert_eq!(attributes(&done.attributes)["code.function.name"], "shop::cart::add");
    let ids: std::collections::BTreeSet<_> =
        received.spans.iter().map(|span| &span.span_id).collect();
    assert_eq!(ids.len(), received.spans.len(), "every span has an id of its own");
}

#[tokio::test]
async fn what_is_told_before_and_after_a_restart_of_the_watchdog_is_one_trace() {
    let collector = OtlpCollector::start().await.expect("a collector");
    let confirmed = later(&shop(), State::Confirmed, 10.0);
    let before = Otlp::start(&config(&collector.url())).expect("started");
    before.ended(&delivery(&confirmed));
    soon(before.shutdown(SOON)).await;
    let after = Otlp::start(&config(&collector.url())).expect("started");
    after.changed(&later(&confirmed, State::Recovered, 90.0));
    let received = soon(collector.until(|received| received.spans.len() == 2)).await;
    let [report, root] = &received.spans[..] else { panic!("{received:?}") };
    assert_eq!((root.name.as_str(), report.name.as_str()), ("incident", "report slack"));
    assert_eq!((&report.trace_id, &report.parent_span_id), (&root.trace_id, &root.span_id));
    let events: Vec<_> = root.events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(events, ["suspected", "told", "recovered"]);
    assert!(!attributes(&root.attributes).contains_key("oomen.lead_seconds"), "nobody was killed");
}

#[tokio::test]
async fn the_resource_says_which_watchdog_it_is_and_the_headers_go_to_the_collector_alone() {
    let collector = OtlpCollector::start().await.expect("a collector");
    let pod = |name: &str| (name == "POD_NAME").then(|| "shop-5d".to_owned());
    let mut config = config(&format!("{}/", collector.url())).with_pod(pod);
    config.headers = vec![("X-Api-Key".into(), "hunter2".into())];
    let shown = format!("{config:?}");
    let otlp = Otlp::start(&config).expect("started");
    let captured = Captured::start(&otlp);
    otlp.changed(&later(&shop(), State::Gone, 1.0));
    tracing::info!("something");
    let both = |received: &watchdog_fixtures::otlp::Received| {
        !received.spans.is_empty() && !received.logs.is_empty()
    };
    let received = soon(collector.until(both)).await;
    let resource = &received.resource;
    assert_eq!(resource["service.name"], "oomen");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(resource["k8s.pod.name"], "shop-5d");
    assert_eq!(resource.get("k8s.namespace.name"), None);
    assert_eq!(received.headers["x-api-key"], "hunter2");
    assert!(received.headers["user-agent"].starts_with("oomen/"));
    let (log, _) = captured.said("");
    for text in [shown, format!("{otlp:?}"), log, format!("{:?}", received.logs)] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn what_waits_is_exported_at_the_end_in_batches_of_the_size_allowed() {
    let collector = OtlpCollector::start().await.expect("a collector");
    let mut config = config(&collector.url());
    config.batching = Batching { queue: 64, batch: 10, every: Duration::from_secs(3600) };
    let otlp = Otlp::start(&config).expect("started");
    let confirmed = later(&shop(), State::Confirmed, 10.0);
    for moved in 0..5 {
        otlp.ended(&Ended {
            finished: confirmed.updated.plus(f64::from(moved)),
            ..delivery(&confirmed)
        });
    }
    assert_eq!(collector.received().spans.len(), 0, "neither is the batch full nor time over");
    soon(otlp.shutdown(SOON)).await;
    assert_eq!(collector.received().spans.len(), 5);
    let counts: Vec<_> = otlp.counts().collect();
    let traces = Counts { signal: "traces", exported: 5, lost: 0, waiting: 0 };
    assert_eq!(counts, [traces, Counts { signal: "logs", exported: 0, ..traces }]);
    otlp.ended(&delivery(&confirmed));
    assert_eq!(otlp.counts().next(), Some(traces), "after the end there is nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_works_within_the_two_workers_of_the_program() {
    let collector = OtlpCollector::start().await.expect("a collector");
    let otlp = Otlp::start(&config(&collector.url())).expect("started");
    otlp.changed(&later(&shop(), State::Gone, 1.0));
    soon(collector.until(|received| received.spans.len() == 1)).await;
    soon(otlp.shutdown(SOON)).await;
}

#[tokio::test]
async fn a_signal_that_is_not_wanted_is_neither_collected_nor_sent() {
    let collector = OtlpCollector::start().await.expect("a collector");
    let config = OtlpConfig { logs: false, ..config(&collector.url()) };
    let otlp = Otlp::start(&config).expect("started");
    assert!(otlp.log_layer::<tracing_subscriber::Registry>().is_none());
    let config = OtlpConfig { logs: true, traces: false, ..config };
    let log_alone = Otlp::start(&config).expect("started");
    log_alone.changed(&later(&shop(), State::Gone, 1.0));
    soon(log_alone.shutdown(SOON)).await;
    assert_eq!(log_alone.counts().map(|counts| counts.signal).collect::<Vec<_>>(), ["logs"]);
    assert_eq!(collector.received().requests.len(), 0);
}

#[test]
fn mistakes_are_said_at_the_start_and_without_the_secret() {
    let outside = Otlp::start(&config("http://127.0.0.1:4318"));
    assert!(matches!(outside, Err(OtlpError::Runtime)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let _inside = runtime.enter();
    for url in ["ftp://collector", "http://user:hunter2@collector", "http://collector?key=hunter2"]
    {
        let error = Otlp::start(&config(url)).expect_err(url);
        assert!(matches!(error, OtlpError::Endpoint) && !error.to_string().contains("hunter2"));
    }
    for (name, value, wanted) in [
        ("a b", "hunter2", "`a b` is no name"),
        ("authorization", "hunter2\n", "`authorization` has characters"),
    ] {
        let headers = vec![(name.into(), value.into())];
        let config = OtlpConfig { headers, ..config("https://collector") };
        let error = Otlp::start(&config).expect_err(name).to_string();
        assert!(error.contains(wanted) && !error.contains("hunter2"), "{error}");
    }
}
