//! Asks a process for its allocator's statistics: `GET /debug/allocator` on its admin port.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use url::Url;
use watchdog_core::sample::Allocator;
use watchdog_core::units::Bytes;

/// The process answers from memory, over loopback. One that takes longer is stuck, and the tick goes on.
const DEADLINE: Duration = Duration::from_secs(1);
/// A right answer has some 150 bytes.
const MAX_BODY: usize = 64 * 1024;

/// Why there are no statistics. The address is shown without what may be secret in it.
#[derive(Debug, thiserror::Error)]
pub enum AllocatorError {
    /// The address cannot be asked.
    #[error(
        "{url} is no address to ask for allocator statistics: write http://HOST:PORT of the process's admin port"
    )]
    BadUrl {
        /// The address as given.
        url: String,
    },
    /// The client could not be set up.
    #[error("cannot set up the client for {url}: {reason}")]
    Client {
        /// The address.
        url: String,
        /// What was refused.
        reason: String,
    },
    /// The whole answer did not come in time.
    #[error("{url} did not answer within {} ms", .after.as_millis())]
    Timeout {
        /// The address.
        url: String,
        /// The deadline.
        after: Duration,
    },
    /// Nobody listens there.
    #[error("{url} refused the connection: is the process's admin port open, and is it this one?")]
    Refused {
        /// The address.
        url: String,
    },
    /// The answer is not a success. A redirect is not followed.
    #[error("{url} answered {status}: does the process serve allocator statistics there?")]
    Status {
        /// The address.
        url: String,
        /// What was answered.
        status: StatusCode,
    },
    /// The answer is larger than any right one; the rest was not read.
    #[error("{url} answered with more than {MAX_BODY} bytes")]
    TooLarge {
        /// The address.
        url: String,
    },
    /// The answer is not the JSON object of the allocator's bytes.
    #[error("{url} did not answer with the allocator's JSON: {reason}")]
    NotJson {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The connection failed in another way.
    #[error("cannot read {url}: {reason}")]
    Transport {
        /// The address.
        url: String,
        /// What went wrong.
        reason: String,
    },
}

/// Asks one process, one request at a time.
#[derive(Clone)]
pub struct AllocatorClient {
    client: Client,
    endpoint: Url,
    /// The endpoint without user, password and query.
    shown: String,
    deadline: Duration,
}

impl fmt::Debug for AllocatorClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AllocatorClient")
            .field("endpoint", &self.shown)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl AllocatorClient {
    /// A client for `{base}/debug/allocator`, with a deadline of one second for connection and answer.
    pub fn new(mut base: Url) -> Result<Self, AllocatorError> {
        let shown = shown(&base);
        if base.scheme() != "http" {
            return Err(AllocatorError::BadUrl { url: shown });
        }
        match base.path_segments_mut() {
            Ok(mut path) => drop(path.pop_if_empty().extend(["debug", "allocator"])),
            Err(()) => return Err(AllocatorError::BadUrl { url: shown }),
        }
        let shown = self::shown(&base);
        let client =
            client().map_err(|reason| AllocatorError::Client { url: shown.clone(), reason })?;
        Ok(Self { client, endpoint: base, shown, deadline: DEADLINE })
    }

    /// The same client with another deadline.
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// One reading.
    pub async fn fetch(&self) -> Result<Allocator, AllocatorError> {
        match tokio::time::timeout(self.deadline, self.ask()).await {
            Ok(answer) => answer,
            Err(_) => {
                Err(AllocatorError::Timeout { url: self.shown.clone(), after: self.deadline })
            }
        }
    }

    async fn ask(&self) -> Result<Allocator, AllocatorError> {
        let request = self.client.get(self.endpoint.clone());
        let response = request.send().await.map_err(|error| self.transport(error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(AllocatorError::Status { url: self.shown.clone(), status });
        }
        let body = self.body(response).await?;
        match serde_json::from_slice::<Answer>(&body) {
            Ok(answer) => Ok(answer.into()),
            Err(error) => {
                // The text may quote the answer.
                let reason = error.to_string().chars().take(200).collect();
                Err(AllocatorError::NotJson { url: self.shown.clone(), reason })
            }
        }
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, AllocatorError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.transport(error))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(AllocatorError::TooLarge { url: self.shown.clone() });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn transport(&self, error: reqwest::Error) -> AllocatorError {
        let url = self.shown.clone();
        let error = error.without_url();
        let mut cause = error.source();
        let mut reason = error.to_string();
        while let Some(inner) = cause {
            let io = inner.downcast_ref::<io::Error>();
            if io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused) {
                return AllocatorError::Refused { url };
            }
            reason = inner.to_string();
            cause = inner.source();
        }
        AllocatorError::Transport { url, reason }
    }
}

/// Plain HTTP only, so it trusts no certificate: loading the system's would cost megabytes.
fn client() -> Result<Client, String> {
    let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(1)
        .build()
        .map_err(|error| error.without_url().to_string())
}

fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Neither can fail for an address with a host; without one there is nothing to hide.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// The answer of the probe, all sizes in bytes.
#[derive(Deserialize)]
struct Answer {
    allocated: u64,
    active: u64,
    resident: u64,
    retained: u64,
    mapped: u64,
    metadata: u64,
    profiling: bool,
}

impl From<Answer> for Allocator {
    fn from(answer: Answer) -> Self {
        Self {
            allocated: Bytes(answer.allocated),
            active: Bytes(answer.active),
            resident: Bytes(answer.resident),
            retained: Bytes(answer.retained),
            mapped: Bytes(answer.mapped),
            metadata: Bytes(answer.metadata),
            profiling: answer.profiling,
        }
    }
}
