//! Health: alive is never a question of dependencies, ready says whether requests should come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

/// Whether requests should come: true from the start, false once the service drains.
#[derive(Clone)]
pub(crate) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub(crate) fn ready() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    pub(crate) fn withdraw(&self) {
        self.0.store(false, Ordering::Release);
    }
}

pub(crate) fn routes(readiness: Readiness) -> Router {
    Router::new()
        .route("/health/live", get(|| async { "alive\n" }))
        .route("/health/ready", get(ready))
        .with_state(readiness)
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if readiness.0.load(Ordering::Acquire) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    }
}
