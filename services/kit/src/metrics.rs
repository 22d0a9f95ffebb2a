//! `/metrics`: requests by the route that matched, never by path, so that no client can grow the number of series.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::routing::get;
use prometheus::{HistogramVec, IntCounter, IntCounterVec, Registry, TextEncoder};

use crate::catalogue::shared;

#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    requests: IntCounterVec,
    duration: HistogramVec,
    pub(crate) panics: IntCounter,
    pub(crate) lost: IntCounterVec,
    pub(crate) calls: IntCounterVec,
}

impl Metrics {
    /// Registers what every service has.
    pub(crate) fn register(registry: Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            requests: shared::REQUESTS.counter(&registry)?,
            duration: shared::DURATION.histogram(&registry)?,
            panics: shared::PANICS.plain_counter(&registry)?,
            lost: shared::TELEMETRY_LOST.counter(&registry)?,
            calls: shared::CALLS.counter(&registry)?,
            registry,
        })
    }

    /// Counts a request and its time.
    pub(crate) fn answered(&self, method: &str, route: &str, status: StatusCode, took: Duration) {
        self.duration.with_label_values(&[method, route]).observe(took.as_secs_f64());
        self.requests.with_label_values(&[method, route, status.as_str()]).inc();
    }
}

/// HTTP lets a client make methods up; a label must not follow.
pub(crate) fn bounded(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

pub(crate) fn routes(registry: Registry) -> Router {
    Router::new().route("/metrics", get(exposition)).with_state(registry)
}

async fn exposition(
    State(registry): State<Registry>,
) -> Result<([(header::HeaderName, &'static str); 1], String), (StatusCode, String)> {
    let text = TextEncoder::new()
        .encode_to_string(&registry.gather())
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")))?;
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text))
}
