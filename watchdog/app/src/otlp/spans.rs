//! An incident and the steps of the race as spans.
//!
//! The spans are built whole when their end is known, with ids of our own, and given to the SDK's processor directly: its
//! tracer chooses ids at random and keeps a span in memory until it ends, and an incident may last for days.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Event, SpanId, SpanKind, Status};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use watchdog_core::incident::{Incident, State};
use watchdog_core::units::WallTime;
use watchdog_report::pipeline::Ended;

use super::StepRecord;
use super::ids::TraceIds;
use super::milestones::Milestones;

/// Characters of an attribute at most: a C++ name can be longer than a whole report.
const MAX_TEXT: usize = 1024;

/// Builds spans.
#[derive(Debug)]
pub(super) struct SpanMaker {
    scope: InstrumentationScope,
}

impl SpanMaker {
    pub(super) fn new() -> Self {
        let scope = InstrumentationScope::builder("oomen").with_version(env!("CARGO_PKG_VERSION"));
        Self { scope: scope.build() }
    }

    /// The root: an incident that has ended.
    pub(super) fn incident(&self, incident: &Incident, milestones: Milestones) -> SpanData {
        let ids = TraceIds::of(incident);
        let end = incident.closed.unwrap_or(incident.updated);
        let mut span = self.span(&ids, ids.root(), "incident".into(), (incident.opened, end));
        span.parent_span_id = SpanId::INVALID;
        span.attributes = about(incident);
        span.events.events = events(incident, milestones);
        if incident.state == State::Killed {
            let evidence = incident.evidence.as_deref().unwrap_or("killed for its memory");
            span.status = Status::error(short(evidence));
        }
        span
    }

    /// A revision of a report on its way to people.
    pub(super) fn delivery(&self, ended: &Ended<'_>) -> SpanData {
        let Ended { incident, sink, submitted, started, finished, attempts, outcome } = *ended;
        let ids = TraceIds::of(incident);
        let revision = incident.revision.to_string();
        let id = ids.span(&["report", sink, &revision, &finished.0.to_bits().to_string()]);
        let mut span = self.span(&ids, id, format!("report {sink}").into(), (submitted, finished));
        span.attributes = vec![
            KeyValue::new("oomen.incident.id", short(&incident.id)),
            KeyValue::new("oomen.target", short(&incident.target.name)),
            KeyValue::new("oomen.report.sink", sink),
            KeyValue::new("oomen.report.revision", i64::from(incident.revision)),
            KeyValue::new("oomen.report.state", incident.state.as_str()),
            KeyValue::new("oomen.report.attempts", i64::from(attempts)),
            KeyValue::new("oomen.report.waited_seconds", (started.0 - submitted.0).max(0.0)),
            KeyValue::new("oomen.outcome", if outcome.is_ok() { "done" } else { "failed" }),
        ];
        span.events.events = vec![event("last attempt", started, Vec::new())];
        if let Err(reason) = outcome {
            span.status = Status::error(short(reason));
        }
        span
    }

    /// A step towards the function's name; `key` is what is found by it.
    pub(super) fn step(
        &self,
        name: &'static str,
        key: &'static str,
        record: &StepRecord<'_>,
    ) -> SpanData {
        let StepRecord { incident, started, finished, outcome } = *record;
        let ids = TraceIds::of(incident);
        let id = ids.span(&[name, &started.0.to_bits().to_string()]);
        let mut span = self.span(&ids, id, name.into(), (started, finished));
        span.attributes = vec![
            KeyValue::new("oomen.incident.id", short(&incident.id)),
            KeyValue::new("oomen.target", short(&incident.target.name)),
            KeyValue::new("oomen.outcome", if outcome.is_ok() { "done" } else { "failed" }),
        ];
        // Success has no status, as the specification asks of whoever reports of himself.
        match outcome {
            Ok(found) => span.attributes.push(KeyValue::new(key, short(found))),
            Err(reason) => span.status = Status::error(short(reason)),
        }
        span
    }

    /// A child of the root, with nothing in it.
    fn span(
        &self,
        ids: &TraceIds,
        id: SpanId,
        name: Cow<'static, str>,
        (start, end): (WallTime, WallTime),
    ) -> SpanData {
        let start_time = time(start);
        SpanData {
            span_context: ids.context(id),
            parent_span_id: ids.root(),
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name,
            start_time,
            // The wall clock may jump back.
            end_time: time(end).max(start_time),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

fn about(incident: &Incident) -> Vec<KeyValue> {
    let target = &incident.target;
    let mut about = vec![
        KeyValue::new("oomen.incident.id", short(&incident.id)),
        KeyValue::new("oomen.incident.state", incident.state.as_str()),
        KeyValue::new("oomen.incident.told", incident.told.is_some()),
        KeyValue::new("oomen.incident.revision", i64::from(incident.revision)),
        KeyValue::new("oomen.target", short(&target.name)),
        KeyValue::new("process.pid", i64::from(target.pid)),
        KeyValue::new("oomen.verdict.kind", incident.verdict.kind.as_str()),
        KeyValue::new("oomen.verdict.sentence", short(&incident.verdict.sentence)),
        KeyValue::new("oomen.memory.used_bytes", bytes(incident.used.0)),
    ];
    let mut add = |key: &'static str, value: Option<Value>| {
        about.extend(value.map(|value| KeyValue::new(key, value)));
    };
    let text = |text: &Option<String>| text.as_deref().map(|text| short(text).into());
    add("oomen.memory.limit_bytes", incident.limit.map(|limit| bytes(limit.0).into()));
    add("oomen.lead_seconds", lead(incident).map(Into::into));
    add("oomen.target.workload", text(&target.workload));
    add("oomen.target.namespace", text(&target.namespace));
    add("oomen.target.pod", text(&target.pod));
    add("oomen.target.version", text(&target.version));
    add("oomen.evidence", text(&incident.evidence));
    if let Some(culprit) = &incident.culprit {
        add("code.function.name", Some(short(&culprit.frame.function).into()));
        add("code.file.path", text(&culprit.frame.file));
        add("oomen.function.share", Some(culprit.share.into()));
    }
    about
}

/// Seconds between telling people and the kill: the race that was won or lost.
fn lead(incident: &Incident) -> Option<f64> {
    let killed = incident.closed.filter(|_| incident.state == State::Killed)?;
    Some((killed.0 - incident.told?.0).max(0.0))
}

fn events(incident: &Incident, milestones: Milestones) -> Vec<Event> {
    let mut events = vec![event("suspected", incident.opened, Vec::new())];
    let mut add = |name, at: Option<WallTime>, attributes| {
        events.extend(at.map(|at| event(name, at, attributes)));
    };
    add("told", incident.told, Vec::new());
    add("imminent", milestones.imminent, Vec::new());
    let function = incident.culprit.as_ref().map(|culprit| short(&culprit.frame.function));
    let function = function.map(|name| KeyValue::new("code.function.name", name));
    add("function named", milestones.named, function.into_iter().collect());
    add(incident.state.as_str(), incident.closed, Vec::new());
    events.sort_by_key(|event| event.timestamp);
    events
}

fn event(name: &'static str, at: WallTime, attributes: Vec<KeyValue>) -> Event {
    Event::new(name, time(at), attributes, 0)
}

/// A time that makes no sense becomes the epoch: the span tells all the same.
fn time(at: WallTime) -> SystemTime {
    let since = Duration::try_from_secs_f64(at.0).unwrap_or_default();
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}

fn bytes(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
