//! One round: load, leak, report, kill; and what came when.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};
use services_engines::fault::Fault;

use crate::demo::faults;
use crate::demo::slack::Message;
use crate::demo::stage::{Scene, Stage, wait_for};
use crate::http;

/// Load without a fault before the leak begins: the detector's warm-up and a calm stretch to compare with.
const BASELINE: Duration = Duration::from_secs(18);
/// After the full report the kill is waited for, as only it tells the lead.
const PATIENCE: f64 = 3.0;
const AT_LEAST: Duration = Duration::from_secs(60);
/// How long an innocent is watched: at 5 MB/s four days of the diurnal load, nine batches, the whole file of the page cache.
const QUIET: Duration = Duration::from_secs(60);

/// What is to happen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// What is injected.
    pub(crate) fault: &'static Fault,
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
    /// Other services that people were told of, though nothing was wrong with them.
    #[serde(skip)]
    pub(crate) falsely_accused: Vec<String>,
}

/// Plays one round on a stage that has been set, telling `say` what happens.
pub(crate) fn play<S: Scene>(
    stage: &mut Stage<S>,
    plan: &Plan,
    say: &mut dyn FnMut(&str),
) -> Result<Outcome> {
    let target = stage.leaker.name;
    say(&format!(
        "load is running; a calm baseline of {} s first, so that there is something to compare with",
        BASELINE.as_secs()
    ));
    stage.must_live_for(BASELINE)?;
    wait_for("the first heap profile", Duration::from_secs(20), || {
        let (_, body) = http::get(stage.watchdog, &format!("/api/v1/heap-dumps?target={target}"))?;
        Ok(String::from_utf8_lossy(&body).contains("\"id\"").then_some(()))
    })?;
    if !faults::is_none(plan.fault) {
        say(&format!("injecting {} into {target} at {} bytes/s", plan.fault.name, plan.rate));
        inject(stage.leaker.admin, plan)?;
    }
    let began = (Instant::now(), unix_now());
    let mut observed = Observed::default();
    while !observed.is_over(plan, began.0.elapsed()) {
        stage.others_live()?;
        if let Some(message) = stage.slack.next(Duration::from_millis(20))? {
            observed.message(plan, &message, began.1, say);
        }
        if observed.kill_s.is_none() && stage.scene.leaker_ended()? {
            let at = began.0.elapsed().as_secs_f64();
            say(&format!("{at:.2} s: the kernel killed the service"));
            observed.kill_s = Some(at);
            // What was accepted before the kill may still be in the pipe.
            while let Some(message) = stage.slack.next(Duration::from_millis(300))? {
                observed.message(plan, &message, began.1, say);
            }
        }
    }
    outcome(stage.watchdog, plan, &observed)
}

fn inject(admin: SocketAddr, plan: &Plan) -> Result<()> {
    let path = format!("/debug/faults/{}", plan.fault.name);
    let body = json!({ "bytes_per_second": plan.rate });
    let (status, answer) = http::put_json(admin, &path, &body)?;
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
        if !message.text.contains(plan.fault.service) {
            return say(&format!("{at:.2} s: Slack is told of another service: {}", message.text));
        }
        if self.first_s.is_none() {
            say(&format!("{at:.2} s: Slack has the first report: {}", message.text));
            self.first_s = Some(at);
        }
        // Where no function is to be named, the kind of growth makes a report complete.
        let sought = plan.fault.culprit.or(plan.fault.verdict);
        if self.full_s.is_none() && sought.is_some_and(|sought| message.raw.contains(sought)) {
            let what = plan.fault.culprit.map_or("kind of growth", |_| "function's name");
            say(&format!("{at:.2} s: Slack has the full report, with the {what}"));
            self.full_s = Some(at);
        }
    }

    fn is_over(&self, plan: &Plan, elapsed: Duration) -> bool {
        let fill = plan.limit as f64 / plan.rate.max(1) as f64;
        let deadline = match (plan.fault.verdict, self.full_s) {
            (None, _) => QUIET.as_secs_f64(),
            (_, Some(full)) => full * PATIENCE + AT_LEAST.as_secs_f64(),
            (_, None) => fill * PATIENCE + AT_LEAST.as_secs_f64(),
        };
        self.kill_s.is_some() || elapsed.as_secs_f64() > deadline
    }

    /// The whole report came before the kill, or there was no kill.
    fn came_first(&self) -> bool {
        match (self.first_s, self.full_s, self.kill_s) {
            (Some(first), Some(_), Some(kill)) => first < kill,
            (Some(_), Some(_), None) => true,
            _ => false,
        }
    }
}

fn outcome(watchdog: SocketAddr, plan: &Plan, observed: &Observed) -> Result<Outcome> {
    let (_, body) = http::get(watchdog, "/api/v1/incidents")?;
    let incidents: Value = serde_json::from_slice(&body).context("/api/v1/incidents")?;
    let list = incidents.get("incidents").unwrap_or(&incidents).as_array();
    let told = list.into_iter().flatten().filter(|one| !one["told"].is_null());
    let (own, others): (Vec<_>, Vec<_>) =
        told.partition(|one| name(one) == Some(plan.fault.service));
    let told = own.last();
    let text = |pointer| Some(told?.pointer(pointer)?.as_str()?.to_owned());
    let (culprit, verdict) = (text("/culprit/frame/function"), text("/verdict/kind"));
    let (first_report_s, kill_s) = (observed.first_s, observed.kill_s);
    let as_expected = match plan.fault.verdict {
        None => first_report_s.is_none() && told.is_none() && kill_s.is_none(),
        Some(kind) => {
            let named = plan.fault.is_blamed_on(culprit.as_deref());
            observed.came_first() && named && verdict.as_deref() == Some(kind)
        }
    };
    Ok(Outcome {
        fault: plan.fault.name.to_owned(),
        target: plan.fault.service.to_owned(),
        first_report_s,
        full_report_s: observed.full_s,
        kill_s,
        lead_s: kill_s.zip(first_report_s).map(|(kill, first)| kill - first),
        verdict,
        culprit,
        culprit_expected: plan.fault.culprit.map(str::to_owned),
        ok: as_expected && others.is_empty(),
        falsely_accused: others.into_iter().filter_map(name).map(str::to_owned).collect(),
    })
}

/// Whose incident it is.
fn name(incident: &Value) -> Option<&str> {
    incident.pointer("/target/name")?.as_str()
}
