//! A service: what customers may ask, what operators may ask, and its life from start to drained.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::{Router, middleware};
use tokio::time::timeout;

use crate::admin;
use crate::edge::{Edge, edge};
use crate::error::ApiError;
use crate::faults::{self, Fault, Faults};
use crate::health;
use crate::identity::{Gate, identify};
use crate::kit::Kit;
use crate::metrics;
use crate::openapi::{self, Api};
use crate::options::Switch;
use crate::server::{Server, bind};

/// How long requests under way may take to finish once the service is told to stop, and after them what runs in the
/// background. Kubernetes gives 30 s in all.
const DRAIN: Duration = Duration::from_secs(5);

/// How long one request may take.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// The largest body read, in bytes. An order of 50 items takes under 4 KiB.
const MAX_BODY: usize = 64 << 10;

/// The code of a 404 that no handler has given.
pub(crate) const NO_ROUTE: &str = "no_route";

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
    /// The document cannot be written.
    #[error("the OpenAPI document cannot be written: {0}")]
    Document(#[from] serde_json::Error),
}

/// A service before it starts.
pub struct Service {
    kit: Kit,
    api: Api,
    admin: Router,
    faults: Vec<(&'static str, Box<dyn Fault>)>,
    wrap: Box<dyn FnOnce(Router) -> Router + Send>,
    open: bool,
    max_body: usize,
    deadline: Duration,
}

impl Service {
    /// A service that answers the shop's other services with `api`, and nobody else.
    pub fn new(kit: Kit, api: Api) -> Self {
        Self {
            kit,
            api,
            admin: Router::new(),
            faults: Vec::new(),
            wrap: Box::new(|routes| routes),
            open: false,
            max_body: MAX_BODY,
            deadline: REQUEST_DEADLINE,
        }
    }

    /// Answers whoever asks, without an identity. Handlers that extract one still refuse those without.
    #[must_use]
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// Adds a fault under the name it is injected by. The innocent ones are there without.
    #[must_use]
    pub fn fault(mut self, name: &'static str, fault: impl Fault) -> Self {
        self.faults.push((name, Box::new(fault)));
        self
    }

    /// Adds routes to the admin port. Those that are neither GET nor HEAD are for this machine or need the token.
    #[must_use]
    pub fn admin(mut self, routes: Router) -> Self {
        self.admin = self.admin.merge(routes);
        self
    }

    /// Puts middleware around all routes, those that answer "no such path" included. It runs within the request's id,
    /// count and deadline, and before the identity is looked at.
    #[must_use]
    pub fn wrap(mut self, wrap: impl FnOnce(Router) -> Router + Send + 'static) -> Self {
        self.wrap = Box::new(wrap);
        self
    }

    /// The largest body that is read, in bytes, instead of 64 KiB.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// How long one request may take, instead of 10 s.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Binds both ports and serves until [`Running::stop`]. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] when a port cannot be bound.
    pub async fn start(self) -> Result<Running, StartError> {
        let Self { kit, api, admin, faults, wrap, open, max_body, deadline } = self;
        let options = kit.options().clone();
        let listen = |address, what, flag| async move {
            let failed = |source| StartError::Listen { address, what, flag, source };
            bind(address).await.map_err(failed)
        };
        let (public, public_address) =
            listen(options.listen, "requests", "--listen (SHOP_LISTEN)").await?;
        let (admin_listener, admin_address) =
            listen(options.admin_listen, "the admin port", "--admin-listen (SHOP_ADMIN_LISTEN)")
                .await?;
        if !admin_address.ip().is_loopback() {
            tracing::warn!(%admin_address, "the admin port is not on loopback: guard it");
        }
        let (routes, document) = api.finish(kit.service());
        let gate = Gate { keys: kit.keys().clone(), open };
        let edged = Edge { metrics: kit.metrics().clone(), deadline };
        let routes =
            wrap(plain_errors(routes).layer(middleware::from_fn_with_state(gate, identify)));
        let routes = routes
            .merge(openapi::route(&document)?)
            .layer(DefaultBodyLimit::max(max_body))
            .layer(middleware::from_fn_with_state(edged, edge));
        let faults = Faults::start(faults::with_innocents(faults, &kit), options.faults);
        let admin_routes = Router::new()
            .merge(oomen_probe::router())
            .merge(metrics::routes(kit.registry().clone()))
            .merge(health::routes(kit.health().clone()))
            .merge(faults::routes(faults))
            .merge(admin);
        let guard = middleware::from_fn_with_state(options.admin_token.clone(), admin::guard);
        let admin_routes = plain_errors(admin_routes).layer(guard);
        tracing::info!(
            service = kit.service().name(),
            public = %public_address,
            admin = %admin_address,
            faults = options.faults == Switch::On,
            "listening"
        );
        Ok(Running {
            public_address,
            admin_address,
            public: Server::start(public, routes),
            admin: Server::start(admin_listener, admin_routes),
            kit,
        })
    }
}

/// Errors of the router itself in the same form as the handlers'.
fn plain_errors(routes: Router) -> Router {
    routes
        .fallback(|| async { ApiError::not_found("there is nothing at this path").code(NO_ROUTE) })
        .method_not_allowed_fallback(|| async {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
        })
}

/// A service that serves.
pub struct Running {
    /// Where requests are answered.
    pub public_address: SocketAddr,
    /// Where operators ask.
    pub admin_address: SocketAddr,
    public: Server,
    admin: Server,
    kit: Kit,
}

impl Running {
    /// What it was built from.
    pub fn kit(&self) -> &Kit {
        &self.kit
    }

    /// Drains: not ready any more, no new connections, requests under way get 5 s to finish, then what runs in the
    /// background gets 5 s. The admin port stays until that is over, so that a watchdog sees the service to its end.
    /// False when something was cut off.
    pub async fn stop(self) -> bool {
        self.kit.health().drain();
        let answered = self.public.drain(DRAIN).await;
        self.kit.stopping().cancel();
        let tasks = self.kit.tasks();
        tasks.close();
        let ended = timeout(DRAIN, tasks.wait()).await.is_ok();
        self.admin.drain(Duration::ZERO).await;
        answered && ended
    }
}
