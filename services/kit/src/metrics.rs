//! `/metrics`: requests by the route that matched, never by path, so that no client can grow the number of series.

use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::get;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder,
};

/// Seconds. The shop answers from memory in well under a millisecond; 10 s is the deadline of a request.
const BUCKETS: [f64; 10] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    duration: HistogramVec,
    pub(crate) panics: IntCounter,
}

impl Metrics {
    /// Adds the shared metrics to a service's own registry.
    pub(crate) fn register(registry: Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new("http_requests_total", "Requests answered, by matched route."),
            &["method", "route", "status"],
        )?;
        let duration = HistogramVec::new(
            HistogramOpts::new(
                "http_request_duration_seconds",
                "Time from the request's head to the response's head, by matched route.",
            )
            .buckets(BUCKETS.to_vec()),
            &["method", "route"],
        )?;
        let panics = IntCounter::new("process_panics_total", "Panics, in any thread or task.")?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(panics.clone()))?;
        Ok(Self { registry, requests, duration, panics })
    }
}

/// Middleware: counts a request and its time.
pub(crate) async fn measure(
    State(metrics): State<Metrics>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let method = bounded(request.method());
    let started = Instant::now();
    let response = next.run(request).await;
    let took = started.elapsed();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let status = response.status();
    metrics.duration.with_label_values(&[method, route]).observe(took.as_secs_f64());
    metrics.requests.with_label_values(&[method, route, status.as_str()]).inc();
    tracing::debug!(method, route, status = status.as_u16(), ?took, "answered a request");
    response
}

/// HTTP lets a client make methods up; a label must not follow.
fn bounded(method: &Method) -> &'static str {
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

pub(crate) fn routes(metrics: Metrics) -> Router {
    Router::new().route("/metrics", get(exposition)).with_state(metrics)
}

async fn exposition(
    State(metrics): State<Metrics>,
) -> Result<([(header::HeaderName, &'static str); 1], String), (StatusCode, String)> {
    let text = TextEncoder::new()
        .encode_to_string(&metrics.registry.gather())
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")))?;
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text))
}
