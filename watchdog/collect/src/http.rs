//! One address of the watched process, asked with a plain GET within bounds of time and size.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use url::Url;

/// Why there is no answer. The address is shown without what may be secret in it.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be asked.
    #[error("{url} is no address to ask: write it as http://HOST:PORT, without TLS")]
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
    #[error("{url} refused the connection: is the process's port open, and is it this one?")]
    Refused {
        /// The address.
        url: String,
    },
    /// The answer is not a success. A redirect is not followed.
    #[error("{url} answered {status}: is it the right address?")]
    Status {
        /// The address.
        url: String,
        /// What was answered.
        status: StatusCode,
    },
    /// The answer is larger than any right one; the rest was not read.
    #[error("{url} answered with more than {max} bytes")]
    TooLarge {
        /// The address.
        url: String,
        /// The bound in bytes.
        max: usize,
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

/// An address that is asked, one request at a time.
#[derive(Clone)]
pub(crate) struct Endpoint {
    client: Client,
    url: Url,
    /// The address without user, password and query.
    shown: String,
    accept: &'static str,
    deadline: Duration,
    max_body: usize,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("url", &self.shown)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// The address `url`, whose answer is of the type `accept`, has at most `max_body` bytes and comes whole within
    /// `deadline`.
    pub(crate) fn new(
        url: Url,
        accept: &'static str,
        deadline: Duration,
        max_body: usize,
    ) -> Result<Self, HttpError> {
        let shown = shown(&url);
        if url.scheme() != "http" || url.cannot_be_a_base() {
            return Err(HttpError::BadUrl { url: shown });
        }
        let client = client().map_err(|reason| HttpError::Client { url: shown.clone(), reason })?;
        Ok(Self { client, url, shown, accept, deadline, max_body })
    }

    /// The same with another deadline.
    pub(crate) fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The address without what may be secret in it.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Asks once and hands the answer to `take`, part by part as it comes.
    pub(crate) async fn read(&self, take: impl FnMut(&[u8])) -> Result<(), HttpError> {
        match tokio::time::timeout(self.deadline, self.ask(take)).await {
            Ok(answer) => answer,
            Err(_) => Err(HttpError::Timeout { url: self.shown.clone(), after: self.deadline }),
        }
    }

    async fn ask(&self, mut take: impl FnMut(&[u8])) -> Result<(), HttpError> {
        let request = self.client.get(self.url.clone()).header("accept", self.accept);
        let mut response = request.send().await.map_err(|error| self.failed(error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(HttpError::Status { url: self.shown.clone(), status });
        }
        let mut length = 0;
        while let Some(part) = response.chunk().await.map_err(|error| self.failed(error))? {
            length += part.len();
            if length > self.max_body {
                return Err(HttpError::TooLarge { url: self.shown.clone(), max: self.max_body });
            }
            take(&part);
        }
        Ok(())
    }

    fn failed(&self, error: reqwest::Error) -> HttpError {
        let url = self.shown.clone();
        let error = error.without_url();
        let mut cause = error.source();
        let mut reason = error.to_string();
        while let Some(inner) = cause {
            let io = inner.downcast_ref::<io::Error>();
            if io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused) {
                return HttpError::Refused { url };
            }
            reason = inner.to_string();
            cause = inner.source();
        }
        HttpError::Transport { url, reason }
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
