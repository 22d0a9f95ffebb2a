//! The API: JSON, and heap profiles, over what the [`crate::status::Source`] and the [`crate::dumps::Dumps`] say now.
//!
//! The wire form of samples, assessments and incidents is the core's own: sizes in bytes, spans in seconds, times in
//! seconds since the Unix epoch.

mod answers;
pub(crate) mod dumps;
pub(crate) mod health;
pub(crate) mod incidents;
pub(crate) mod profiles;
mod ranges;
pub(crate) mod series;
pub(crate) mod targets;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::error::{ApiError, NoParams, Params};
use crate::metrics::{CONTENT_TYPE, render};
use crate::routes::Shared;

/// `GET /metrics`
pub(crate) async fn metrics(State(shared): State<Shared>) -> Result<Response, ApiError> {
    match render(&shared.source.status()) {
        Ok(text) => Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()),
        Err(error) => {
            tracing::error!(%error, "a scrape got no metrics");
            Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
        }
    }
}

/// `GET /api/v1/openapi.json`
pub(crate) async fn openapi(_: Params<NoParams>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("api/openapi.json"))
}
