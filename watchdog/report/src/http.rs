//! HTTP to the receivers of reports: one POST, sent at most once, and what its failure means for the next attempt.
//!
//! Every request has a connection of its own. Reports are seldom: a connection that is kept would mostly be found closed,
//! and one that closes just then leaves it unsure whether a report was taken. Redirects are not followed, as the
//! credentials are for the configured address alone, and nothing is tried again here: that is the pipeline's.

mod answer;
mod options;
mod secrets;

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, Method, Response, StatusCode};
use url::Url;
use watchdog_core::units::WallTime;

use crate::message::{clean, truncated};
use crate::sink::DeliveryError;
use secrets::Secrets;

pub use options::{Auth, Clock, EndpointError, HttpOptions};

/// How long a delivery may take, from the name's look-up to the answer's head. Below the pipeline's deadline for an
/// attempt, so that it is told here, where the cause is known, what failed.
pub const POST_DEADLINE: Duration = Duration::from_secs(8);
/// How long the text of a refusal is waited for: what it means is known without it.
const REASON_DEADLINE: Duration = Duration::from_secs(1);
/// Bytes of a refusal that are read.
const MAX_REASON: usize = 4 << 10;
/// Foreign text in an error is cut to this.
const MAX_DETAIL: usize = 300;

/// An address that reports are posted to.
pub struct Endpoint {
    client: Client,
    url: Url,
    /// `scheme://host[:port]`: user, path and query may be secret.
    shown: String,
    headers: HeaderMap,
    secrets: Secrets,
    deadline: Duration,
    clock: Clock,
    repeatable: bool,
    hint: fn(StatusCode) -> &'static str,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("shown", &self.shown).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// The address `path` below `url`, or `url` itself where `path` is empty. User and password in it become a header.
    ///
    /// # Errors
    /// When the address, the credentials or a header cannot be used, or TLS cannot be set up.
    pub fn new(url: &Url, path: &str, options: &HttpOptions) -> Result<Self, EndpointError> {
        options::check(url)?;
        let shown = url.origin().ascii_serialization();
        let auth = options::auth(url, options)?;
        let headers = options::headers(auth.as_ref(), &options.headers)?;
        let secrets = secrets::all(url, auth.as_ref(), &options.headers);
        let authorities = options.authorities.as_deref();
        let client = client(url.scheme() == "https", authorities, options.deadline)
            .map_err(|error| EndpointError::Tls { shown: shown.clone(), reason: cause(&error) })?;
        let url = options::target(url, path);
        let (deadline, clock) = (options.deadline, options.clock.clone());
        Ok(Self {
            client,
            url,
            shown,
            headers,
            secrets,
            deadline,
            clock,
            repeatable: false,
            hint: answer::hint,
        })
    }

    /// What the receiver is given twice counts once: no failure leaves it unsure whether to look before trying again.
    #[must_use]
    pub fn repeatable(self) -> Self {
        Self { repeatable: true, ..self }
    }

    /// Keeps another secret out of what is said of failures: one that the body is made with.
    #[must_use]
    pub fn hiding(mut self, secret: &str) -> Self {
        self.secrets.add(secret);
        self
    }

    /// Says with other words how a refusal that stays is mended.
    pub(crate) fn hinting(self, hint: fn(StatusCode) -> &'static str) -> Self {
        Self { hint, ..self }
    }

    /// Another address of the same receiver; path and query are no secrets.
    pub(crate) fn at(mut self, path: &str, query: Option<&str>) -> Self {
        self.url.set_path(path);
        self.url.set_query(query);
        self
    }

    /// The address without what may be secret in it.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The time by the options' clock.
    pub fn now(&self) -> WallTime {
        self.clock.now()
    }

    /// Posts once. Any status from 200 to 299 is a success, whatever the body.
    ///
    /// # Errors
    /// After the deadline at the latest, with what it means for another attempt.
    pub async fn post(
        &self,
        content_type: &'static str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<(), DeliveryError> {
        let result = self.attempt(content_type, headers, body).await;
        result.map_err(|error| DeliveryError { unsure: error.unsure && !self.repeatable, ..error })
    }

    async fn attempt(
        &self,
        content_type: &'static str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<(), DeliveryError> {
        let mut response = self.send(Method::POST, content_type, headers, body).await?;
        if response.status().is_success() {
            return Ok(());
        }
        let (text, whole) = read(&mut response, MAX_REASON, REASON_DEADLINE).await;
        Err(self.refusal(&response, &String::from_utf8_lossy(&text), whole, MAX_DETAIL))
    }

