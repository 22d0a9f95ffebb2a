//! The Loki sink: each piece of news as one line, so that Grafana can draw incidents over anything as annotations.
//!
//! A stream's labels have few values: what is unbounded – pod, pid, incident, function – is in the line, which is the
//! incident as JSON (`docs/webhook.md`, without stacks). Structured metadata would need Loki 3 and its newest schema.
//! The same line at the same time counts once for Loki, so a lost answer costs nothing.
//!
//! In Grafana, as an annotation query on a Loki data source: `{job="oomen"} | json | line_format "{{.title}}"`.
//! VictoriaLogs speaks the protocol too, at `/insert?_msg_field=title`.

mod push;

use std::collections::BTreeMap;
use std::fmt;

use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};
use secrecy::SecretString;
use url::Url;
use watchdog_core::incident::Incident;

use crate::http::{Endpoint, EndpointError, HttpOptions};
use crate::labels::{self, LabelError};
use crate::message::unix_seconds;
use crate::sink::{Attempt, Delivery, DeliveryError, Progress, Sink};
use crate::webhook::payload::{Told, remembered, untold};

/// Where Loki takes lines.
pub const PUSH_PATH: &str = "/loki/api/v1/push";
/// The header that names a tenant.
pub const TENANT: &str = "X-Scope-OrgID";

/// Labels that the sink sets itself.
const OWN_LABELS: [&str; 5] = ["job", "kind", "namespace", "state", "target"];
/// Loki takes 15 labels in all, unless it is told otherwise; our own are among them.
const MAX_LABELS: usize = 10;

/// Where to push.
#[derive(Clone)]
pub struct LokiOptions {
    /// Loki's address, with or without [`PUSH_PATH`].
    pub url: Url,
    /// The tenant, where Loki has several.
    pub tenant: Option<SecretString>,
    /// Further labels of every line, such as the cluster's name.
    pub labels: BTreeMap<String, String>,
    /// Where people reach the watchdog's page.
    pub page: Option<Url>,
    /// Credentials, headers, deadline.
    pub http: HttpOptions,
}

/// Options that nothing can be pushed with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LokiConfigError {
    /// The address, the tenant or the credentials cannot be used.
    #[error("loki: {0}")]
    Endpoint(#[from] EndpointError),
    /// A label cannot be used.
    #[error("loki: {0}")]
    Labels(#[from] LabelError),
}

/// Pushes each piece of news as one line.
pub struct LokiSink {
    endpoint: Endpoint,
    labels: BTreeMap<String, String>,
    page: Option<Url>,
}

impl fmt::Debug for LokiSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LokiSink").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl LokiSink {
    /// A sink that pushes to one Loki.
    ///
    /// # Errors
    /// When the address, the credentials or a label cannot be used.
    pub fn new(options: LokiOptions) -> Result<Self, LokiConfigError> {
        labels::check(&options.labels, &OWN_LABELS, MAX_LABELS)?;
        let LokiOptions { url, tenant, labels, page, mut http } = options;
        http.headers.extend(tenant.map(|tenant| (TENANT.to_owned(), tenant)));
        let endpoint = Endpoint::new(&url, PUSH_PATH, &http)?.repeatable();
        Ok(Self { endpoint, labels, page })
    }

    async fn tell(&self, incident: &Incident) -> Result<(), DeliveryError> {
        let target = &incident.target;
        let mut labels = vec![
            ("job", "oomen"),
            ("kind", incident.verdict.kind.as_str()),
            ("namespace", target.namespace.as_deref().unwrap_or_default()),
            ("state", incident.state.as_str()),
            ("target", target.workload.as_deref().unwrap_or(&target.name)),
        ];
        labels.extend(self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        // Loki refuses what is far from its own time, and says so.
        let known = unix_seconds(incident.updated).map(|_| incident.updated);
        let time = known.unwrap_or_else(|| self.endpoint.now());
        let unfit = |error: &dyn fmt::Display| {
            DeliveryError::permanent(format!("no line for Loki can be made: {error}"))
        };
        let told = Told::new(incident, self.page.as_ref(), false);
        let line = serde_json::to_string(&told).map_err(|error| unfit(&error))?;
        let body = push::push(&labels, time.0, line).map_err(|error| unfit(&error))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        self.endpoint.post("application/x-protobuf", headers, body).await
    }
}

impl Sink for LokiSink {
    fn name(&self) -> &'static str {
        "loki"
    }

    fn deliver<'a>(&'a self, delivery: Delivery<'a>) -> Attempt<'a> {
        Box::pin(async move {
            let Some(incident) = untold(&delivery) else {
                return Ok(Progress { memory: delivery.memory.cloned(), more: false });
            };
            self.tell(incident).await?;
            Ok(Progress { memory: Some(remembered(incident)), more: false })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> LokiOptions {
        LokiOptions {
            url: "http://127.0.0.1:3100".parse().expect("a URL"),
            tenant: None,
            labels: BTreeMap::new(),
            page: None,
            http: HttpOptions::default(),
        }
    }

    #[test]
    fn a_tenant_that_no_header_can_carry_is_refused_without_being_shown() {
        let options = LokiOptions { tenant: Some("te\nnant".into()), ..options() };
        let error = LokiSink::new(options).expect_err("refused").to_string();
        assert!(error.contains("x-scope-orgid") || error.contains(TENANT), "{error}");
        assert!(!error.contains("nant`"), "{error}");
    }
}
