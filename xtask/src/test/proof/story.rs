//! What people are told of two replicas that leak until they are killed: of the first by Prometheus' rules alone, of the
//! second by its watchdog, which pushes what the same rules find.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::root;
use crate::test::receiver::Told;
use crate::test::tally::Tally;

const LEAK: &str = "OomenMemoryLeak";
const KILLED: &str = "OomenTargetKilled";
/// Where runbooks are served; behind it, their places in the repository.
const RUNBOOKS: &str = "https://github.com/oomen-rs/oomen/blob/main/";
/// What Go's templates leave where something is missing or does not work.
const UNRENDERED: [&str; 4] = ["<no value>", "<error", "{{", "%!"];

/// What is to happen.
pub(super) struct Story {
    steps: Vec<Step>,
    /// The pod whose watchdog pushes.
    pushing: String,
}

/// Somebody is told something of one pod.
struct Step {
    what: &'static str,
    path: &'static str,
    status: &'static str,
    alert: &'static str,
    severity: &'static str,
    pod: String,
    /// By the watchdog itself, which says the verdict, instead of by a rule.
    pushed: bool,
}

impl Story {
    /// Of the pods whose watchdog does not push, and does.
    pub(super) fn of([ruled, pushing]: [String; 2]) -> Self {
        let mut steps = Vec::new();
        for (pod, pushed) in [(ruled, false), (pushing.clone(), true)] {
            let step = |what, path, status, alert, severity| Step {
                what,
                path,
                status,
                alert,
                severity,
                pod: pod.clone(),
                pushed,
            };
            steps.extend([
                step("the leak is told in the chat", "/chat", "firing", LEAK, "warning"),
                step("the kill ahead calls the pager", "/pager", "firing", LEAK, "critical"),
                step("the kill is told in the chat", "/chat", "firing", KILLED, "warning"),
                step("the pager is told the end", "/pager", "resolved", LEAK, "critical"),
            ]);
        }
        Self { steps, pushing }
    }

    /// Whether all of it happened.
    pub(super) fn is_over(&self, told: &[Told]) -> bool {
        self.steps.iter().all(|step| step.first(told).is_some())
    }

    /// Whether the leaks are told, of which the rest follows by itself.
    pub(super) fn leaks_are_told(&self, told: &[Told]) -> bool {
        let mut leaks =
            self.steps.iter().filter(|step| step.alert == LEAK && step.severity == "warning");
        leaks.all(|step| step.first(told).is_some())
    }

    /// Counts each step, and what holds for all, as tests.
    pub(super) fn check(&self, tally: &mut Tally, told: &[Told]) {
        for step in &self.steps {
            let by = if step.pushed { "its watchdog" } else { "Prometheus" };
            let name = format!("proof: {} by {by}", step.what);
            let happened = step.first(told).map(drop);
            tally.check(&name, happened.with_context(|| format!("{}: not told", step.pod)));
        }
        for (name, outcome) in [
            ("the pager is called before the kill", self.in_time(told)),
            ("nobody is told twice where the watchdog pushes as well", self.told_once(told)),
            ("every annotation is rendered, every runbook is there", annotations(told)),
            ("the chat's message and the pager's say what it is about", messages(told)),
        ] {
            tally.check(&format!("proof: {name}"), outcome);
        }
    }

    fn in_time(&self, told: &[Told]) -> Result<()> {
        let first = |alert, pod: &str| {
            let step = self
                .steps
                .iter()
                .find(|step| step.pod == pod && step.status == "firing" && step.is_urgent(alert));
            step.and_then(|step| step.first(told)).context("not told")
        };
        for pod in self.steps.iter().map(|step| step.pod.as_str()) {
            let (called, killed) = (first(LEAK, pod)?, first(KILLED, pod)?);
            ensure!(called.at < killed.at, "{pod}: the kill is told before it");
        }
        Ok(())
    }

    /// What the watchdog pushes is not told by the rule as well, and no notification has the same alert twice.
    fn told_once(&self, told: &[Told]) -> Result<()> {
        for (one, alerts) in notifications(told) {
            let mut seen = Vec::new();
            for alert in alerts.iter().filter(|alert| alert["status"] == "firing") {
                let labels = &alert["labels"];
                let is_pushed = labels.get("verdict").is_some();
                let of_both = [LEAK, KILLED].iter().any(|name| labels["alertname"] == *name);
                ensure!(
                    is_pushed || !of_both || labels["pod"] != self.pushing.as_str(),
                    "{}: told by the rule as well: {labels}",
                    one.path
                );
                let name = ["alertname", "severity", "pod", "target", "instance", "source"]
                    .map(|label| labels[label].clone());
                ensure!(!seen.contains(&name), "{}: twice in one: {labels}", one.path);
                seen.push(name);
            }
        }
        Ok(())
    }
}

impl Step {
    fn is_urgent(&self, alert: &str) -> bool {
        self.alert == alert && (alert == KILLED || self.severity == "critical")
    }

    /// The first notification of it.
    fn first<'a>(&self, told: &'a [Told]) -> Option<&'a Told> {
        let found = notifications(told).find(|(one, alerts)| {
            one.path == self.path && alerts.iter().any(|alert| self.is(alert))
        });
        found.map(|(one, _)| one)
    }

    fn is(&self, alert: &Value) -> bool {
        let labels = &alert["labels"];
        alert["status"] == self.status
            && labels["alertname"] == self.alert
            && labels["severity"] == self.severity
            && labels["pod"] == self.pod.as_str()
            && labels.get("verdict").is_some() == self.pushed
    }
}