    /// Sends once; whatever is answered within the deadline is an answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        content_type: &'static str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Response, DeliveryError> {
        let request = self
            .client
            .request(method, self.url.clone())
            .headers(self.headers.clone())
            .headers(headers)
            .header(CONTENT_TYPE, HeaderValue::from_static(content_type))
            .body(body);
        match tokio::time::timeout(self.deadline, request.send()).await {
            Ok(sent) => sent.map_err(|error| self.broken(&error)),
            Err(_) => Err(DeliveryError::unsure(format!(
                "{} did not answer within {} ms",
                self.shown,
                self.deadline.as_millis()
            ))),
        }
    }

    /// What an answer that is no success means. `said` is its text, or what matters of it; `whole` unless it was cut off.
    /// Of it at most `most` characters are repeated.
    pub(crate) fn refusal(
        &self,
        response: &Response,
        said: &str,
        whole: bool,
        most: usize,
    ) -> DeliveryError {
        let (status, headers) = (response.status(), response.headers());
        if status.is_redirection() {
            let to = answer::leads_to(&self.url, headers);
            let to = to.map(|host| self.secrets.hidden(&host, false));
            return answer::redirected(&self.shown, status, to.as_deref());
        }
        let text = clean(said).split_whitespace().collect::<Vec<_>>().join(" ");
        let reason = truncated(&self.secrets.hidden(&text, !whole), most);
        let pause = answer::pause(headers, self.clock.now());
        answer::meaning(&self.shown, status, pause, &reason, self.hint)
    }

    /// No answer came. Whether the report arrived is only sure as long as there was no connection.
    fn broken(&self, error: &reqwest::Error) -> DeliveryError {
        let shown = &self.shown;
        let why = truncated(&self.secrets.hidden(&clean(&cause(error)), false), MAX_DETAIL);
        if error.is_builder() {
            return DeliveryError::permanent(format!("no request to {shown} can be made: {why}"));
        }
        if !error.is_connect() {
            let what = format!("the connection to {shown} ended without an answer: {why}");
            return DeliveryError::unsure(what);
        }
        DeliveryError::retry(if error.is_dns() {
            format!("the host of {shown} is not found: {why}")
        } else if is_tls(error) {
            let hint = "does it speak TLS, and is its certificate's authority among the system's or in SSL_CERT_FILE?";
            format!("no TLS with {shown}: {why}; {hint}")
        } else {
            format!("{shown} cannot be reached: {why}")
        })
    }
}

/// The beginning of an answer's text, and whether it is all of it. A broken body does not change what was answered.
pub(crate) async fn read(
    response: &mut Response,
    most: usize,
    within: Duration,
) -> (Vec<u8>, bool) {
    let mut text = Vec::new();
    let end = tokio::time::Instant::now() + within;
    while text.len() < most {
        match tokio::time::timeout_at(end, response.chunk()).await {
            Ok(Ok(Some(part))) => {
                text.extend_from_slice(&part[..part.len().min(most - text.len())]);
            }
            Ok(Ok(None)) => return (text, true),
            Ok(Err(_)) | Err(_) => break,
        }
    }
    (text, false)
}

/// A client for one address. Plain HTTP trusts no certificate: reading the system's costs memory, and fails in an image
/// that has none.
fn client(secure: bool, authorities: Option<&[u8]>, deadline: Duration) -> reqwest::Result<Client> {
    // reqwest wants the program to have chosen its cryptography, and panics otherwise. The one that loses this race chose
    // the same: ring is the only one linked.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let builder = Client::builder()
        .user_agent(concat!("oomen/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .http1_only()
        .pool_max_idle_per_host(0)
        // What takes longer has not sent anything yet; the rest of the deadline is for the answer.
        .connect_timeout(deadline / 2);
    match authorities {
        _ if !secure => builder.tls_certs_only([]),
        Some(pem) => builder.tls_certs_only(Certificate::from_pem_bundle(pem)?),
        None => builder,
    }
    .build()
}

/// The innermost reason, without the address.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn StdError = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    // reqwest's own text would name the whole address.
    if innermost.is::<reqwest::Error>() { "unknown".into() } else { innermost.to_string() }
}

fn is_tls(error: &reqwest::Error) -> bool {
    let mut next = error.source();
    while let Some(source) = next {
        if source.is::<rustls::Error>() {
            return true;
        }
        // An I/O error is silent about what it wraps when it is asked for its source.
        let wrapped = source.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => source.source(),
        };
    }
    false
}
