//! One status with every kind of target in it, and a client for the router.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use serde_json::Value;
use tower::ServiceExt as _;
use watchdog_core::culprit::Culprit;
use watchdog_core::detector::{Assessment, Level};
use watchdog_core::fit::{Fit, Scale};
use watchdog_core::forecast::Forecast;
use watchdog_core::history::Row;
use watchdog_core::incident::{Incident, State, TargetIdentity};
use watchdog_core::profile::Frame;
use watchdog_core::sample::{Allocator, Cgroup, Memory, Sample};
use watchdog_core::trend::Trend;
use watchdog_core::units::{Bytes, BytesPerSecond, Moment, WallTime};
use watchdog_core::verdict::{Kind, Verdict};
use watchdog_web::status::{
    Build, Captures, DeadReports, Delays, Durations, IncidentCounts, Kept, Meters, Own, ReadCount,
    ReadTimes, Reads, RulesStatus, Selection, SinkStatus, Source, Status, TargetStatus,
};
use watchdog_web::{AppContext, router};

use crate::store::TwoDumps;

/// The wall clock of the fixed status.
pub(crate) const NOW: f64 = 1_795_000_000.5;
pub(crate) const CULPRIT: &str = "services_recommendations::faults::unbounded_cache::remember";
pub(crate) const SENTENCE: &str = "Live allocations grow by 5.0 MiB/s with the process's memory: a heap leak, or a cache without a bound.";
/// The function that is suspected beside it.
pub(crate) const SECOND: &str = "services_recommendations::carts::remind";
pub(crate) const DUMP: &str = "recommendations-41-1794999990";
/// The dump of the same process before that.
pub(crate) const FIRST: &str = "recommendations-41-1794999960";

fn identity(name: &str, pid: u32) -> TargetIdentity {
    TargetIdentity {
        name: name.into(),
        workload: Some(name.into()),
        pid,
        start_ticks: 90_000,
        namespace: Some("shop".into()),
        pod: Some(format!("{name}-7d9f")),
        version: Some("1.4.2".into()),
    }
}

fn leaking() -> TargetStatus {
    let used = Bytes::from_mib(170);
    let limit = Some(Bytes::from_mib(256));
    let memory = Memory {
        rss: Bytes::from_mib(181),
        anon: Bytes::from_mib(168),
        file: Bytes::from_mib(11),
        shmem: Bytes::from_mib(2),
        swap: Bytes(0),
    };
    let allocator = Allocator {
        allocated: Bytes::from_mib(150),
        active: Bytes::from_mib(152),
        resident: Bytes::from_mib(160),
        retained: Bytes::from_mib(40),
        mapped: Bytes::from_mib(164),
        metadata: Bytes::from_mib(4),
        profiling: true,
    };
    let cgroup = Cgroup { usage: Bytes::from_mib(190), unreclaimable: used, oom_kills: 1 };
    let slope = |mib: f64| BytesPerSecond(mib * 1024.0 * 1024.0);
    let trend =
        Trend { slope: slope(5.0), low: slope(4.5), high: slope(5.5), window: 16.0, tau: 0.97 };
    let mut incidents = IncidentCounts::default();
    [State::Suspected, State::Confirmed, State::Imminent]
        .into_iter()
        .for_each(|s| incidents.add(s));
    TargetStatus {
        identity: identity("recommendations", 41),
        up: true,
        sample: Some(Sample {
            at: Moment(120.0),
            wall: WallTime(NOW),
            memory,
            limit,
            cgroup: Some(cgroup),
            allocator: Some(allocator),
            load: Some(42.5),
            age: 60.25,
        }),
        assessment: Some(Assessment {
            at: Moment(120.0),
            level: Level::Imminent,
            verdict: Verdict { kind: Kind::HeapLeak, sentence: SENTENCE.into() },
            trend: Some(trend),
            forecast: Some(Forecast { low: 13.5, estimate: 17.25, high: Some(22.0) }),
            used,
            limit,
            next_sample_in: 0.05,
        }),
        fit: Some(Fit {
            watched: 172_800.0,
            scales: vec![Scale {
                window: 4096.0,
                lowest: Bytes::from_mib(72),
                record: Bytes::from_mib(96),
                step: Bytes::from_mib(2),
                swing: Bytes::from_mib(20),
            }],
        }),
        sample_interval: 0.05,
        delays: Delays { total_seconds: 1.25, longest_seconds: 0.0625 },
        limit_source: Some("cgroup".into()),
        reads: Reads {
            proc: ReadCount { ok: 1200, error: 1 },
            cgroup: ReadCount { ok: 1199, error: 2 },
            allocator: ReadCount { ok: 58, error: 3 },
            requests: ReadCount { ok: 19, error: 1 },
        },
        captures: Captures { ok: 2, failed: 1, skipped: 4 },
        recorder: true,
        lost_samples: 7,
        recorder_fill: Some(0.375),
        probe: Some(true),
        counter: Some(false),
        last_capture: Some(WallTime(NOW - 10.0)),
        incidents,
        oom_kills: 1,
    }
}

