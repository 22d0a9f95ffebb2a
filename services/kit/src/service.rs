//! A service: what customers may ask, what operators may ask, and its life from start to drained.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::ApiError;
use crate::faults::{self, Fault, Faults};
use crate::health::{self, Readiness};
use crate::metrics::{self, Metrics};
use crate::options::{Options, Switch};

/// How long requests under way may take to finish once the service is told to stop. Kubernetes gives 30 s in all.
const DRAIN: Duration = Duration::from_secs(5);

/// How long one request may take, its body included: a client that trickles does not hold a handler for ever.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// The largest body read, in bytes. An order of 50 items takes under 4 KiB.
const MAX_BODY: usize = 64 << 10;

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error(
        "cannot listen on {address} ({what}): {source}; free the port or give another with {flag}"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// For whom.
        what: &'static str,
        /// The flag that sets it.
        flag: &'static str,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// Two metrics of one name.
    #[error("a metric could not be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A service before it starts.
pub struct Service {
    name: &'static str,
    routes: Router,
    faults: Vec<(&'static str, Box<dyn Fault>)>,
    registry: Registry,
}

impl Service {
    /// A service that answers customers with `routes`.
    pub fn new(name: &'static str, routes: Router) -> Self {
        Self { name, routes, faults: Vec::new(), registry: Registry::new() }
    }

    /// Adds a fault under the name it is injected by.
    #[must_use]
    pub fn fault(mut self, name: &'static str, fault: impl Fault) -> Self {
        self.faults.push((name, Box::new(fault)));
        self
    }

    /// Serves the metrics of `registry` beside the shared ones.
    #[must_use]
    pub fn metrics(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// Binds both ports and serves until [`Running::stop`]. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] when a port cannot be bound or a metric is registered twice.
    pub async fn start(self, options: &Options) -> Result<Running, StartError> {
        let metrics = Metrics::register(self.registry)?;
        let readiness = Readiness::ready();
        let (public, public_address) =
            bind(options.listen, "customers' requests", "--listen").await?;
        let (admin, admin_address) =
            bind(options.admin_listen, "the admin port", "--admin-listen").await?;
        if !admin_address.ip().is_loopback() {
            tracing::warn!(%admin_address, "the admin port is not on loopback: guard it, it serves heap profiles");
        }
        let faults = Faults::start(self.faults, options.faults);
        let admin_routes = Router::new()
            .merge(oomen_probe::router())
            .merge(metrics::routes(metrics.clone()))
            .merge(health::routes(readiness.clone()))
            .merge(faults::routes(faults));
        let public = Server::start(public, guarded(self.routes, metrics.clone()));
        let admin = Server::start(admin, plain_errors(admin_routes));
        tracing::info!(
            service = self.name,
            public = %public_address,
            admin = %admin_address,
            faults = options.faults == Switch::On,
            "listening"
        );
        Ok(Running { public_address, admin_address, readiness, metrics, public, admin })
    }
}

async fn bind(
    address: SocketAddr,
    what: &'static str,
    flag: &'static str,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, what, flag, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// What every public route gets: a deadline, a largest body, a count. The count is outermost, so that it sees all.
fn guarded(routes: Router, metrics: Metrics) -> Router {
    plain_errors(routes)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(deadline))
        .layer(middleware::from_fn_with_state(metrics, metrics::measure))
}

/// Errors of the router itself in the same form as the handlers'.
fn plain_errors(routes: Router) -> Router {
    routes
        .fallback(|| async { ApiError::not_found("there is nothing at this path") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
        })
}

async fn deadline(request: Request, next: Next) -> Response {
    match timeout(REQUEST_DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            format!("the request took longer than {REQUEST_DEADLINE:?}"),
        )
        .into_response(),
    }
}

/// One listener with its routes.
struct Server {
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    fn start(listener: TcpListener, routes: Router) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, routes).with_graceful_shutdown(async move {
            // A dropped sender means stop as well.
            let _ = stopped.await;
        });
        Self { stop, task: tokio::spawn(async move { serve.await }) }
    }

    /// Takes no more connections and waits for those under way; false when time ran out.
    async fn drain(mut self, within: Duration) -> bool {
        drop(self.stop);
        let drained = timeout(within, &mut self.task).await.is_ok();
        self.task.abort();
        drained
    }
}

/// A service that serves.
pub struct Running {
    /// Where customers ask.
    pub public_address: SocketAddr,
    /// Where operators ask.
    pub admin_address: SocketAddr,
    readiness: Readiness,
    pub(crate) metrics: Metrics,
    public: Server,
    admin: Server,
}

impl Running {
    /// Drains: not ready any more, no new connections, requests under way get 5 s to finish. The admin port stays
    /// until that is over, so that a watchdog sees the service to its end. False when requests were cut off.
    pub async fn stop(self) -> bool {
        self.readiness.withdraw();
        let drained = self.public.drain(DRAIN).await;
        self.admin.drain(Duration::ZERO).await;
        drained
    }
}
