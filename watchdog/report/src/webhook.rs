//! The webhook sink: each piece of news as one signed POST of JSON, for whatever no other sink is made for.
//!
//! What is sent is described in `docs/webhook.md` and `docs/webhook.schema.json`. A delivery whose answer was lost is
//! posted again under the same key, `X-Oomen-Delivery`: a receiver that must not act twice keeps the keys it has seen.

pub(crate) mod payload;

use std::fmt;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::Url;
use watchdog_core::incident::Incident;
use watchdog_core::units::WallTime;

use crate::http::{Endpoint, EndpointError, HttpOptions};
use crate::message::unix_seconds;
use crate::sink::{Attempt, Delivery, DeliveryError, Progress, Sink};
use payload::{Told, VERSION, remembered, untold};

/// `sha256=` and the HMAC of the timestamp, a dot and the body.
pub const SIGNATURE: HeaderName = HeaderName::from_static("x-oomen-signature");
/// Seconds since the Unix epoch when the attempt was made.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("x-oomen-timestamp");
/// The incident and its revision: the same for every attempt at one piece of news.
pub const DELIVERY: HeaderName = HeaderName::from_static("x-oomen-delivery");

/// A shorter secret can be guessed from a single delivery.
const SHORTEST_SECRET: usize = 16;

/// Where to post.
#[derive(Clone)]
pub struct WebhookOptions {
    /// The receiver; all of it but the host may be secret.
    pub url: Url,
    /// What deliveries are signed with; without it they are not signed.
    pub secret: Option<SecretString>,
    /// Where people reach the watchdog's page.
    pub page: Option<Url>,
    /// Credentials, headers, deadline.
    pub http: HttpOptions,
}

/// Options that nothing can be posted with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookConfigError {
    /// The address or its credentials cannot be used.
    #[error("webhook: {0}")]
    Endpoint(#[from] EndpointError),
    /// The secret is too short.
    #[error(
        "webhook: the signing secret has fewer than {SHORTEST_SECRET} characters: take what `openssl rand -hex 32` prints"
    )]
    Secret,
}

/// Posts each piece of news to one address.
pub struct WebhookSink {
    endpoint: Endpoint,
    key: Option<hmac::Key>,
    page: Option<Url>,
}

impl fmt::Debug for WebhookSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSink").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl WebhookSink {
    /// A sink that posts to one address.
    ///
    /// # Errors
    /// When the address, its credentials or the secret cannot be used.
    pub fn new(options: WebhookOptions) -> Result<Self, WebhookConfigError> {
        let endpoint = Endpoint::new(&options.url, "", &options.http)?;
        let Some(secret) = options.secret else {
            return Ok(Self { endpoint, key: None, page: options.page });
        };
        let secret = secret.expose_secret();
        if secret.len() < SHORTEST_SECRET {
            return Err(WebhookConfigError::Secret);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Ok(Self { endpoint: endpoint.hiding(secret), key: Some(key), page: options.page })
    }

    async fn tell(&self, incident: &Incident) -> Result<(), DeliveryError> {
        let delivery = delivery_key(incident);
        let told = Told::new(incident, self.page.as_ref(), true);
        let body = json!({ "version": VERSION, "delivery": delivery, "incident": told });
        let body = body.to_string().into_bytes();
        let headers = self.headers(&delivery, &body, self.endpoint.now())?;
        self.endpoint.post("application/json", headers, body).await
    }

    fn headers(
        &self,
        delivery: &str,
        body: &[u8],
        now: WallTime,
    ) -> Result<HeaderMap, DeliveryError> {
        let time = unix_seconds(now).unwrap_or_default().to_string();
        let mut values = vec![(DELIVERY, delivery.to_owned()), (TIMESTAMP, time.clone())];
        if let Some(key) = &self.key {
            values.push((SIGNATURE, signature(key, &time, body)));
        }
        let header = |(name, text): (HeaderName, String)| {
            let value = HeaderValue::try_from(text);
            value.map(|value| (name, value)).map_err(|error| {
                DeliveryError::permanent(format!("a header of the webhook cannot be sent: {error}"))
            })
        };
        values.into_iter().map(header).collect()
    }
}

impl Sink for WebhookSink {
    fn name(&self) -> &'static str {
        "webhook"
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

/// Incident and revision, in characters that a header may carry whatever the target is called.
fn delivery_key(incident: &Incident) -> String {
    let id: String = url::form_urlencoded::byte_serialize(incident.id.as_bytes()).collect();
    format!("{id}/{}", incident.revision)
}

fn signature(key: &hmac::Key, time: &str, body: &[u8]) -> String {
    let mut signing = hmac::Context::with_key(key);
    signing.update(time.as_bytes());
    signing.update(b".");
    signing.update(body);
    let hex: String = signing.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_over_the_timestamp_a_dot_and_the_body() {
        // Python: hmac.new(b"0123456789abcdef", b'1795269610.{"a":1}', "sha256").hexdigest()
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"0123456789abcdef");
        let expected = "2e189e55ed39c66be8b7aa87d6857d0a2de237cfd1b85f7b8651bdc6961f82c0";
        assert_eq!(signature(&key, "1795269610", br#"{"a":1}"#), format!("sha256={expected}"));
    }

    #[test]
    fn the_key_of_a_delivery_is_a_header_whatever_the_target_is_called() {
        let mut incident: Incident =
            serde_json::from_str(include_str!("../tests/report/confirmed.json")).expect("sample");
        incident.revision = 3;
        assert_eq!(delivery_key(&incident), "recommendations-4242-1795269549/3");
        incident.id = "shöp\r\nX: y-1-2".into();
        assert_eq!(delivery_key(&incident), "sh%C3%B6p%0D%0AX%3A+y-1-2/3");
    }
}
