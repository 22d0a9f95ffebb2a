//! Which alerts an incident is, and from when to when.
//!
//! Alertmanager tells alerts apart by their whole label set. So nothing that moves is a label; and what has to change with
//! a new severity is another alert, beside which the old one ends.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use watchdog_core::incident::{Incident, State};
use watchdog_core::units::WallTime;

use crate::labels::MAX_VALUE;
use crate::message::{self, clean, truncated};
use crate::webhook::payload::timestamp;

/// Seconds that an alert lives on without being sent again. Open incidents are sent every minute: it bears four that are
/// lost, and ends soon after a watchdog that is gone. Prometheus takes four times its own interval as well.
pub(super) const LEASE: f64 = 300.0;
/// Seconds that a kill is shown, as long as the rule of the same name looks back: the process restarts within seconds,
/// and a person must still see it. Counted from when it is told: a kill must be seen even if Alertmanager was away.
pub(super) const KILL_SHOWN: f64 = 600.0;

/// Seconds that an end lies before the truth. Alertmanager takes an end that its own clock has not reached, if only by a
/// millisecond, for a shorter lease and keeps the longer one; the end would be lost.
const SKEW: f64 = 10.0;

const LEAK: &str = "OomenMemoryLeak";
const KILLED: &str = "OomenTargetKilled";
const RUNBOOKS: &str = "https://github.com/oomen-rs/oomen/blob/main/alerts/runbooks";

/// Labels that the sink sets itself, and those that Prometheus does.
pub(super) const OWN_LABELS: [&str; 6] =
    ["alertname", "namespace", "pod", "severity", "target", "verdict"];

pub(super) type Labels = BTreeMap<String, String>;

/// An alert as Alertmanager's API takes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Alert {
    pub(super) labels: Labels,
    pub(super) annotations: Labels,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) starts_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ends_at: Option<String>,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    pub(super) generator_url: Option<String>,
}

/// What is remembered between two deliveries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    /// The leak's alerts that were sent and have not been ended.
    firing: Vec<Labels>,
}

impl Memory {
    /// What was remembered; nothing where it cannot be read.
    pub(super) fn read(value: Option<&Value>) -> Self {
        value.and_then(|value| Self::deserialize(value).ok()).unwrap_or_default()
    }

    /// What to keep; nothing once nothing fires.
    pub(super) fn value(&self) -> Option<Value> {
        serde_json::to_value(self).ok().filter(|_| !self.firing.is_empty())
    }

    /// The label set under which this alert fires already.
    fn same(&self, name: &str, severity: &str) -> Option<&Labels> {
        let is =
            |labels: &&Labels, key: &str, value: &str| labels.get(key).is_some_and(|v| v == value);
        self.firing.iter().find(|set| is(set, "alertname", name) && is(set, "severity", severity))
    }
}

/// The surroundings of every alert.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    /// Configured labels.
    pub(super) labels: &'a Labels,
    /// The watchdog's page.
    pub(super) page: Option<&'a Url>,
    /// What to do about a leak, where it is not the project's own page on the alert.
    pub(super) runbook: Option<&'a Url>,
    /// The time.
    pub(super) now: WallTime,
}

/// The alerts of an incident, those that fire first so that they inhibit the ones that end, and what to remember once
/// they are sent.
pub(super) fn alerts(
    incident: &Incident,
    memory: &Memory,
    context: Context<'_>,
) -> (Vec<Alert>, Memory) {
    let (mut alerts, mut firing) = (Vec::new(), Vec::new());
    let now = context.now;
    match incident.state {
        State::Confirmed | State::Imminent => {
            let severity = if incident.state == State::Imminent { "critical" } else { "warning" };
            let labels = memory.same(LEAK, severity).cloned();
            let labels = labels.unwrap_or_else(|| labels_of(incident, LEAK, severity, context));
            firing.push(labels.clone());
            alerts.push(alert(incident, labels, since(incident), now.plus(LEASE), context));
        }
        State::Killed => {
            let labels = labels_of(incident, KILLED, "warning", context);
            let closed = incident.closed.unwrap_or(now);
            alerts.push(alert(incident, labels, closed, now.plus(KILL_SHOWN), context));
        }
        State::Suspected | State::Recovered | State::Gone => {}
    }
    let end = WallTime(incident.closed.unwrap_or(now).0.min(now.0) - SKEW);
    for labels in memory.firing.iter().filter(|labels| !firing.contains(labels)) {
        alerts.push(alert(incident, labels.clone(), since(incident), end, context));
    }
    (alerts, Memory { firing })
}

