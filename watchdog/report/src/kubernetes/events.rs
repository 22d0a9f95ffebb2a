//! The events sink: an incident as Events on the pod, where `kubectl describe pod` shows them.
//!
//! Each state that an incident reaches is one Event; what becomes known later in that state completes it and raises its
//! count. Its name is made of the incident and the state, and it is applied: what is sent twice is one Event, and it is
//! core/v1, as the message of an Event of events.k8s.io/v1 cannot be completed.

use std::future::Future;
use std::pin::Pin;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use watchdog_core::incident::{Incident, State};
use watchdog_core::units::WallTime;

use super::access::Need;
use super::api::{Api, Request};
use super::{MANAGER, Pod};
use crate::message::{self, clean};
use crate::sink::{Attempt, Delivery, DeliveryError, Habits, Progress, Sink};
use crate::webhook::payload::timestamp;

/// What `kubectl` and other clients are made for.
const MAX_MESSAGE: usize = 1024;
/// Hexadecimal digits that tell Events of a pod apart.
const DIGITS: usize = 16;

/// Applying an object that may be new takes both.
const NEED: Need = Need { group: "", resource: "events", verbs: &["create", "patch"] };

/// Writes Events on the pod.
#[derive(Debug)]
pub struct EventSink {
    api: Api,
}

impl EventSink {
    /// A sink for the pod of `api`.
    pub fn new(api: Api) -> Self {
        Self { api }
    }
}

/// What is remembered of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Memory {
    reason: String,
    /// The last revision that the Event tells.
    revision: u32,
    /// When its Event was first written.
    first: f64,
    /// How many pieces of news it tells.
    count: u32,
}

impl Memory {
    /// What it will be once this incident is told; `None` where there is nothing to tell.
    fn next(last: Option<Self>, incident: &Incident, now: WallTime) -> Option<Self> {
        let (reason, revision) = (reason(incident.state), incident.revision);
        match last {
            Some(last) if last.reason == reason => (last.revision < revision).then(|| Self {
                revision,
                count: last.count.saturating_add(1),
                ..last
            }),
            // That something ended is for those who saw it begin; a kill is for everybody.
            None if matches!(incident.state, State::Recovered | State::Gone) => None,
            _ => Some(Self { reason: reason.into(), revision, first: now.0, count: 1 }),
        }
    }
}

impl Sink for EventSink {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn habits(&self) -> Habits {
        Habits { suspicions: true, ..Habits::default() }
    }

    fn deliver<'a>(&'a self, delivery: Delivery<'a>) -> Attempt<'a> {
        Box::pin(async move {
            let told = Progress { memory: delivery.memory.cloned(), more: false };
            let Some(incident) = delivery.incidents.first() else { return Ok(told) };
            let last = delivery.memory.and_then(|value| Memory::deserialize(value).ok());
            let now = self.api.now();
            let Some(memory) = Memory::next(last, incident, now) else { return Ok(told) };
            let event = event(self.api.pod(), incident, &memory, now);
            self.api.send(Request::apply(path(self.api.pod(), &event), event)).await?;
            let memory = serde_json::to_value(&memory).ok();
            Ok(Progress { memory, more: false })
        })
    }

    fn warm_up(&self) -> Pin<Box<dyn Future<Output = Result<(), DeliveryError>> + Send + '_>> {
        Box::pin(self.api.may(&NEED))
    }
}

/// What has happened, in the words that Events are filtered by.
fn reason(state: State) -> &'static str {
    match state {
        State::Suspected => "MemoryLeakSuspected",
        State::Confirmed => "MemoryLeakConfirmed",
        State::Imminent => "OOMKillImminent",
        State::Recovered => "MemoryLeakRecovered",
        State::Killed => "OOMKilled",
        State::Gone => "MemoryLeakEnded",
    }
}

fn path(pod: &Pod, event: &Value) -> String {
    let name = event["metadata"]["name"].as_str().unwrap_or_default();
    format!("/api/v1/namespaces/{}/events/{name}", pod.namespace)
}

fn event(pod: &Pod, incident: &Incident, memory: &Memory, now: WallTime) -> Value {
    let calm = matches!(incident.state, State::Recovered | State::Gone);
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": { "name": name(pod, &incident.id, &memory.reason), "namespace": pod.namespace },
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": pod.namespace,
            "name": pod.name,
            "uid": pod.uid,
        },
        "type": if calm { "Normal" } else { "Warning" },
        "reason": memory.reason,
        "message": text(incident),
        "firstTimestamp": timestamp(WallTime(memory.first)),
        "lastTimestamp": timestamp(now),
        "count": memory.count,
        "source": { "component": MANAGER },
        "reportingComponent": MANAGER,
        "reportingInstance": pod.name,
    })
}

/// The pod's name and a number, as all Events of pods are called; the same for the same state of the same incident.
fn name(pod: &Pod, incident: &str, reason: &str) -> String {
    let hash = digest(&SHA256, format!("{} {incident} {reason}", pod.uid).as_bytes());
    let number: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let room = super::MAX_NAME - DIGITS - 1;
    let pod = pod.name[..pod.name.len().min(room)].trim_end_matches(['-', '.']);
    format!("{pod}.{}", &number[..DIGITS])
}