/// Those with all labels, each with its alerts.
fn notifications(told: &[Told]) -> impl Iterator<Item = (&Told, &Vec<Value>)> {
    told.iter().filter_map(|one| Some((one, one.body["alerts"].as_array()?)))
}

fn annotations(told: &[Told]) -> Result<()> {
    for alert in notifications(told).flat_map(|(_, alerts)| alerts) {
        for name in ["summary", "description"] {
            let text = alert["annotations"][name].as_str().unwrap_or_default();
            ensure!(!text.is_empty(), "no {name}: {alert}");
            rendered(text)?;
        }
        let runbook = alert["annotations"]["runbook_url"].as_str().unwrap_or_default();
        let file = runbook.strip_prefix(RUNBOOKS).with_context(|| format!("runbook: {alert}"))?;
        ensure!(root().join(Path::new(file)).is_file(), "there is no {file}");
    }
    Ok(())
}

/// As Slack and PagerDuty get them.
fn messages(told: &[Told]) -> Result<()> {
    for (path, places) in [
        ("/slack", ["/attachments/0/title", "/attachments/0/text"]),
        ("/pagerduty", ["/payload/summary", "/dedup_key"]),
    ] {
        let bodies: Vec<_> = told.iter().filter(|one| one.path == path).collect();
        ensure!(!bodies.is_empty(), "nothing came to {path}");
        for one in bodies {
            // What ends an event of PagerDuty's says only which.
            let ends = one.body["event_action"] == "resolve";
            for place in places.iter().filter(|place| !(ends && place.starts_with("/payload"))) {
                let text = one.body.pointer(place).and_then(Value::as_str).unwrap_or_default();
                ensure!(!text.trim().is_empty(), "{path}: no {place}: {}", one.body);
                rendered(text)?;
            }
        }
    }
    Ok(())
}

fn rendered(text: &str) -> Result<()> {
    let left = UNRENDERED.iter().find(|left| text.contains(**left));
    ensure!(left.is_none(), "{left:?} is in: {text}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::json;

    use super::*;

    fn told(path: &str, status: &str, labels: &Value) -> Told {
        let annotations = json!({
            "summary": "S.", "description": "D.",
            "runbook_url": format!("{RUNBOOKS}alerts/runbooks/oomenmemoryleak.md"),
        });
        let alert = json!({ "status": status, "labels": labels, "annotations": annotations });
        Told { at: Instant::now(), path: path.into(), body: json!({ "alerts": [alert] }) }
    }

    fn labels(step: &Step) -> Value {
        let mut labels =
            json!({ "alertname": step.alert, "severity": step.severity, "pod": step.pod });
        if step.pushed {
            labels["verdict"] = json!("heap-leak");
        }
        labels
    }

    fn story() -> Story {
        Story::of(["a".into(), "b".into()])
    }

    fn all(story: &Story) -> Vec<Told> {
        story.steps.iter().map(|step| told(step.path, step.status, &labels(step))).collect()
    }

    #[test]
    fn it_is_over_when_everybody_was_told_everything() {
        let story = story();
        let mut told = all(&story);
        assert!(story.is_over(&told) && story.in_time(&told).is_ok());
        assert!(story.leaks_are_told(&told) && !story.leaks_are_told(&told[..2]));
        assert!(story.told_once(&told).is_ok() && annotations(&told).is_ok());
        told.pop();
        assert!(!story.is_over(&told));
    }

    #[test]
    fn a_pager_that_is_called_after_the_kill_is_found() {
        let story = story();
        let mut told = all(&story);
        told.reverse();
        for one in &mut told {
            one.at = Instant::now();
        }
        assert!(story.in_time(&told).is_err());
    }

    #[test]
    fn the_rules_alert_beside_the_pushed_one_is_telling_twice() {
        let story = story();
        let by_rule = json!({ "alertname": LEAK, "severity": "warning", "pod": "b" });
        assert!(story.told_once(&[told("/chat", "firing", &by_rule)]).is_err());
        assert!(story.told_once(&[told("/chat", "resolved", &by_rule)]).is_ok());
    }

    #[test]
    fn what_was_not_rendered_and_runbooks_that_are_not_there_are_found() {
        let good = told("/chat", "firing", &json!({}));
        assert!(annotations(std::slice::from_ref(&good)).is_ok());
        for (place, text) in [
            ("description", "grows by <no value>B/s"),
            ("summary", ""),
            ("runbook_url", "https://example.org/x.md"),
            ("runbook_url", "https://github.com/oomen-rs/oomen/blob/main/alerts/runbooks/no.md"),
        ] {
            let mut bad = good.clone();
            bad.body["alerts"][0]["annotations"][place] = json!(text);
            assert!(annotations(&[bad]).is_err(), "{place} {text}");
        }
    }

    #[test]
    fn a_message_without_text_and_a_way_that_is_silent_are_found() {
        let slack = |text| Told {
            body: json!({ "attachments": [{ "title": "FIRING", "text": text }] }),
            ..told("/slack", "", &json!({}))
        };
        let pager = |action: &str, summary| Told {
            body: json!({ "event_action": action, "dedup_key": "k", "payload": { "summary": summary } }),
            ..told("/pagerduty", "", &json!({}))
        };
        assert!(messages(&[slack("leaks"), pager("trigger", "leaks")]).is_ok());
        assert!(messages(&[slack("leaks"), pager("resolve", "")]).is_ok());
        assert!(messages(&[slack(""), pager("trigger", "leaks")]).is_err());
        assert!(messages(&[slack("leaks")]).is_err());
    }
}
