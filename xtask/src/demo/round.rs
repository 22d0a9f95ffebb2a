//! One round: load, leak, report, kill; and what came when.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};

use crate::demo::culprit_of;
use crate::demo::slack::Message;
use crate::demo::stage::{Stage, wait_for};
use crate::http;

/// Load without a fault before the leak begins: the detector's warm-up and a calm stretch to compare with.
const BASELINE: Duration = Duration::from_secs(18);
/// After the full report the kill is waited for, as only it tells the lead.
const PATIENCE: f64 = 3.0;
const AT_LEAST: Duration = Duration::from_secs(60);

/// What is to happen.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Which fault, or `none`.
    pub(crate) fault: String,
    /// Bytes per second.
    pub(crate) rate: u64,
    /// Bytes.
    pub(crate) limit: u64,
}

/// What happened; seconds count from the start of the leak. Reports are timed when Slack's side accepts them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    pub(crate) fault: String,
    pub(crate) target: String,
    pub(crate) first_report_s: Option<f64>,
    pub(crate) full_report_s: Option<f64>,
    pub(crate) kill_s: Option<f64>,
    pub(crate) lead_s: Option<f64>,
    pub(crate) verdict: Option<String>,
    pub(crate) culprit: Option<String>,
    pub(crate) culprit_expected: Option<String>,
    pub(crate) ok: bool,
}

/// Plays one round on a stage that has been set, telling `say` what happens.
pub(crate) fn play(stage: &mut Stage, plan: &Plan, say: &mut dyn FnMut(&str)) -> Result<Outcome> {
    say(&format!(
        "load is running; a calm baseline of {} s first, so that there is something to compare with",
        BASELINE.as_secs()
    ));
    stage.must_live_for(BASELINE)?;
    wait_for("the first heap profile", Duration::from_secs(20), || {
        let (_, body) = http::get(stage.watchdog, "/api/v1/heap-dumps")?;
        Ok((String::from_utf8_lossy(&body).matches("\"id\"").count() > 0).then_some(()))
    })?;
    if plan.fault != "none" {
        say(&format!("injecting the fault {} at {} bytes/s", plan.fault, plan.rate));
        inject(stage, plan)?;
    }
    let began = (Instant::now(), unix_now());
    let mut observed = Observed::default();
    while !observed.is_over(plan, began.0.elapsed()) {
        if let Some(message) = stage.slack.next(Duration::from_millis(20))? {
            observed.message(plan, &message, began.1, say);
        }
        if observed.kill_s.is_none() && stage.service_ended()? {
            let at = began.0.elapsed().as_secs_f64();
            say(&format!("{at:.2} s: the kernel killed the service"));
            observed.kill_s = Some(at);
            // What was accepted before the kill may still be in the pipe.
            while let Some(message) = stage.slack.next(Duration::from_millis(300))? {
                observed.message(plan, &message, began.1, say);
            }
        }
    }
    outcome(stage, plan, &observed)
}

fn inject(stage: &Stage, plan: &Plan) -> Result<()> {
    let path = format!("/debug/faults/{}", plan.fault);
    let body = json!({ "bytes_per_second": plan.rate });
    let (status, answer) = http::put_json(stage.admin, &path, &body)?;
    anyhow::ensure!(status < 300, "PUT {path}: {status}: {}", String::from_utf8_lossy(&answer));
    Ok(())
}

fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[derive(Debug, Default)]
struct Observed {
    first_s: Option<f64>,
    full_s: Option<f64>,
    kill_s: Option<f64>,
}

impl Observed {
    fn message(&mut self, plan: &Plan, message: &Message, began: f64, say: &mut dyn FnMut(&str)) {
        let at = message.at_unix - began;
        let full = culprit_of(&plan.fault).is_some_and(|culprit| message.raw.contains(culprit));
        if self.first_s.is_none() {
            say(&format!("{at:.2} s: Slack has the first report: {}", message.text));
            self.first_s = Some(at);
        }
        if full && self.full_s.is_none() {
            say(&format!("{at:.2} s: Slack has the full report, with the function's name"));
            self.full_s = Some(at);
        }
    }

    fn is_over(&self, plan: &Plan, elapsed: Duration) -> bool {
        let fill = plan.limit as f64 / plan.rate.max(1) as f64;
        let deadline = match self.full_s {
            Some(full) => full * PATIENCE + AT_LEAST.as_secs_f64(),
            None => fill * PATIENCE + AT_LEAST.as_secs_f64(),
        };
        self.kill_s.is_some() || plan.fault == "none" || elapsed.as_secs_f64() > deadline
    }
}

fn outcome(stage: &Stage, plan: &Plan, observed: &Observed) -> Result<Outcome> {
    let (_, body) = http::get(stage.watchdog, "/api/v1/incidents")?;
    let incidents: Value = serde_json::from_slice(&body).context("/api/v1/incidents")?;
    let list = incidents.get("incidents").unwrap_or(&incidents);
    let told = list.as_array().and_then(|all| all.iter().rfind(|one| !one["told"].is_null()));
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let culprit = text(told.and_then(|one| one.pointer("/culprit/frame/function")));
    let verdict = text(told.and_then(|one| one.pointer("/verdict/kind")));
    let culprit_expected = culprit_of(&plan.fault).map(str::to_owned);
    let lead_s = observed.kill_s.zip(observed.first_s).map(|(kill, first)| kill - first);
    let before_the_kill = match (observed.first_s, observed.full_s, observed.kill_s) {
        (Some(first), Some(_), Some(kill)) => first < kill,
        (Some(_), Some(_), None) => true,
        _ => false,
    };
    let ok = if plan.fault == "none" {
        observed.first_s.is_none()
    } else {
        before_the_kill && culprit == culprit_expected && verdict.as_deref() == Some("heap-leak")
    };
    Ok(Outcome {
        fault: plan.fault.clone(),
        target: text(told.and_then(|one| one.pointer("/target/name")))
            .unwrap_or_else(|| stage.target.clone()),
        first_report_s: observed.first_s,
        full_report_s: observed.full_s,
        kill_s: observed.kill_s,
        lead_s,
        verdict,
        culprit,
        culprit_expected,
        ok,
    })
}