fn since(incident: &Incident) -> WallTime {
    incident.told.unwrap_or(incident.opened)
}

fn labels_of(incident: &Incident, name: &str, severity: &str, context: Context<'_>) -> Labels {
    let target = &incident.target;
    let mut labels = context.labels.clone();
    let own = [
        ("alertname", Some(name)),
        ("severity", Some(severity)),
        ("namespace", target.namespace.as_deref()),
        ("pod", target.pod.as_deref()),
        ("target", Some(target.name.as_str())),
        ("verdict", Some(incident.verdict.kind.as_str())),
    ];
    for (label, value) in own {
        let value = value.map(|value| truncated(&clean(value), MAX_VALUE));
        // An empty label is none for Alertmanager.
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            labels.insert(label.into(), value);
        }
    }
    labels
}

fn alert(
    incident: &Incident,
    labels: Labels,
    start: WallTime,
    end: WallTime,
    context: Context<'_>,
) -> Alert {
    // The wall's clock may have been set back, and one that ends before it begins is refused.
    let start = WallTime(start.0.min(end.0));
    Alert {
        annotations: annotations(incident, &labels, context.runbook),
        labels,
        starts_at: timestamp(start),
        ends_at: timestamp(end),
        generator_url: context.page.map(Url::to_string),
    }
}

fn annotations(incident: &Incident, labels: &Labels, runbook: Option<&Url>) -> Labels {
    let name = labels.get("alertname").map_or(LEAK, String::as_str);
    let culprit = incident.culprit.as_ref().map(|culprit| {
        let function = truncated(&clean(&culprit.frame.function), MAX_VALUE);
        let place = message::location(&culprit.frame).map(|place| format!(" ({place})"));
        format!("{function}{} {}", place.unwrap_or_default(), message::share(culprit))
    });
    // Its message must not read as if all were well.
    let is_superseded =
        incident.state == State::Imminent && labels.get("severity").is_some_and(|s| s == "warning");
    let title = message::title(incident);
    let summary = if is_superseded { format!("Now critical: {title}") } else { title };
    let pending = incident.culprit_pending.as_deref().map(clean);
    let own = || format!("{RUNBOOKS}/{}.md", name.to_ascii_lowercase());
    [
        ("summary", Some(summary)),
        ("description", Some(description(incident))),
        ("culprit", culprit.or(pending)),
        ("forecast", message::forecast(incident)),
        ("verdict", Some(message::verdict(incident))),
        ("incident", Some(clean(&incident.id))),
        ("runbook_url", Some(runbook.map_or_else(own, Url::to_string))),
    ]
    .into_iter()
    .filter_map(|(name, text)| Some((name.to_owned(), text?)))
    .collect()
}

