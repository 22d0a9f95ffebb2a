//! All routes in one table, and what stands around every one of them: limits, deadline, headers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::access::{self, Access};
use crate::api::profiles;
use crate::dumps::Dumps;
use crate::error::ApiError;
use crate::status::{Durations, Source};
use crate::{api, page};

/// What the application hands over.
#[derive(Clone)]
pub struct AppContext {
    /// Where all that is shown comes from.
    pub source: Arc<dyn Source>,
    /// The store of heap dumps.
    pub dumps: Arc<dyn Dumps>,
    /// The bearer token that guards heap dumps when the server listens beyond loopback. Without one they are refused there.
    pub token: Option<SecretString>,
}

/// What handlers share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) dumps: Arc<dyn Dumps>,
    pub(crate) access: Access,
    /// One capture at a time over all targets: each costs its target work and this process memory.
    pub(crate) capture: Arc<Semaphore>,
    /// Profiles of now.
    pub(crate) profile: Arc<Semaphore>,
    /// Stored dumps that are turned into another form.
    pub(crate) render: Arc<Semaphore>,
    /// How long scrapes took.
    pub(crate) scrapes: Arc<Mutex<Durations>>,
}

/// Longest time to the first byte of an answer; a profile over some seconds has these beside it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
/// Stored dumps rendered at once. Two, so that a large one does not hold up a small one.
const MAX_RENDERED: usize = 2;
/// Largest request body. No route takes one; a client that sends `{}` is not turned away.
const MAX_BODY: usize = 4096;

/// One route: its method, its path as the OpenAPI document writes it, its handler.
pub(crate) type Route = (&'static str, &'static str, MethodRouter<Shared>);

/// Routes that answer within [`DEADLINE`].
pub(crate) fn routes() -> Vec<Route> {
    vec![
        ("GET", "/", get(page::index)),
        ("GET", "/assets/app.css", get(page::css)),
        ("GET", "/assets/app.js", get(page::app)),
        ("GET", "/assets/dom.js", get(page::dom)),
        ("GET", "/assets/heap.js", get(page::heap)),
        ("GET", "/assets/plot.js", get(page::plot)),
        ("GET", "/assets/words.js", get(page::words)),
        ("GET", "/assets/icon.svg", get(page::icon)),
        ("GET", "/metrics", get(api::metrics::scrape)),
        ("GET", "/health/live", get(api::health::live)),
        ("GET", "/health/ready", get(api::health::ready)),
        ("GET", "/api/v1/openapi.json", get(api::openapi)),
        ("GET", "/api/v1/targets", get(api::targets::list)),
        ("GET", "/api/v1/targets/{target}", get(api::targets::one)),
        ("GET", "/api/v1/targets/{target}/series", get(api::series::series)),
        ("POST", "/api/v1/targets/{target}/heap-dumps", post(api::dumps::capture)),
        ("GET", "/api/v1/incidents", get(api::incidents::list)),
        ("GET", "/api/v1/incidents/{id}", get(api::incidents::one)),
        ("GET", "/api/v1/heap-dumps", get(api::dumps::list)),
        ("GET", "/api/v1/heap-dumps/{id}", get(api::dumps::download)),
        ("GET", "/debug/pprof/", get(profiles::index)),
        ("GET", "/debug/pprof/cmdline", get(profiles::cmdline)),
        ("GET", "/t/{target}/debug/pprof/", get(profiles::target_index)),
        ("GET", "/t/{target}/debug/pprof/cmdline", get(profiles::target_cmdline)),
    ]
}

/// Routes that keep a deadline of their own, as a client may ask them to wait.
pub(crate) fn patient_routes() -> Vec<Route> {
    vec![
        ("GET", "/debug/pprof/heap", get(profiles::heap)),
        ("GET", "/debug/pprof/allocs", get(profiles::allocs)),
        ("GET", "/t/{target}/debug/pprof/heap", get(profiles::target_heap)),
        ("GET", "/t/{target}/debug/pprof/allocs", get(profiles::target_allocs)),
    ]
}

fn table(routes: Vec<Route>) -> Router<Shared> {
    let add = |router: Router<Shared>, (_, path, handler): Route| router.route(path, handler);
    routes.into_iter().fold(Router::new(), add)
}

/// The whole application. `loopback` says that only this machine can connect: then heap dumps need no token, and
/// requests under another host's name are refused.
pub fn router(context: AppContext, loopback: bool) -> Router {
    let shared = Shared {
        source: context.source,
        dumps: context.dumps,
        access: Access::new(context.token, loopback),
        capture: Arc::new(Semaphore::new(1)),
        profile: Arc::new(Semaphore::new(profiles::MAX_PROFILES)),
        render: Arc::new(Semaphore::new(MAX_RENDERED)),
        scrapes: Arc::default(),
    };
    table(routes())
        .layer(from_fn(deadline))
        .merge(table(patient_routes()).layer(from_fn(profiles::plain_errors)))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn(body_limit))
        .layer(from_fn_with_state(shared.clone(), access::check_origin))
        .layer(from_fn(headers))
        .with_state(shared)
}

async fn no_such_path() -> ApiError {
    ApiError::not_found("there is nothing here; `/api/v1/openapi.json` lists all paths")
}

async fn no_such_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not know that method")
}

/// Reads the body before the handler starts, so that none is left in a connection that is used again.
async fn body_limit(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let (status, text) = match timeout(DEADLINE, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(_)) => return next.run(Request::from_parts(parts, Body::empty())).await,
        Ok(Err(_)) => (
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the request body could not be read or has more than {MAX_BODY} bytes"),
        ),
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the request body did not come in time".to_owned()),
    };
    ApiError::new(status, text).into_response()
}

async fn deadline(request: Request, next: Next) -> Response {
    timeout(DEADLINE, next.run(request)).await.unwrap_or_else(|_| {
        let text = format!("this took longer than {} s and was given up", DEADLINE.as_secs());
        ApiError::new(StatusCode::GATEWAY_TIMEOUT, text).into_response()
    })
}

/// No sniffing, no framing, no reading by other sites, no stale status from a cache. A handler that sets one of them
/// itself knows why.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, page::POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_openapi_document_names_every_route_and_no_other() {
        let document: serde_json::Value =
            serde_json::from_str(include_str!("api/openapi.json")).expect("JSON");
        let documented: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .expect("paths")
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().expect("methods").keys();
                methods.map(|method| (method.to_uppercase(), path.clone()))
            })
            .collect();
        let served: BTreeSet<_> = routes()
            .iter()
            .chain(&patient_routes())
            .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
            .collect();
        assert_eq!(documented, served);
    }
}
