//! What every request meets first: an id, a span, a count, a deadline, and somebody who catches panics.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use tokio::time::timeout;
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::error::ApiError;
use crate::metrics::{Metrics, bounded};
use crate::request_id::{REQUEST_ID, RequestId};
use crate::trace;

/// What an answer carries unless its handler says otherwise. It is data for programs: nothing in it may run, be framed
/// or be kept.
const HEADERS: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (CACHE_CONTROL, "no-store"),
];

#[derive(Clone)]
pub(crate) struct Edge {
    pub(crate) metrics: Metrics,
    /// Of one request, its body included: a client that trickles does not hold a handler for ever.
    pub(crate) deadline: Duration,
}

/// Middleware, the outermost.
pub(crate) async fn edge(
    State(Edge { metrics, deadline }): State<Edge>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    let method = bounded(request.method());
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        otel.name = %format_args!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        request_id = id.as_str(),
    );
    trace::continue_from_headers(&span, request.headers());
    let answer = async {
        let response = survive(next.run(request), deadline).await;
        let (status, took) = (response.status(), started.elapsed());
        metrics.answered(method, route, status, took);
        if status.is_server_error() {
            tracing::warn!(method, route, status = status.as_u16(), ?took, "answered a request");
        } else {
            tracing::debug!(method, route, status = status.as_u16(), ?took, "answered a request");
        }
        response
    };
    let mut response = id.clone().scope(answer.instrument(span.clone())).await;
    span.record("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    finish(response.headers_mut(), &id);
    response
}

/// The answer, or what stands for it when time runs out or the handler panics. The panic's hook has counted and logged
/// it.
async fn survive(answer: impl Future<Output = Response>, deadline: Duration) -> Response {
    let error = match timeout(deadline, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(response)) => return response,
        Ok(Err(_)) => ApiError::internal("the handler panicked"),
        Err(_) => ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the request took longer than {deadline:?}"),
        ),
    };
    error.into_response()
}

fn finish(headers: &mut HeaderMap, id: &RequestId) {
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.extend(id.header().map(|id| (REQUEST_ID, id)));
}
