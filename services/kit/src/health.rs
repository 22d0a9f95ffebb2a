//! Health: alive is never a question of dependencies, ready says whether requests should come.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use futures_util::future::{BoxFuture, join_all};
use tokio::time::timeout;

/// How long a check may take: who asks gives up after a few seconds, and a dependency this slow is not there.
const DEADLINE: Duration = Duration::from_secs(2);

type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Whether the process works and whether requests should come: yes from the start, until a check says no or the
/// service drains.
#[derive(Clone, Default)]
pub(crate) struct Health(Arc<Shared>);

#[derive(Default)]
struct Shared {
    draining: AtomicBool,
    /// The background task that ended although nobody told it to; without it the process is worth nothing.
    ended: OnceLock<&'static str>,
    checks: Mutex<Vec<(&'static str, Check)>>,
}

impl Health {
    pub(crate) fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    pub(crate) fn ended(&self, task: &'static str) {
        // The first is the one that matters.
        self.0.ended.set(task).ok();
    }

    pub(crate) fn check<F, E>(
        &self,
        name: &'static str,
        check: impl Fn() -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        let check: Check = Arc::new(move || {
            let answer = check();
            Box::pin(async move { answer.await.map_err(|error| error.to_string()) })
        });
        self.checks().push((name, check));
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.0.ended.get().is_none()
    }

    pub(crate) async fn is_ready(&self) -> bool {
        self.obstacles().await.is_empty()
    }

    fn checks(&self) -> std::sync::MutexGuard<'_, Vec<(&'static str, Check)>> {
        self.0.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What keeps requests from being served, a line each.
    async fn obstacles(&self) -> Vec<String> {
        if self.0.draining.load(Ordering::Acquire) {
            return vec!["draining".to_owned()];
        }
        let checks = self.checks().clone();
        let asked = checks.into_iter().map(|(name, check)| async move {
            match timeout(DEADLINE, check()).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("{name}: {error}")),
                Err(_) => Some(format!("{name}: no answer within {DEADLINE:?}")),
            }
        });
        join_all(asked).await.into_iter().flatten().collect()
    }
}

pub(crate) fn routes(health: Health) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(health)
}

async fn live(State(health): State<Health>) -> (StatusCode, String) {
    match health.0.ended.get() {
        None => (StatusCode::OK, "alive\n".to_owned()),
        Some(task) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("the background task {task} has ended\n"))
        }
    }
}

async fn ready(State(health): State<Health>) -> (StatusCode, String) {
    let obstacles = health.obstacles().await;
    if obstacles.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, obstacles.join("\n") + "\n")
    }
}
