//! What a service is built from: its configuration, metrics, identity, clients and background tasks.

use std::fmt::Display;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prometheus::Registry;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::{Client, Clients};
use crate::health::Health;
use crate::identity::{KeyError, Keys};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::peers::Peer;

/// Where data goes when nobody says where.
const DATA: &str = "shop-data";

/// What a service is built from. Clones are the same.
#[derive(Clone)]
pub struct Kit(Arc<Parts>);

struct Parts {
    service: Peer,
    options: Options,
    metrics: Metrics,
    health: Health,
    keys: Keys,
    clients: Clients,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

/// Why a service cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    /// Two metrics of one name.
    #[error("a metric could not be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// No key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No HTTP client.
    #[error("cannot set up HTTP for calls to other services: {0}")]
    Client(String),
    /// No place for data.
    #[error("cannot use the data directory {path} (SHOP_DATA): {source}")]
    Data {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Kit {
    /// What `service` is built from. Touches the data directory only for a key, and only where `SHOP_DATA` names one
    /// or the service needs one.
    ///
    /// # Errors
    /// [`KitError`].
    pub fn new(service: Peer, options: Options) -> Result<Self, KitError> {
        let metrics = Metrics::register(Registry::new())?;
        let keys = match &options.internal_key {
            Some(secret) => Keys::of(secret),
            // Without a shop around it nobody's identity is to be verified, and nothing is to be written.
            None if service.stands_alone() && !options.in_a_shop() => Keys::ephemeral()?,
            None => Keys::kept_in(&made(options.data.as_deref())?)?,
        };
        let clients = Clients::new(service, &options.peers, &keys, &metrics.calls)
            .map_err(|error| KitError::Client(error.to_string()))?;
        Ok(Self(Arc::new(Parts {
            service,
            options,
            metrics,
            health: Health::default(),
            keys,
            clients,
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })))
    }

    /// Which service this is.
    pub fn service(&self) -> Peer {
        self.0.service
    }

    /// The configuration that all services share.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Where metrics are registered; see [`crate::catalogue`].
    pub fn registry(&self) -> &Registry {
        &self.0.metrics.registry
    }

    /// What identities are signed and verified with.
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// A client of another service.
    pub fn client(&self, peer: Peer) -> Client {
        self.0.clients.of(peer)
    }

    /// The data directory, made if it is not there, for this user alone.
    ///
    /// # Errors
    /// [`KitError::Data`].
    pub fn data_dir(&self) -> Result<PathBuf, KitError> {
        made(self.0.options.data.as_deref())
    }

    /// Adds a check of something this service needs to serve requests. While it fails, or takes longer than 2 s,
    /// `/health/ready` says so under `name`. The error is shown: no secret may be in it.
    pub fn readiness<F, E>(&self, name: &'static str, check: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        self.0.health.check(name, check);
    }

    /// Runs a task in the background until the service stops. It must end when [`Kit::stopping`] is cancelled; after
    /// 5 s it is no longer waited for. If it ends or panics before, the service is no longer alive. Needs a runtime.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let (health, stopping) = (self.0.health.clone(), self.0.stopping.clone());
        let running = tokio::spawn(task);
        self.0.tasks.spawn(async move {
            let ended = running.await;
            if !stopping.is_cancelled() {
                let panicked = ended.is_err();
                tracing::error!(task = name, panicked, "a background task ended before its time");
                health.ended(name);
            }
        });
    }

    /// Cancelled when the service stops: after the last request, before the process ends.
    pub fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// Whether requests should come, as `/health/ready` on the admin port says with reasons.
    pub async fn is_ready(&self) -> bool {
        self.0.health.is_ready().await
    }

    /// Whether the process works, as `/health/live` on the admin port says.
    pub fn is_alive(&self) -> bool {
        self.0.health.is_alive()
    }

    pub(crate) fn health(&self) -> &Health {
        &self.0.health
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}

fn made(directory: Option<&Path>) -> Result<PathBuf, KitError> {
    let path = directory.unwrap_or(Path::new(DATA)).to_owned();
    match DirBuilder::new().recursive(true).mode(0o700).create(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(KitError::Data { path, source }),
    }
}
