//! The API: JSON, and heap profiles, over what the [`crate::status::Source`] and the [`crate::dumps::Dumps`] say now.
//!
//! The wire form of samples, assessments and incidents is the core's own: sizes in bytes, spans in seconds, times in
//! seconds since the Unix epoch.

mod answers;
pub(crate) mod dumps;
pub(crate) mod health;
pub(crate) mod incidents;
pub(crate) mod metrics;
pub(crate) mod profiles;
mod ranges;
pub(crate) mod series;
pub(crate) mod targets;

use axum::http::header;
use axum::response::IntoResponse;

use crate::error::{NoParams, Params};

/// `GET /api/v1/openapi.json`
pub(crate) async fn openapi(_: Params<NoParams>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("api/openapi.json"))
}
