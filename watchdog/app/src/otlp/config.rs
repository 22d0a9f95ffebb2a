//! Where telemetry goes, under which name, and how much of it waits.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::Resource;
use reqwest::Client;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// A collector is near, or it is not there.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// Where telemetry goes.
#[derive(Clone, Debug)]
pub struct OtlpConfig {
    /// The collector's address for OTLP over HTTP; `/v1/traces` and `/v1/logs` are added to it.
    pub endpoint: Url,
    /// Headers of each request, such as a token's.
    pub headers: Vec<(String, SecretString)>,
    /// The watchdog's `service.name`.
    pub service_name: String,
    /// Further attributes of the resource.
    pub attributes: Vec<(String, String)>,
    /// Whether incidents and reports are exported as traces.
    pub traces: bool,
    /// Whether the watchdog's log is exported.
    pub logs: bool,
    /// How long the collector may take for one batch.
    pub timeout: Duration,
    /// How much is collected, and how much at a time is sent.
    pub batching: Batching,
}

/// The bounds of each signal's queue.
#[derive(Clone, Copy, Debug)]
pub struct Batching {
    /// Items that wait at most; further ones are dropped and counted.
    pub queue: usize,
    /// Items of one request at most.
    pub batch: usize,
    /// How long an item waits for others.
    pub every: Duration,
}

impl Default for Batching {
    /// An incident has some dozen spans. A span or record has a kilobyte or two, so a full queue has a megabyte.
    fn default() -> Self {
        Self { queue: 512, batch: 128, every: Duration::from_secs(5) }
    }
}

impl Batching {
    /// A queue holds something, a batch is no larger than it, and the thread sleeps in between.
    pub(super) fn sane(self) -> Self {
        let queue = self.queue.max(1);
        let every = self.every.max(Duration::from_millis(10));
        Self { queue, batch: self.batch.clamp(1, queue), every }
    }
}

impl OtlpConfig {
    /// Traces and log to that collector, with the defaults.
    pub fn new(endpoint: Url) -> Self {
        Self {
            endpoint,
            headers: Vec::new(),
            service_name: "oomen".into(),
            attributes: Vec::new(),
            traces: true,
            logs: true,
            timeout: Duration::from_secs(10),
            batching: Batching::default(),
        }
    }

    /// Adds what Kubernetes' downward API says of the pod in `POD_NAMESPACE` and `POD_NAME`.
    pub fn with_pod(mut self, variable: impl Fn(&str) -> Option<String>) -> Self {
        let known = [("k8s.namespace.name", "POD_NAMESPACE"), ("k8s.pod.name", "POD_NAME")];
        for (attribute, name) in known {
            if let Some(value) = variable(name).filter(|value| !value.is_empty()) {
                self.attributes.push((attribute.into(), value));
            }
        }
        self
    }

    pub(super) fn resource(&self) -> Resource {
        let further = self.attributes.iter();
        let further = further.map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        // Empty, because the other builder reads the environment, and the configuration is one place.
        Resource::builder_empty()
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attributes(further)
            .with_service_name(self.service_name.clone())
            .build()
    }

    /// Where a signal is sent.
    pub(super) fn url(&self, path: &str) -> String {
        let mut url = self.endpoint.clone();
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        url.into()
    }

    /// A client for that address. It sends what is secret there and follows no redirect.
    pub(super) fn client(&self) -> Result<Client, OtlpError> {
        let url = &self.endpoint;
        let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if !matches!(url.scheme(), "http" | "https") || !bare {
            return Err(OtlpError::Endpoint);
        }
        // reqwest is built without a provider of its own; whoever came first has installed the same.
        rustls::crypto::ring::default_provider().install_default().ok();
        let builder = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_DEADLINE)
            .pool_max_idle_per_host(1);
        // Plain HTTP needs no certificates, and an image without any must not fail for their want.
        let builder = if url.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
        builder.build().map_err(|error| OtlpError::Client(error.without_url().to_string()))
    }

    pub(super) fn header_map(&self) -> Result<HeaderMap, OtlpError> {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            let header =
                HeaderName::try_from(name).map_err(|_| OtlpError::HeaderName(name.clone()))?;
            let mut value = HeaderValue::try_from(value.expose_secret())
                .map_err(|_| OtlpError::HeaderValue(name.clone()))?;
            value.set_sensitive(true);
            map.append(header, value);
        }
        Ok(map)
    }
}

/// Why telemetry cannot be exported. Holds no header's value.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// Of the wrong kind.
    #[error(
        "the OTLP endpoint must be an http or https address such as http://127.0.0.1:4318, with \
         neither credentials nor a query in it: give them as headers"
    )]
    Endpoint,
    /// No name of a header.
    #[error("`{0}` is no name of an HTTP header for OTLP")]
    HeaderName(String),
    /// A value that cannot be sent.
    #[error("the value of the OTLP header `{0}` has characters that a header cannot carry")]
    HeaderValue(String),
    /// No client.
    #[error("cannot set up HTTP for OTLP: {0}")]
    Client(String),
    /// No runtime.
    #[error("OTLP must be started within the watchdog's runtime")]
    Runtime,
    /// No exporter.
    #[error("cannot set up the OTLP exporter: {0}")]
    Exporter(#[from] ExporterBuildError),
}
