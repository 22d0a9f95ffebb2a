//! Incidents, open and past.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use watchdog_core::incident::Incident;

use crate::error::{ApiError, Name, NoParams, Params};
use crate::routes::Shared;

/// Answer of `/api/v1/incidents`.
#[derive(Serialize)]
pub(crate) struct Incidents {
    incidents: Vec<Incident>,
}

/// `GET /api/v1/incidents`, newest first
pub(crate) async fn list(State(shared): State<Shared>, _: Params<NoParams>) -> Json<Incidents> {
    Json(Incidents { incidents: shared.source.status().incidents })
}

/// `GET /api/v1/incidents/{id}`
pub(crate) async fn one(
    State(shared): State<Shared>,
    Name(id): Name,
    _: Params<NoParams>,
) -> Result<Json<Incident>, ApiError> {
    let incidents = shared.source.status().incidents;
    incidents.into_iter().find(|incident| incident.id == id).map(Json).ok_or_else(|| {
        ApiError::not_found(format!(
            "no incident has the id `{id}`; `/api/v1/incidents` lists the recent ones"
        ))
    })
}