fn calm() -> TargetStatus {
    let memory = Memory {
        rss: Bytes::from_mib(40),
        anon: Bytes::from_mib(30),
        file: Bytes::from_mib(10),
        ..Memory::default()
    };
    let steady = "Memory has not grown in the last 12 min.".into();
    TargetStatus {
        identity: TargetIdentity { name: "orders".into(), pid: 42, ..TargetIdentity::default() },
        up: true,
        sample: Some(Sample { wall: WallTime(NOW), memory, age: 3600.0, ..Sample::default() }),
        assessment: Some(Assessment {
            verdict: Verdict { kind: Kind::Steady, sentence: steady },
            used: Bytes::from_mib(30),
            next_sample_in: 1.0,
            ..Assessment::default()
        }),
        sample_interval: 1.0,
        reads: Reads { proc: ReadCount { ok: 3600, error: 0 }, ..Reads::default() },
        ..TargetStatus::default()
    }
}

pub(crate) fn incident() -> Incident {
    let target = leaking();
    let assessment = target.assessment.expect("assessed");
    let frame = |function: &str, place: Option<(&str, u32)>| Frame {
        function: function.into(),
        file: place.map(|(file, _)| file.into()),
        line: place.map(|(_, line)| line),
    };
    let second = frame(SECOND, Some(("services/recommendations/src/carts.rs", 112)));
    let own = frame(CULPRIT, Some(("services/recommendations/src/faults/unbounded_cache.rs", 38)));
    let stack = vec![
        frame("alloc::raw_vec::RawVecInner<A>::try_allocate_in", None),
        frame("<alloc::vec::Vec<T> as core::clone::Clone>::clone", None),
        own.clone(),
        frame(
            "services_recommendations::api::recommend",
            Some(("services/recommendations/src/api.rs", 71)),
        ),
        frame("tokio::runtime::task::raw::poll", None),
    ];
    let mib = 1_048_576.0;
    let culprit = Culprit {
        frame: own,
        growth: Bytes::from_mib(74),
        share: 0.973,
        samples: 148,
        profiles: 4,
        over_seconds: 14.8,
        rate: 5.0 * mib,
        rate_low: 4.25 * mib,
        rate_high: 5.75 * mib,
        stack,
    };
    Incident {
        id: "recommendations-41-1794999984".into(),
        revision: 4,
        target: target.identity,
        state: State::Imminent,
        opened: WallTime(NOW - 16.0),
        updated: WallTime(NOW),
        closed: None,
        told: Some(WallTime(NOW - 8.0)),
        used: assessment.used,
        limit: assessment.limit,
        trend: assessment.trend,
        kill: assessment.forecast.map(|forecast| forecast.from(WallTime(NOW))),
        verdict: assessment.verdict,
        culprit: Some(culprit.clone()),
        suspects: vec![
            culprit.clone(),
            Culprit { frame: second, share: 0.021, rate_high: 0.0, stack: vec![], ..culprit },
        ],
        culprit_pending: None,
        evidence: None,
        dumps: vec![DUMP.into()],
    }
}

fn killed() -> Incident {
    Incident {
        id: "recommendations-17-1794990000".into(),
        state: State::Killed,
        opened: WallTime(NOW - 10_000.0),
        closed: Some(WallTime(NOW - 9_950.0)),
        culprit: None,
        suspects: vec![],
        evidence: Some("The kernel killed it for its memory: `oom_kill` went from 0 to 1.".into()),
        ..incident()
    }
}

/// A leaking target with everything known, a calm one with little known, one that was never sampled.
pub(crate) fn status() -> Status {
    let unseen = TargetIdentity { name: "payments".into(), pid: 43, ..TargetIdentity::default() };
    Status {
        build: Build { version: "0.1.0".into(), commit: "53c2270".into() },
        started: WallTime(NOW - 130.0),
        discovering: false,
        targets: vec![leaking(), calm(), TargetStatus { identity: unseen, ..Default::default() }],
        incidents: vec![incident(), killed()],
        rules: vec![
            RulesStatus { store: "file".into(), written: 5, failed: 2, groups: 1 },
            RulesStatus { store: "kubernetes".into(), written: 3, failed: 0, groups: 1 },
        ],
        kept: Kept { dumps: 3, bytes: Bytes::from_mib(5), limit: Bytes::from_mib(256) },
        deliveries: vec![
            SinkStatus {
                name: "slack".into(),
                delivered: 2,
                retried: 3,
                failed: 1,
                dropped: 0,
                queue_length: 1,
                capacity: 256,
                oldest_seconds: 12.5,
                last_success: Some(WallTime(NOW - 12.0)),
                dead: DeadReports { refused: 1, ..DeadReports::default() },
            },
            SinkStatus {
                name: "terminal".into(),
                delivered: 3,
                capacity: 256,
                ..SinkStatus::default()
            },
        ],
        own: Own {
            rss: Bytes::from_mib(9),
            cpu_seconds: 0.41,
            virtual_memory: Bytes::from_mib(120),
            threads: 4,
            open_fds: Some(23),
            max_fds: Some(1024),
        },
        selections: vec![
            Selection { selector: "recommendations".into(), processes: 1 },
            Selection { selector: "pod".into(), processes: 2 },
        ],
        meters: meters(),
    }
}

