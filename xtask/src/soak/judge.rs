//! What the watchdog thinks, and what of it speaks against the shop.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

/// Kinds of growth that must not be the last word on any service.
const LEAKS: [&str; 4] = ["heap-leak", "fragmentation", "off-heap", "tmpfs"];

/// What `GET /api/v1/targets` says of one process.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) up: bool,
    sample: Option<Sample>,
    assessment: Option<Assessment>,
}

#[derive(Clone, Debug, Deserialize)]
struct Sample {
    memory: Memory,
}

#[derive(Clone, Debug, Deserialize)]
struct Memory {
    anon: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct Assessment {
    level: String,
    verdict: Verdict,
    trend: Option<Trend>,
}

#[derive(Clone, Debug, Deserialize)]
struct Verdict {
    kind: String,
    #[serde(default)]
    sentence: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Trend {
    slope: f64,
}

impl Target {
    /// Bytes of anonymous memory, once it was looked at.
    pub(super) fn anon(&self) -> Option<u64> {
        Some(self.sample.as_ref()?.memory.anon)
    }

    /// Bytes per second by which it grows, where a trend is known.
    pub(super) fn slope(&self) -> Option<f64> {
        Some(self.assessment.as_ref()?.trend.as_ref()?.slope)
    }

    /// What kind of growth the watchdog sees.
    pub(super) fn verdict(&self) -> &str {
        self.assessment.as_ref().map_or("unseen", |seen| seen.verdict.kind.as_str())
    }

    /// How dangerous it is.
    pub(super) fn level(&self) -> &str {
        self.assessment.as_ref().map_or("unseen", |seen| seen.level.as_str())
    }

    fn leaks(&self) -> bool {
        LEAKS.contains(&self.verdict()) || matches!(self.level(), "leak" | "imminent")
    }
}

/// One of `GET /api/v1/incidents`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Incident {
    id: String,
    state: String,
    /// When people were first to be told.
    told: Option<serde_json::Value>,
    verdict: Verdict,
    culprit: Option<serde_json::Value>,
}

/// Reads the answer of `GET /api/v1/targets`.
pub(super) fn targets(body: &[u8]) -> Result<Vec<Target>> {
    #[derive(Deserialize)]
    struct Targets {
        targets: Vec<Target>,
    }
    let answer: Targets = serde_json::from_slice(body).context("/api/v1/targets")?;
    Ok(answer.targets)
}

/// Reads the answer of `GET /api/v1/incidents`.
pub(super) fn incidents(body: &[u8]) -> Result<Vec<Incident>> {
    #[derive(Deserialize)]
    struct Incidents {
        incidents: Vec<Incident>,
    }
    let answer: Incidents = serde_json::from_slice(body).context("/api/v1/incidents")?;
    Ok(answer.incidents)
}

/// Remembers each incident as it was seen last: the watchdog lists recent ones only.
#[derive(Debug, Default)]
pub(super) struct Judge(BTreeMap<String, Incident>);

impl Judge {
    /// Takes note of incidents.
    pub(super) fn hear(&mut self, incidents: &[Incident]) {
        for incident in incidents {
            self.0.insert(incident.id.clone(), incident.clone());
        }
    }

    /// Whether people were told nothing, all processes are there, and none ends under a verdict of a leak. A suspicion
    /// that was dropped is told to nobody and speaks against nobody.
    pub(super) fn is_quiet(&self, last: &[Target]) -> bool {
        let told = self.0.values().any(|incident| incident.told.is_some());
        !told && !last.is_empty() && last.iter().all(|target| target.up && !target.leaks())
    }

    /// Every incident and every last word against a service, a line each.
    pub(super) fn found(&self, last: &[Target]) -> Vec<String> {
        let incidents = self.0.values().map(|incident| {
            let Incident { id, state, told, verdict, culprit } = incident;
            let told = if told.is_some() { "people were told" } else { "nobody was told" };
            let function = culprit.as_ref().and_then(|culprit| culprit.pointer("/frame/function"));
            let function = function
                .and_then(|name| name.as_str())
                .map_or_else(String::new, |name| format!(" {name}"));
            format!("incident {id}: {state}, {told}; {}{function}", verdict.sentence)
        });
        let gone = last.iter().filter(|target| !target.up);
        let gone = gone.map(|target| format!("{} is not there any more", target.name));
        let leaking = last.iter().filter(|target| target.leaks());
        let leaking = leaking.map(|target| {
            format!("{} ends as {} ({})", target.name, target.verdict(), target.level())
        });
        incidents.chain(gone).chain(leaking).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(up: bool, level: &str, kind: &str) -> Vec<Target> {
        let body = serde_json::json!({ "targets": [{
            "name": "orders", "up": up,
            "sample": { "memory": { "anon": 7, "rss": 9 } },
            "assessment": {
                "level": level,
                "verdict": { "kind": kind, "sentence": "" },
                "trend": { "slope": 1.5, "low": 0.5 },
            },
        }] });
        targets(body.to_string().as_bytes()).expect("targets")
    }

    fn incident(state: &str, told: Option<f64>) -> Vec<Incident> {
        let body = serde_json::json!({ "incidents": [{
            "id": "orders-1-2", "state": state, "told": told, "culprit": null,
            "verdict": { "kind": "heap-leak", "sentence": "It grows." },
        }] });
        incidents(body.to_string().as_bytes()).expect("incidents")
    }

    #[test]
    fn a_suspicion_that_was_dropped_speaks_against_nobody() {
        let mut judge = Judge::default();
        judge.hear(&incident("suspected", None));
        judge.hear(&incident("recovered", None));
        let calm = target(true, "calm", "steady");
        assert!(judge.is_quiet(&calm));
        assert_eq!(
            judge.found(&calm),
            ["incident orders-1-2: recovered, nobody was told; It grows."]
        );
    }

    #[test]
    fn what_people_were_told_stays_when_the_watchdog_lists_it_no_more() {
        let mut judge = Judge::default();
        judge.hear(&incident("confirmed", Some(3.0)));
        judge.hear(&[]);
        assert!(!judge.is_quiet(&target(true, "calm", "steady")));
    }

    #[test]
    fn a_leak_that_nobody_was_told_of_yet_and_a_process_that_is_gone_are_found() {
        let judge = Judge::default();
        assert!(judge.is_quiet(&target(true, "calm", "undecided")));
        for last in [
            target(true, "suspect", "heap-leak"),
            target(true, "calm", "fragmentation"),
            target(true, "leak", "undecided"),
            target(false, "calm", "steady"),
        ] {
            assert!(!judge.is_quiet(&last), "{last:?}");
            assert_eq!(judge.found(&last).len(), 1);
        }
        assert!(!judge.is_quiet(&[]), "nothing was watched");
    }
}
