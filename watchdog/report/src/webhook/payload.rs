//! An incident as JSON for programs: version 1 of the schema in `docs/webhook.schema.json`.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use url::Url;
use watchdog_core::culprit::Culprit;
use watchdog_core::incident::Incident;
use watchdog_core::profile::Frame;
use watchdog_core::units::WallTime;

use crate::message::{self, clean, truncated};
use crate::sink::Delivery;

/// Changes when a field changes its meaning or goes; a new field alone does not change it.
pub(crate) const VERSION: u32 = 1;
/// Generic functions can have names of kilobytes.
const MAX_NAME: usize = 512;
const MAX_SENTENCE: usize = 2000;

/// An incident as it is told to programs. Times are RFC 3339 in UTC, amounts of memory bytes.
#[derive(Debug, Serialize)]
pub(crate) struct Told<'a> {
    id: &'a str,
    revision: u32,
    state: &'static str,
    title: String,
    summary: String,
    target: Target<'a>,
    opened: Option<String>,
    told: Option<String>,
    updated: Option<String>,
    closed: Option<String>,
    memory: Memory,
    kill: Option<Kill>,
    verdict: Verdict,
    culprits: Vec<Named>,
    culprit_pending: Option<String>,
    evidence: Option<String>,
    dumps: &'a [String],
    page: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Target<'a> {
    name: &'a str,
    workload: Option<&'a str>,
    namespace: Option<&'a str>,
    pod: Option<&'a str>,
    pid: u32,
    version: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Memory {
    used_bytes: u64,
    limit_bytes: Option<u64>,
    growth: Option<Growth>,
}

#[derive(Debug, Serialize)]
struct Growth {
    bytes_per_second: f64,
    low: f64,
    high: f64,
}

#[derive(Debug, Serialize)]
struct Kill {
    earliest: Option<String>,
    estimate: Option<String>,
    latest: Option<String>,
}

#[derive(Debug, Serialize)]
struct Verdict {
    kind: &'static str,
    sentence: String,
}

#[derive(Debug, Serialize)]
struct Named {
    function: String,
    file: Option<String>,
    line: Option<u32>,
    growth_bytes: u64,
    share: f64,
    samples: u64,
    over_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<Vec<String>>,
}

impl<'a> Told<'a> {
    /// Everything that is known, the stacks only where `stacks` are wanted.
    pub(crate) fn new(incident: &'a Incident, page: Option<&'a Url>, stacks: bool) -> Self {
        let (target, verdict) = (&incident.target, &incident.verdict);
        // An incident of before several functions could be named has the first alone.
        let first = incident.culprit.iter().filter(|_| incident.suspects.is_empty());
        let text = |text: &Option<String>| text.as_deref().map(|text| fit(text, MAX_SENTENCE));
        Self {
            id: &incident.id,
            revision: incident.revision,
            state: incident.state.as_str(),
            title: message::title(incident),
            summary: message::summary(incident),
            target: Target {
                name: &target.name,
                workload: target.workload.as_deref(),
                namespace: target.namespace.as_deref(),
                pod: target.pod.as_deref(),
                pid: target.pid,
                version: target.version.as_deref(),
            },
            opened: timestamp(incident.opened),
            told: incident.told.and_then(timestamp),
            updated: timestamp(incident.updated),
            closed: incident.closed.and_then(timestamp),
            memory: memory(incident),
            kill: incident.kill.map(|kill| Kill {
                earliest: timestamp(kill.low),
                estimate: timestamp(kill.estimate),
                latest: kill.high.and_then(timestamp),
            }),
            verdict: Verdict {
                kind: verdict.kind.as_str(),
                sentence: fit(&verdict.sentence, MAX_SENTENCE),
            },
            culprits: first.chain(&incident.suspects).map(|one| named(one, stacks)).collect(),
            culprit_pending: text(&incident.culprit_pending),
            evidence: text(&incident.evidence),
            dumps: &incident.dumps,
            page: page.map(Url::as_str),
        }
    }
}

fn memory(incident: &Incident) -> Memory {
    Memory {
        used_bytes: incident.used.0,
        limit_bytes: incident.limit.map(|limit| limit.0),
        growth: incident.trend.map(|trend| Growth {
            bytes_per_second: trend.slope.0,
            low: trend.low.0,
            high: trend.high.0,
        }),
    }
}

fn named(culprit: &Culprit, stacks: bool) -> Named {
    let Frame { function, file, line } = &culprit.frame;
    Named {
        function: fit(function, MAX_NAME),
        file: file.as_deref().map(|file| fit(file, MAX_NAME)),
        line: *line,
        growth_bytes: culprit.growth.0,
        share: culprit.share,
        samples: culprit.samples,
        over_seconds: culprit.over_seconds,
        stack: stacks
            .then(|| culprit.stack.iter().map(|frame| fit(&frame.function, MAX_NAME)).collect()),
    }
}

fn fit(text: &str, most: usize) -> String {
    truncated(&clean(text), most)
}

/// `2026-11-21T14:03:20.25Z`; `None` for what is no time.
pub(crate) fn timestamp(time: WallTime) -> Option<String> {
    message::unix_seconds(time)?;
    Timestamp::from_millisecond((time.0 * 1000.0).round() as i64).ok().map(|time| time.to_string())
}

/// The incident, unless the memory says that this piece of news, or a later one, was told.
pub(crate) fn untold<'a>(delivery: &Delivery<'a>) -> Option<&'a Incident> {
    let incident = delivery.incidents.first()?;
    let told = delivery.memory.and_then(|memory| memory.get("revision")?.as_u64());
    told.is_none_or(|told| told < u64::from(incident.revision)).then_some(incident)
}

/// What to remember once this piece of news is told.
pub(crate) fn remembered(incident: &Incident) -> Value {
    json!({ "revision": incident.revision })
}
