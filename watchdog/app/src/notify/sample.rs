//! Incidents that never were, as `oomen notify --test` sends them: one that is told, grows near and recovers, one that is
//! killed. Their names say that they are tests.

use std::future::Future;
use std::pin::Pin;

use watchdog_core::culprit::Culprit;
use watchdog_core::forecast::KillWindow;
use watchdog_core::history::Row;
use watchdog_core::incident::{Incident, State, TargetIdentity};
use watchdog_core::profile::Frame;
use watchdog_core::sample::Allocator;
use watchdog_core::trend::Trend;
use watchdog_core::units::{Bytes, BytesPerSecond, Moment, WallTime};
use watchdog_core::verdict::{Kind, Verdict};
use watchdog_report::sink::Evidence;

const LIMIT: Bytes = Bytes::from_mib(256);
const START: Bytes = Bytes::from_mib(60);
/// Bytes per second.
const PACE: f64 = 120.0 * 1024.0;
/// Seconds of the series before the first report.
const BEFORE: f64 = 1200.0;
const ROWS: u32 = 240;

/// The sample incidents and their series.
pub(super) struct Sample {
    now: WallTime,
}

impl Sample {
    pub(super) fn of(now: WallTime) -> Self {
        Self { now }
    }

    /// Both incidents, state by state.
    pub(super) fn courses(&self) -> [Vec<Incident>; 2] {
        let recovers = [State::Confirmed, State::Imminent, State::Recovered];
        let killed = [State::Confirmed, State::Killed];
        [self.course("oomen-test", &recovers), self.course("oomen-test-killed", &killed)]
    }

    fn course(&self, name: &str, states: &[State]) -> Vec<Incident> {
        let of =
            |(revision, state): (u32, &State)| Incident { revision, ..self.incident(name, *state) };
        (1..).zip(states).map(of).collect()
    }

    fn incident(&self, name: &str, state: State) -> Incident {
        let used = used(BEFORE);
        let left = LIMIT.as_f64() - used.as_f64();
        let after = |share: f64| self.now.plus(left / PACE * share);
        let kill = KillWindow { low: after(0.8), estimate: after(1.0), high: Some(after(1.3)) };
        let pace = |share: f64| BytesPerSecond(PACE * share);
        let closed = state.is_closed().then_some(self.now);
        let culprit = (state != State::Confirmed).then(culprit);
        Incident {
            id: format!("{name}-{}", self.now.0 as u64),
            revision: 0,
            target: TargetIdentity {
                name: name.into(),
                workload: Some(name.into()),
                pid: std::process::id(),
                ..TargetIdentity::default()
            },
            state,
            opened: self.now.plus(-60.0),
            updated: self.now,
            closed,
            told: Some(self.now),
            used,
            limit: Some(LIMIT),
            trend: Some(Trend {
                slope: pace(1.0),
                low: pace(0.8),
                high: pace(1.2),
                window: BEFORE,
                tau: 1.0,
            }),
            kill: closed.is_none().then_some(kill),
            verdict: Verdict {
                kind: Kind::HeapLeak,
                sentence: "This is a test of `oomen notify`: no process leaks.".into(),
            },
            suspects: culprit.clone().into_iter().collect(),
            culprit_pending: culprit.is_none().then(|| "This is a test: no function yet.".into()),
            culprit,
            evidence: closed.map(|_| "This was a test.".into()),
            dumps: Vec::new(),
        }
    }
}

/// What the made-up process uses so many seconds after its series began.
fn used(seconds: f64) -> Bytes {
    Bytes(START.0.saturating_add((PACE * seconds) as u64))
}

fn culprit() -> Culprit {
    let frame = |function: &str, line| Frame {
        function: function.into(),
        file: Some("src/example.rs".into()),
        line: Some(line),
    };
    let stack = vec![frame("example::cache::remember", 42), frame("example::main", 7)];
    Culprit {
        frame: frame("example::cache::remember", 42),
        growth: Bytes((PACE * 600.0) as u64),
        share: 0.97,
        samples: 137,
        profiles: 4,
        over_seconds: 600.0,
        rate: PACE,
        rate_low: PACE * 0.8,
        rate_high: PACE * 1.2,
        stack,
    }
}

impl Evidence for Sample {
    fn series(&self, _target: &str) -> Vec<Row> {
        let row = |n: u32| {
            let seconds = BEFORE * f64::from(n) / f64::from(ROWS);
            let unreclaimable = used(seconds);
            Row {
                at: Moment(seconds),
                wall: self.now.plus(seconds - BEFORE),
                unreclaimable,
                rss: unreclaimable + Bytes::from_mib(8),
                shmem: Bytes(0),
                file: Bytes::from_mib(8),
                limit: Some(LIMIT),
                allocator: Some(Allocator {
                    allocated: Bytes((unreclaimable.as_f64() * 0.85) as u64),
                    resident: Bytes((unreclaimable.as_f64() * 0.95) as u64),
                    ..Allocator::default()
                }),
                load: None,
            }
        };
        (0..=ROWS).map(row).collect()
    }

    fn profile<'a>(
        &'a self,
        _id: &'a str,
    ) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send + 'a>> {
        Box::pin(async { None })
    }
}