fn took(millis: &[u64]) -> Durations {
    let mut durations = Durations::default();
    millis.iter().for_each(|millis| durations.add(Duration::from_millis(*millis)));
    durations
}

/// Everything was measured, and every source of heap profiles is in use.
fn meters() -> Meters {
    let sources = ["recorder", "probe", "go", "files", "after-kill"];
    Meters {
        reads: ReadTimes {
            proc: took(&[0, 0, 1]),
            cgroup: took(&[0, 2]),
            allocator: took(&[3, 500]),
            requests: took(&[4000]),
        },
        captures: sources.map(|source| (source, took(&[40]))).into(),
        naming: took(&[150]),
        scrapes: took(&[1, 1]),
        unstored: 1,
        state_writes: Some(ReadCount { ok: 6, error: 1 }),
    }
}

/// A [`Source`] that always says the same.
pub(crate) struct Fixed(pub(crate) Status);

impl Source for Fixed {
    fn status(&self) -> Status {
        self.0.clone()
    }

    /// A minute up to now: 96 MiB, then from the middle on 2.5 MiB more each second.
    fn series(&self, target: &str) -> Option<Vec<Row>> {
        let target = self.0.targets.iter().find(|known| known.identity.name == target)?;
        let Some(sample) = target.sample else { return Some(Vec::new()) };
        let end = sample.used().0;
        let growing = sample.limit.is_some();
        let row = |i: u32| {
            let missing = if growing { u64::from(60 - i.max(30)) * (5 << 19) } else { 0 };
            let shifted = Sample {
                at: Moment(f64::from(i)),
                wall: WallTime(NOW - 60.0 + f64::from(i)),
                ..sample
            };
            let unreclaimable = Bytes(end.saturating_sub(missing));
            Row { unreclaimable, rss: unreclaimable + Bytes::from_mib(11), ..Row::from(&shifted) }
        };
        Some((0..=60).map(row).collect())
    }
}

/// The text of each dump.
pub(crate) const HEAP: &str = "heap_v2/524288\n  t*: 1: 2 [0:";

/// A context over `status`; the directory holds the dump and must be kept.
pub(crate) fn context(status: Status, token: Option<&str>) -> (AppContext, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("one.heap");
    let mut file = std::fs::File::create(&path).expect("a file");
    file.write_all(HEAP.as_bytes()).expect("written");
    let context = AppContext {
        source: Arc::new(Fixed(status)),
        dumps: Arc::new(TwoDumps(path)),
        token: token.map(|token| token.to_owned().into()),
    };
    (context, dir)
}

/// The router over the fixed status.
pub(crate) fn app(loopback: bool, token: Option<&str>) -> (Router, tempfile::TempDir) {
    let (context, dir) = context(status(), token);
    (router(context, loopback), dir)
}

/// Sends one request.
pub(crate) async fn send(app: &Router, request: Request<Body>) -> Response {
    app.clone().oneshot(request).await.expect("infallible")
}

/// A GET with headers.
pub(crate) fn get(path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    method("GET", path, headers)
}

/// A request without a body.
pub(crate) fn method(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = headers.iter().fold(request, |r, (name, value)| r.header(*name, *value));
    request.body(Body::empty()).expect("a request")
}

/// The whole body as text.
pub(crate) async fn text(response: Response) -> String {
    let bytes = to_bytes(response.into_body(), 1 << 24).await.expect("a body");
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// A header of an answer; empty when it was not sent.
pub(crate) fn header(response: &Response, name: &str) -> String {
    let value = response.headers().get(name);
    value.map_or_else(String::new, |value| value.to_str().expect("text").to_owned())
}

/// A GET on a loopback server: status and JSON.
pub(crate) async fn json(path: &str) -> (StatusCode, Value) {
    let (app, _dir) = app(true, None);
    let response = send(&app, get(path, &[("accept", "application/json")])).await;
    let status = response.status();
    (status, serde_json::from_str(&text(response).await).expect("JSON"))
}
