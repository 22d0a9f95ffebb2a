//! The way of a batch to the collector: OTLP over HTTP with our own client.
//!
//! The SDK's batch processors block a thread of theirs on each batch; the request itself is a task of the watchdog's
//! runtime. The retries are here and not the SDK's, which sleep on that thread: these end early at shutdown, with one last
//! try. The headers are here as well, so that nothing else can print them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use reqwest::{Client, StatusCode};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::signal::Signal;

/// Bytes of an answer read at most; a good one has none or a sentence.
const MAX_ANSWER: usize = 64 << 10;
/// The pause after the first failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How long a batch is tried: a collector that is restarted or rolled out is back by then. Meanwhile the queue fills.
const PATIENCE: Duration = Duration::from_secs(120);
const AGENT: &str = concat!("oomen/", env!("CARGO_PKG_VERSION"));
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// What both signals share: a connection pool, the headers, and the end.
pub(super) struct Transport {
    http: Client,
    headers: HeaderMap,
    /// Of one attempt.
    timeout: Duration,
    runtime: Handle,
    /// No more pauses: one last try.
    closing: CancellationToken,
    /// No more tries.
    closed: CancellationToken,
}

impl Transport {
    /// Over this client, with these secret headers, on this runtime.
    pub(super) fn new(
        http: Client,
        mut headers: HeaderMap,
        timeout: Duration,
        runtime: Handle,
    ) -> Self {
        headers.insert(CONTENT_TYPE, PROTOBUF);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let closed = CancellationToken::new();
        Self { http, headers, timeout, runtime, closing: closed.child_token(), closed }
    }

    /// From now on a batch that fails is tried once more at most, and at once.
    pub(super) fn closing(&self) {
        self.closing.cancel();
    }

    /// From now on every batch fails, also the one under way.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }
}

/// What the SDK's exporter of one signal sends its batches through.
#[derive(Clone)]
pub(super) struct SignalClient {
    transport: Arc<Transport>,
    signal: Arc<Signal>,
}

impl fmt::Debug for SignalClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalClient").field("signal", &self.signal).finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl HttpClient for SignalClient {
    /// Of the SDK's request only the address and the body are used: it adds headers that the environment names.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.clone();
        let (parts, body) = request.into_parts();
        let task = async move { client.deliver(&parts.uri.to_string(), body).await };
        self.transport.runtime.spawn(task).await??;
        Ok(Response::new(Bytes::new()))
    }
}

impl SignalClient {
    /// The way of that signal.
    pub(super) fn new(transport: Arc<Transport>, signal: Arc<Signal>) -> Self {
        Self { transport, signal }
    }

    async fn deliver(&self, url: &str, body: Bytes) -> Result<(), Failure> {
        let Transport { closing, closed, .. } = self.transport.as_ref();
        let end = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            let last = closing.is_cancelled();
            let attempt = closed.run_until_cancelled(self.attempt(url, body.clone()));
            let failure = match attempt.await {
                None => return Err(Failure::Closed),
                Some(Ok(rejected)) => {
                    self.took(rejected);
                    return Ok(());
                }
                Some(Err(failure)) => failure,
            };
            self.signal.failed(&failure);
            let wait = failure.asked().unwrap_or_else(|| jittered(pause));
            if last || !failure.passes() || Instant::now() + wait > end {
                return Err(failure);
            }
            closing.run_until_cancelled(tokio::time::sleep(wait)).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    fn took(&self, rejected: u64) {
        match rejected {
            0 => self.signal.took(),
            _ => self.signal.rejected(rejected),
        }
    }

    /// One request; how many items of it the collector rejected.
    async fn attempt(&self, url: &str, body: Bytes) -> Result<u64, Failure> {
        let Transport { http, headers, timeout, .. } = self.transport.as_ref();
        let request = http.post(url).headers(headers.clone()).timeout(*timeout).body(body);
        let mut response = request.send().await.map_err(Failure::unreachable)?;
        let status = response.status();
        if !status.is_success() {
            let after = response.headers().get(RETRY_AFTER).and_then(seconds);
            return Err(Failure::Refused { status, after });
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Failure::unreachable)? {
            if answer.len() + chunk.len() > MAX_ANSWER {
                return Err(Failure::NoOtlp);
            }
            answer.extend_from_slice(&chunk);
        }
        // The answer to logs has the same shape under another name.
        let answer = ExportTraceServiceResponse::decode(answer.as_slice());
        let partial = answer.map_err(|_| Failure::NoOtlp)?.partial_success;
        Ok(partial.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0)))
    }
}

/// Why an attempt failed. Holds nothing of what was sent and nothing of the answer's text: it may repeat the headers.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no answer from the collector: {0}")]
    Unreachable(String),
    #[error("the collector answered {status}{}", hint(*.status))]
    Refused { status: StatusCode, after: Option<Duration> },
    #[error("what answers there does not speak OTLP over HTTP: the port is 4318 in most places")]
    NoOtlp,
    #[error("the watchdog ends")]
    Closed,
}

impl Failure {
    /// reqwest's own words end at "error sending request"; the cause is at the end of the chain.
    fn unreachable(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Unreachable("it took too long".into());
        }
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Self::Unreachable(cause.to_string())
    }

    /// Whether OTLP's specification wants it tried again.
    fn passes(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { status, .. } => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::NoOtlp | Self::Closed => false,
        }
    }

    fn asked(&self) -> Option<Duration> {
        match self {
            Self::Refused { after, .. } => *after,
            _ => None,
        }
    }
}

fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 => ": check the headers of [otlp]",
        404 | 405 => ": check the endpoint of [otlp], to which /v1/traces and /v1/logs are added",
        _ => "",
    }
}

/// `Retry-After` in seconds; its other form, a date, is as good as none.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Between half and all of it, so that many watchdogs do not come back at once.
fn jittered(pause: Duration) -> Duration {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
    pause.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0))
}
