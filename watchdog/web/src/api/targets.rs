//! Targets: who is watched and what is known of them.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use watchdog_core::detector::Assessment;
use watchdog_core::fit::Fit;
use watchdog_core::incident::TargetIdentity;
use watchdog_core::sample::Sample;
use watchdog_core::units::Bytes;

use crate::error::{ApiError, Name, NoParams, Params};
use crate::routes::Shared;
use crate::status::{Status, TargetStatus};

/// One target on the wire.
#[derive(Serialize)]
pub(crate) struct Target {
    name: String,
    identity: TargetIdentity,
    up: bool,
    used: Option<Bytes>,
    limit: Option<Bytes>,
    limit_source: Option<String>,
    sample: Option<Sample>,
    assessment: Option<Assessment>,
    /// What is learned of it, for rules that are to fit it.
    fit: Option<Fit>,
    sample_interval: f64,
    oom_kills: u64,
    /// Id of the incident that is open.
    incident: Option<String>,
}

/// Answer of `/api/v1/targets`.
#[derive(Serialize)]
pub(crate) struct Targets {
    targets: Vec<Target>,
}

/// `GET /api/v1/targets`
pub(crate) async fn list(State(shared): State<Shared>, _: Params<NoParams>) -> Json<Targets> {
    let status = shared.source.status();
    Json(Targets { targets: status.targets.iter().map(|target| view(&status, target)).collect() })
}

/// `GET /api/v1/targets/{target}`
pub(crate) async fn one(
    State(shared): State<Shared>,
    Name(name): Name,
    _: Params<NoParams>,
) -> Result<Json<Target>, ApiError> {
    let status = shared.source.status();
    let target = status.target(&name).ok_or_else(|| unknown(&name))?;
    Ok(Json(view(&status, target)))
}

/// The answer to a name that nobody has.
pub(crate) fn unknown(name: &str) -> ApiError {
    ApiError::not_found(format!("no target is called `{name}`; `/api/v1/targets` lists them"))
}

fn view(status: &Status, target: &TargetStatus) -> Target {
    let name = target.identity.name.clone();
    Target {
        incident: status.open_incident(&name).map(|incident| incident.id.clone()),
        name,
        identity: target.identity.clone(),
        up: target.up,
        used: target.sample.map(|sample| sample.used()),
        limit: target.sample.and_then(|sample| sample.limit),
        limit_source: target.limit_source.clone(),
        sample: target.sample,
        assessment: target.assessment.clone(),
        fit: target.fit.clone(),
        sample_interval: target.sample_interval,
        oom_kills: target.oom_kills,
    }
}
