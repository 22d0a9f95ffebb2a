//! One request to the API server, and what its refusal means.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, Response, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use watchdog_core::units::WallTime;

use super::{ClusterOptions, MANAGER, Pod};
use crate::http::{self, Auth, Endpoint, HttpOptions};
use crate::sink::DeliveryError;

/// The API server takes no object larger than this.
const MAX_BODY: usize = 3 << 20;
/// Bytes of a refusal that are read.
const MAX_REFUSAL: usize = 64 << 10;
/// How long the rest of an answer is waited for.
const BODY_DEADLINE: Duration = Duration::from_secs(2);
/// Why something is forbidden is told in some three hundred characters.
const MAX_DETAIL: usize = 600;
/// A token has a kilobyte or two, certificates some more.
const MAX_FILE: u64 = 1 << 20;

/// The API server, as the pod's service account sees it.
#[derive(Clone)]
pub struct Api {
    options: ClusterOptions,
    pod: Pod,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("pod", &self.pod).finish_non_exhaustive()
    }
}

/// What is asked.
pub(super) struct Request {
    method: Method,
    path: String,
    query: Option<String>,
    content_type: &'static str,
    body: Value,
}

impl Request {
    pub(super) fn get(path: String) -> Self {
        let (query, content_type) = (None, "application/json");
        Self { method: Method::GET, path, query, content_type, body: Value::Null }
    }

    pub(super) fn post(path: &str, body: Value) -> Self {
        Self { method: Method::POST, body, ..Self::get(path.into()) }
    }

    pub(super) fn delete(path: String, options: Value) -> Self {
        Self { method: Method::DELETE, body: options, ..Self::get(path) }
    }

    /// Server-side apply. Never forced: what another manager has set stays, and is told.
    pub(super) fn apply(path: String, body: Value) -> Self {
        Self {
            method: Method::PATCH,
            query: Some(format!("fieldManager={MANAGER}&fieldValidation=Strict")),
            // JSON is YAML.
            content_type: "application/apply-patch+yaml",
            body,
            ..Self::get(path)
        }
    }
}

/// A request that failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// The status that was answered, if one was.
    pub(super) status: Option<StatusCode>,
    pub(super) error: DeliveryError,
}

impl From<Failure> for DeliveryError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// What matters of a `Status` object.
#[derive(Deserialize)]
struct Status {
    message: String,
}

impl Api {
    /// The server of these options, for this pod.
    pub fn new(options: ClusterOptions, pod: Pod) -> Self {
        Self { options, pod }
    }

    /// The pod that requests are about.
    pub fn pod(&self) -> &Pod {
        &self.pod
    }

    pub(super) fn now(&self) -> WallTime {
        self.options.clock.now()
    }

    /// Sends once. What was asked twice counts once, so no failure leaves it unsure whether to look first.
    pub(super) async fn send(&self, request: Request) -> Result<Response, Failure> {
        self.attempt(request).await.map_err(|failure| {
            let error = DeliveryError { unsure: false, ..failure.error };
            Failure { error, ..failure }
        })
    }

    /// Sends once and reads the object that is answered.
    pub(super) async fn object(&self, request: Request) -> Result<Value, Failure> {
        let mut response = self.send(request).await?;
        let (text, whole) = http::read(&mut response, MAX_BODY, BODY_DEADLINE).await;
        serde_json::from_slice(&text).ok().filter(|_| whole).ok_or_else(|| Failure {
            status: None,
            error: DeliveryError::retry(format!(
                "the API server at {} answered with what is no object",
                self.options.server.origin().ascii_serialization()
            )),
        })
    }

    async fn attempt(&self, request: Request) -> Result<Response, Failure> {
        let local = |error| Failure { status: None, error };
        let endpoint = self.endpoint().await.map_err(local)?;
        let Request { method, path, query, content_type, body } = request;
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let endpoint = endpoint.at(&path, query.as_deref());
        let sent = endpoint.send(method, content_type, HeaderMap::new(), body).await;
        let mut response = sent.map_err(local)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (text, whole) = http::read(&mut response, MAX_REFUSAL, BODY_DEADLINE).await;
        let said = serde_json::from_slice(&text).map(|status: Status| status.message);
        let said = said.unwrap_or_else(|_| String::from_utf8_lossy(&text).into_owned());
        let error = endpoint.refusal(&response, &said, whole, MAX_DETAIL);
        Err(Failure { status: Some(response.status()), error })
    }

    /// The server, with the credentials of now.
    async fn endpoint(&self) -> Result<Endpoint, DeliveryError> {
        let token = self.file("token").await?;
        let token = SecretString::from(String::from_utf8_lossy(&token).trim());
        let secure = self.options.server.scheme() == "https";
        let authorities = if secure { Some(self.file("ca.crt").await?) } else { None };
        let ClusterOptions { server, deadline, clock, .. } = &self.options;
        let options = HttpOptions {
            auth: Some(Auth::Bearer(token)),
            deadline: *deadline,
            clock: clock.clone(),
            authorities,
            ..HttpOptions::default()
        };
        let endpoint = Endpoint::new(server, "", &options).map_err(|error| {
            let dir = self.options.account_dir.display();
            DeliveryError::retry(format!("the API server cannot be asked with {dir}: {error}"))
        })?;
        Ok(endpoint.hinting(hint))
    }

    async fn file(&self, name: &str) -> Result<Vec<u8>, DeliveryError> {
        let path = self.options.account_dir.join(name);
        read(&path).await.map_err(|error| {
            DeliveryError::retry(format!(
                "cannot read {}: {error}; is the service account's token mounted into this container?",
                path.display()
            ))
        })
    }
}

async fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    use tokio::io::AsyncReadExt as _;
    let mut bytes = Vec::new();
    tokio::fs::File::open(path).await?.take(MAX_FILE).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// How a refusal that stays is mended.
fn hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => {
            "is the token that of this cluster, and of a service account that is still there?"
        }
        StatusCode::FORBIDDEN => "bind the service account to the Role in docs/kubernetes.md",
        StatusCode::NOT_FOUND => {
            "is the Prometheus Operator's PrometheusRule installed, and is the namespace there?"
        }
        StatusCode::CONFLICT => {
            "what the other one wrote is left as it is; one of the two has to let go of it"
        }
        _ => "see the API server's log",
    }
}
