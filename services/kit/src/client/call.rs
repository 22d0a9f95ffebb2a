//! One call: what goes with it, how often it is tried, and what is made of the answer.

use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument as _;
use uuid::Uuid;

use super::{CallError, Client};
use crate::error::ErrorBody;
use crate::identity::IDENTITY;
use crate::request_id::{REQUEST_ID, RequestId};
use crate::trace;

/// How long a call may take, all attempts together; below the deadline of a request, so that there is time to answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// Attempts at most.
const ATTEMPTS: u32 = 3;

/// The pause before the second attempt; before the third it is twice as long.
const PAUSE: Duration = Duration::from_millis(50);

/// Bytes of an answer that are read at most.
const MAX_ANSWER: usize = 4 << 20;

/// What a service answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// With which status.
    pub status: StatusCode,
    /// With which headers.
    pub headers: HeaderMap,
    /// With what.
    pub body: Bytes,
}

/// A call that is being put together.
#[derive(Debug)]
#[must_use = "a call is made when it is sent"]
pub struct Call {
    client: Client,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Option<Result<Bytes, String>>,
    customer: Option<Uuid>,
    session: Option<Uuid>,
    repeatable: bool,
    deadline: Duration,
}

impl Call {
    pub(super) fn new(client: Client, method: Method, path: &str) -> Self {
        Self {
            client,
            repeatable: method.is_idempotent(),
            method,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: None,
            customer: None,
            session: None,
            deadline: DEADLINE,
        }
    }

    /// On behalf of this customer.
    pub fn for_customer(mut self, customer: Uuid) -> Self {
        self.customer = Some(customer);
        self
    }

    /// Within this visit to the shop.
    pub fn in_session(mut self, session: Uuid) -> Self {
        self.session = Some(session);
        self
    }

    /// With this body as JSON.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        let json = HeaderValue::from_static("application/json");
        self.headers.insert(header::CONTENT_TYPE, json);
        let bytes = serde_json::to_vec(body).map(Bytes::from);
        self.body = Some(bytes.map_err(|error| error.to_string()));
        self
    }

    /// With this body as it is.
    pub fn body(mut self, content_type: HeaderValue, body: Bytes) -> Self {
        self.headers.insert(header::CONTENT_TYPE, content_type);
        self.body = Some(Ok(body));
        self
    }

    /// With this header. Identity, trace and request id are set by the call itself.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Says that it does no harm to make this call twice, for example because it carries an idempotency key.
    pub fn idempotent(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// How long it may take, all attempts together; 5 s unless this says otherwise.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Makes the call and reads the answer as JSON.
    ///
    /// # Errors
    /// [`CallError`]; also a status from 300 on.
    pub async fn send<T: DeserializeOwned>(self) -> Result<T, CallError> {
        let peer = self.client.peer();
        let reply = self.ok().await?;
        serde_json::from_slice(&reply.body)
            .map_err(|error| CallError::Garbled { peer, reason: error.to_string() })
    }

    /// Makes the call; any status below 300 is fine.
    ///
    /// # Errors
    /// [`CallError`]; also a status from 300 on.
    pub async fn ok(self) -> Result<Reply, CallError> {
        let peer = self.client.peer();
        let reply = self.reply().await?;
        if reply.status.is_success() {
            return Ok(reply);
        }
        if !reply.status.is_client_error() {
            return Err(CallError::Failed { peer, status: reply.status });
        }
        let (code, message) = match serde_json::from_slice::<ErrorBody>(&reply.body) {
            Ok(ErrorBody { error }) => (error.code, error.message),
            Err(_) => ("refused".to_owned(), format!("it answered {}", reply.status)),
        };
        Err(CallError::Refused { peer, status: reply.status, code, message })
    }

    /// Makes the call and gives the answer as it is, refusals as well: for whoever passes it on.
    ///
    /// # Errors
    /// [`CallError`], but never for a refusal.
    pub async fn reply(self) -> Result<Reply, CallError> {
        let peer = self.client.peer().name();
        let span = tracing::info_span!(
            "call",
            otel.name = %format_args!("{} {peer}", self.method),
            otel.kind = "client",
            peer.service = peer,
            http.request.method = %self.method,
            http.response.status_code = tracing::field::Empty,
        );
        let reply = self.tried().instrument(span.clone()).await?;
        span.record("http.response.status_code", reply.status.as_u16());
        Ok(reply)
    }

    async fn tried(self) -> Result<Reply, CallError> {
        let end = Instant::now() + self.deadline;
        let mut pause = PAUSE;
        for attempt in 1.. {
            let result = self.guarded(end).await;
            let error = match result {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let wait = pause.mul_f64(0.5 + 0.5 * chance());
            let hopeless = !self.repeatable || !error.passes() || attempt >= ATTEMPTS;
            if hopeless || Instant::now() + wait >= end {
                return Err(error);
            }
            sleep(wait).await;
            pause *= 2;
        }
        Err(CallError::Late { peer: self.client.peer() })
    }

    /// One attempt, if the breaker allows it.
    async fn guarded(&self, end: Instant) -> Result<Reply, CallError> {
        let parts = &self.client.0;
        let peer = parts.peer;
        let result = if parts.breaker.allows() {
            let attempt = timeout_at(end, self.attempt()).await;
            let result = attempt.unwrap_or(Err(CallError::Late { peer }));
            match &result {
                Err(error) if error.counts() => parts.breaker.failed(),
                _ => parts.breaker.succeeded(),
            }
            result
        } else {
            Err(CallError::Broken { peer })
        };
        let outcome = match &result {
            Ok(reply) if reply.status.is_client_error() => "refused",
            Ok(_) => "ok",
            Err(error) => error.outcome(),
        };
        parts.attempts.with_label_values(&[peer.name(), outcome]).inc();
        result
    }

    async fn attempt(&self) -> Result<Reply, CallError> {
        let parts = &self.client.0;
        let peer = parts.peer;
        let garbled = |reason: String| CallError::Garbled { peer, reason };
        let url = parts.base.join(&self.path).map_err(|error| garbled(error.to_string()))?;
        let mut request = parts.http.request(self.method.clone(), url).headers(self.all_headers()?);
        if let Some(body) = &self.body {
            request = request.body(body.clone().map_err(garbled)?);
        }
        let mut response = request.send().await.map_err(|error| unreachable(peer, error))?;
        let status = response.status();
        if status.is_server_error() {
            return Err(CallError::Failed { peer, status });
        }
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(peer, error))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(garbled(format!("it has more than {MAX_ANSWER} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, headers, body: body.into() })
    }

    fn all_headers(&self) -> Result<HeaderMap, CallError> {
        let parts = &self.client.0;
        let mut headers = self.headers.clone();
        let identity =
            parts.keys.sign_visit(parts.caller, self.customer, self.session, SystemTime::now());
        let unsigned = |error: serde_json::Error| CallError::Garbled {
            peer: parts.peer,
            reason: error.to_string(),
        };
        headers.insert(IDENTITY, identity.map_err(unsigned)?);
        let id = RequestId::current().unwrap_or_else(RequestId::new);
        headers.extend(id.header().map(|id| (REQUEST_ID, id)));
        trace::inject(&mut headers);
        Ok(headers)
    }
}

/// reqwest's own words end at "error sending request"; the cause is at the end of the chain.
fn unreachable(peer: crate::peers::Peer, error: reqwest::Error) -> CallError {
    if error.is_timeout() {
        return CallError::Late { peer };
    }
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    CallError::Unreachable { peer, reason: cause.to_string() }
}

/// Between 0 and 1, so that many callers do not come back at once.
fn chance() -> f64 {
    f64::from(Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}