/// `180.0 MiB of 256.0 MiB (70 %), growing 5.0 MiB/s (4.5 MiB/s – 5.5 MiB/s).`, and how it ended.
fn description(incident: &Incident) -> String {
    let growth = message::growth(incident).filter(|_| !incident.state.is_closed());
    let growth = growth.map(|growth| format!(", growing {growth}")).unwrap_or_default();
    let evidence = incident.evidence.as_deref().map(|text| format!(" {}", clean(text)));
    let sentence = incident.verdict.sentence.trim();
    let sentence =
        if sentence.is_empty() { String::new() } else { format!(" {}", clean(sentence)) };
    format!("{}{growth}.{}{sentence}", message::memory(incident), evidence.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime(1_795_269_612.0);

    fn incident(state: State) -> Incident {
        let mut incident: Incident =
            serde_json::from_str(include_str!("../../tests/report/confirmed.json"))
                .expect("the sample incident");
        incident.state = state;
        if state.is_closed() {
            incident.closed = Some(WallTime(1_795_269_611.0));
        }
        incident
    }

    fn of(incident: &Incident, memory: &Memory) -> (Vec<Alert>, Memory) {
        let labels = Labels::from([("cluster".to_owned(), "blue".to_owned())]);
        alerts(incident, memory, Context { labels: &labels, page: None, runbook: None, now: NOW })
    }

    fn told(state: State) -> Memory {
        of(&incident(state), &Memory::default()).1
    }

    fn brief(alerts: &[Alert]) -> Vec<(&str, &str, &str)> {
        alerts
            .iter()
            .map(|Alert { labels, ends_at, .. }| {
                (&*labels["alertname"], &*labels["severity"], ends_at.as_deref().expect("an end"))
            })
            .collect()
    }

    const LEASED: &str = "2026-11-21T14:05:12Z";
    /// As long before it was closed as clocks may differ.
    const CLOSED: &str = "2026-11-21T14:00:01Z";

    #[test]
    fn a_leak_is_a_warning_that_begins_when_people_are_told_and_lives_five_minutes() {
        let (alerts, memory) = of(&incident(State::Confirmed), &Memory::default());
        assert_eq!(brief(&alerts), [(LEAK, "warning", LEASED)]);
        assert_eq!(alerts[0].starts_at.as_deref(), Some("2026-11-21T14:00:00Z"));
        let labels: Vec<_> = alerts[0].labels.iter().map(|(a, b)| format!("{a}={b}")).collect();
        assert_eq!(
            labels,
            [
                "alertname=OomenMemoryLeak",
                "cluster=blue",
                "namespace=shop",
                "pod=recommendations-7d9f",
                "severity=warning",
                "target=recommendations",
                "verdict=heap-leak"
            ]
        );
        assert_eq!(memory.firing, [alerts[0].labels.clone()]);
    }

    #[test]
    fn figures_names_and_a_verdict_that_firms_up_change_no_label() {
        let first = incident(State::Confirmed);
        let (before, memory) = of(&first, &Memory::default());
        let mut later = first;
        later.used = watchdog_core::units::Bytes(1);
        later.verdict.kind = watchdog_core::verdict::Kind::OffHeap;
        (later.culprit, later.kill) = (None, None);
        // As it comes back from the disk.
        let memory = Memory::read(memory.value().as_ref());
        let (after, _) = of(&later, &memory);
        assert_eq!(after.len(), 1);
        assert_eq!(after[0].labels, before[0].labels);
        assert!(after[0].annotations["verdict"].starts_with("off-heap"));
    }

    #[test]
    fn a_rise_fires_the_critical_alert_and_ends_the_warning_in_the_same_breath() {
        let (alerts, memory) = of(&incident(State::Imminent), &told(State::Confirmed));
        let now = "2026-11-21T14:00:02Z";
        assert_eq!(brief(&alerts), [(LEAK, "critical", LEASED), (LEAK, "warning", now)]);
        assert!(alerts[1].annotations["summary"].starts_with("Now critical: recommendations"));
        assert_eq!(memory.firing, [alerts[0].labels.clone()]);
        let (again, _) = of(&incident(State::Imminent), &memory);
        assert_eq!(brief(&again), [(LEAK, "critical", LEASED)]);
    }

    #[test]
    fn what_has_recovered_or_gone_ends_and_nothing_is_remembered() {
        for state in [State::Recovered, State::Gone] {
            let (alerts, memory) = of(&incident(state), &told(State::Imminent));
            assert_eq!(brief(&alerts), [(LEAK, "critical", CLOSED)]);
            assert_eq!(memory.value(), None);
        }
        assert!(of(&incident(State::Recovered), &Memory::default()).0.is_empty());
    }

    #[test]
    fn a_kill_ends_the_leak_and_is_shown_for_ten_minutes_from_now() {
        let (alerts, memory) = of(&incident(State::Killed), &told(State::Confirmed));
        let shown = "2026-11-21T14:10:12Z";
        assert_eq!(brief(&alerts), [(KILLED, "warning", shown), (LEAK, "warning", CLOSED)]);
        assert_eq!(memory.value(), None);
        let runbook = &alerts[0].annotations["runbook_url"];
        assert!(runbook.ends_with("/oomentargetkilled.md"), "{runbook}");
        let (unforeseen, _) = of(&incident(State::Killed), &Memory::default());
        assert_eq!(brief(&unforeseen), [(KILLED, "warning", shown)]);
    }

    #[test]
    fn a_suspicion_is_no_alert_and_no_alert_ends_before_it_begins() {
        assert!(of(&incident(State::Suspected), &Memory::default()).0.is_empty());
        let mut set_back = incident(State::Recovered);
        set_back.closed = Some(WallTime(1_000.0));
        let (alerts, _) = of(&set_back, &told(State::Confirmed));
        assert_eq!(alerts[0].ends_at, alerts[0].starts_at);
    }

    #[test]
    fn a_memory_that_cannot_be_read_is_none() {
        for damaged in [serde_json::json!(3), serde_json::json!({"firing": [1]}), Value::Null] {
            assert_eq!(Memory::read(Some(&damaged)), Memory::default());
        }
    }
}