/// Who, how fast, when and which function: `shop leaks memory: killed in 3 min 10 s (…) · 180.0 MiB of 256.0 MiB (70 %) · …`
fn text(incident: &Incident) -> String {
    let mut parts = vec![message::title(incident), message::memory(incident)];
    if !incident.state.is_closed() {
        parts.extend(incident.trend.map(|trend| format!("growing {}", trend.slope)));
        // Who reads it later does not know when that was.
        parts.extend(incident.kill.map(|kill| format!("at {}", message::clock(kill.estimate))));
    }
    match (&incident.culprit, &incident.culprit_pending) {
        (Some(culprit), _) => {
            parts.push(format!("{} {}", message::frame(&culprit.frame), message::share(culprit)));
        }
        (None, Some(pending)) => parts.push(clean(pending)),
        (None, None) => {}
    }
    parts.extend(incident.evidence.as_deref().map(clean));
    cut(&parts.join(" · "), MAX_MESSAGE)
}

/// At most `most` bytes of `text`, with an ellipsis where something is cut.
fn cut(text: &str, most: usize) -> String {
    const ELLIPSIS: &str = "…";
    if text.len() <= most {
        return text.to_owned();
    }
    format!("{}{ELLIPSIS}", &text[..text.floor_char_boundary(most - ELLIPSIS.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Pod {
        Pod { namespace: "shop".into(), name: "shop-7d9f".into(), uid: "0a-1".into() }
    }

    fn incident(state: State, revision: u32) -> Incident {
        let sample = include_str!("../../tests/report/confirmed.json");
        let incident: Incident = serde_json::from_str(sample).expect("sample");
        Incident { state, revision, ..incident }
    }

    fn next(last: Option<&Memory>, state: State, revision: u32) -> Option<Memory> {
        Memory::next(last.cloned(), &incident(state, revision), WallTime(7.0))
    }

    #[test]
    fn each_state_is_one_event_and_what_becomes_known_in_it_is_counted() {
        let suspected = next(None, State::Suspected, 1).expect("told");
        assert_eq!((suspected.reason.as_str(), suspected.count), ("MemoryLeakSuspected", 1));
        assert_eq!(next(Some(&suspected), State::Suspected, 1), None, "told already");
        let confirmed = next(Some(&suspected), State::Confirmed, 2).expect("told");
        assert_eq!((confirmed.reason.as_str(), confirmed.count), ("MemoryLeakConfirmed", 1));
        let named = next(Some(&confirmed), State::Confirmed, 3).expect("told");
        assert_eq!((named.count, named.revision, named.first), (2, 3, 7.0));
        let pod = pod();
        let event = |memory| event(&pod, &incident(State::Confirmed, 3), memory, WallTime(9.0));
        assert_eq!(event(&confirmed)["metadata"]["name"], event(&named)["metadata"]["name"]);
        assert_ne!(event(&confirmed)["metadata"]["name"], event(&suspected)["metadata"]["name"]);
        assert_eq!(event(&named)["count"], 2);
        assert_eq!(event(&named)["lastTimestamp"], "1970-01-01T00:00:09Z");
    }

    #[test]
    fn an_end_is_told_to_those_who_saw_the_beginning_and_a_kill_to_everybody() {
        for state in [State::Recovered, State::Gone] {
            assert_eq!(next(None, state, 1), None);
            let suspected = next(None, State::Suspected, 1);
            assert!(next(suspected.as_ref(), state, 2).is_some());
        }
        assert!(next(None, State::Killed, 1).is_some());
    }

    #[test]
    fn the_message_says_who_how_fast_when_and_which_function() {
        assert_eq!(
            text(&incident(State::Confirmed, 1)),
            "recommendations leaks memory: killed in 3 min 10 s (2 min 40 s – 4 min) · 180.0 MiB of 256.0 MiB (70 %) · \
             growing 409.6 KiB/s · at 2026-11-21 14:03:20 UTC · services_recommendations::cache::remember \
             (src/cache.rs:42) keeps 93 % of the growth: 30.0 MiB in 1 min, seen in 62 samples"
        );
    }

    #[test]
    fn no_message_is_longer_than_a_kibibyte_nor_cut_within_a_character() {
        for state in State::ALL {
            let mut long = incident(state, 1);
            long.evidence = Some("é".repeat(2000));
            let text = text(&long);
            assert!(text.len() <= 1024 && text.ends_with('…'), "{}", text.len());
        }
        assert_eq!(cut("ééé", 6), "ééé");
        assert_eq!(cut("éééé", 6), "é…");
    }

    #[test]
    fn the_longest_pod_has_events_with_names_that_are_possible() {
        let long = Pod { name: "a-".repeat(126), ..pod() };
        let name = name(&long, "x", "y");
        assert!(name.len() <= 253 && !name.contains("-."), "{name}");
    }
}
