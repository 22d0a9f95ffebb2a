//! Pushes profiles to a Pyroscope-compatible server, so that Grafana shows them over time.
//!
//! The request is `push.v1.PusherService/Push` of Pyroscope's API (`push.proto`): a `PushRequest` holds series, a series
//! its labels and samples, a sample a whole pprof profile. Redirects are not followed: the token is for this server.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, StatusCode};
use url::Url;

/// A server that needs longer has no use for a profile a few times a minute.
const DEADLINE: Duration = Duration::from_secs(10);
/// How much of a refusal's text is kept.
const MAX_REASON: usize = 512;
const BEARER: &str = "Bearer ";
/// Field numbers of `push.proto` and `types.proto`.
const SERIES: u8 = 1;
const LABELS: u8 = 1;
const SAMPLES: u8 = 2;
const NAME: u8 = 1;
const VALUE: u8 = 2;
const RAW_PROFILE: u8 = 1;

/// Why a profile did not arrive. Says nothing of the token.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The address cannot be used.
    #[error("`{0}` is no address of a Pyroscope server: give one such as http://127.0.0.1:4040")]
    Address(String),
    /// The token or tenant cannot be sent in a header.
    #[error("the token or tenant for Pyroscope has characters that a header cannot carry")]
    Header,
    /// No client.
    #[error("cannot set up HTTP for Pyroscope: {0}")]
    Client(String),
    /// No answer.
    #[error("Pyroscope at {url} cannot be reached: {cause}")]
    Unreachable {
        /// The address, without what may be secret in it.
        url: String,
        /// What is wrong.
        cause: String,
    },
    /// Refused.
    #[error("Pyroscope at {url} answered {status}: {reason}")]
    Refused {
        /// The address, without what may be secret in it.
        url: String,
        /// The answer.
        status: StatusCode,
        /// The beginning of its text.
        reason: String,
    },
}

/// A server, and how to speak to it.
pub struct Pusher {
    url: Url,
    shown: String,
    http: Client,
    token: Option<HeaderValue>,
    tenant: Option<HeaderValue>,
}

impl Pusher {
    /// A client for the server at `url`, with a bearer token and a tenant (`X-Scope-OrgID`) where it wants them.
    ///
    /// # Errors
    /// When the address, the token or the tenant cannot be used.
    pub fn new(url: &Url, token: Option<&str>, tenant: Option<&str>) -> Result<Self, PushError> {
        let shown = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        let mut push = url.clone();
        let path = format!("{}/push.v1.PusherService/Push", url.path().trim_end_matches('/'));
        push.set_path(&path);
        if !matches!(url.scheme(), "http" | "https") {
            return Err(PushError::Address(shown));
        }
        let bearer = token.map(|token| secret(&format!("{BEARER}{token}"))).transpose()?;
        let tenant = tenant.map(secret).transpose()?;
        let http = crate::capture::http_client(&push)
            .map_err(|error| PushError::Client(error.without_url().to_string()))?;
        Ok(Self { url: push, shown, http, token: bearer, tenant })
    }

    /// Pushes one gzip-compressed pprof profile under these labels, `service_name` among them.
    ///
    /// # Errors
    /// [`PushError`]; after ten seconds at the latest.
    pub async fn push(&self, labels: &[(&str, &str)], pprof: &[u8]) -> Result<(), PushError> {
        let mut request = self
            .http
            .post(self.url.clone())
            .timeout(DEADLINE)
            .header(CONTENT_TYPE, "application/proto")
            .body(message(labels, pprof));
        for (name, value) in
            [(AUTHORIZATION.as_str(), &self.token), ("x-scope-orgid", &self.tenant)]
        {
            if let Some(value) = value {
                request = request.header(name, value.clone());
            }
        }
        let mut response = request.send().await.map_err(|error| PushError::Unreachable {
            url: self.shown.clone(),
            cause: error.without_url().to_string(),
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let mut reason = Vec::new();
        while reason.len() < MAX_REASON {
            // A broken body does not change that the server refused.
            let Ok(Some(chunk)) = response.chunk().await else { break };
            reason.extend_from_slice(&chunk[..chunk.len().min(MAX_REASON - reason.len())]);
        }
        let reason = String::from_utf8_lossy(&reason).replace(char::is_control, " ");
        let token = self.token.as_ref().and_then(|token| token.to_str().ok());
        let token = token.and_then(|header| header.strip_prefix(BEARER));
        let reason = token.map_or(reason.clone(), |token| without_secret(&reason, token));
        Err(PushError::Refused { url: self.shown.clone(), status, reason })
    }
}

/// A server's refusal goes into the log, and it may repeat what it was sent: the secret is taken out, also its beginning
/// where the text was cut off in the middle of it.
fn without_secret(text: &str, secret: &str) -> String {
    const INSTEAD: &str = "(the token)";
    // Fewer bytes than these say nothing of it, and would be found in any text.
    const TELLING: usize = 4;
    let text = text.replace(secret, INSTEAD);
    let begun = |end: usize| secret.get(..end).and_then(|begin| text.strip_suffix(begin));
    match (TELLING..secret.len()).rev().find_map(begun) {
        Some(rest) => format!("{rest}{INSTEAD}"),
        None => text,
    }
}

fn secret(text: &str) -> Result<HeaderValue, PushError> {
    let mut value = HeaderValue::try_from(text).map_err(|_| PushError::Header)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A `PushRequest` with one series of one sample.
fn message(labels: &[(&str, &str)], pprof: &[u8]) -> Vec<u8> {
    let mut series = Vec::new();
    for (name, value) in std::iter::once(&("__name__", "memory")).chain(labels) {
        let mut label = Vec::new();
        field(&mut label, NAME, name.as_bytes());
        field(&mut label, VALUE, value.as_bytes());
        field(&mut series, LABELS, &label);
    }
    let mut sample = Vec::with_capacity(pprof.len() + 8);
    field(&mut sample, RAW_PROFILE, pprof);
    field(&mut series, SAMPLES, &sample);
    let mut request = Vec::with_capacity(series.len() + 8);
    field(&mut request, SERIES, &series);
    request
}

/// A field with a length, of protobuf's wire format.
fn field(out: &mut Vec<u8>, number: u8, content: &[u8]) {
    const LENGTH_DELIMITED: u8 = 2;
    out.push(number << 3 | LENGTH_DELIMITED);
    let mut length = content.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_as_push_proto_writes_it() {
        let message = message(&[("service_name", "a")], b"P");
        let expected: &[u8] = b"\x0a\x2c\
            \x0a\x12\x0a\x08__name__\x12\x06memory\
            \x0a\x11\x0a\x0cservice_name\x12\x01a\
            \x12\x03\x0a\x01P";
        assert_eq!(message, expected);
    }

    #[test]
    fn lengths_of_two_bytes_and_more_are_varints() {
        let mut out = Vec::new();
        field(&mut out, 1, &[7; 300]);
        assert_eq!(&out[..3], [0x0a, 0xac, 0x02]);
        assert_eq!(out.len(), 303);
    }

    #[test]
    fn bad_addresses_and_secrets_are_refused_without_being_shown() {
        let url = |text: &str| text.parse::<Url>().expect("a URL");
        assert!(matches!(Pusher::new(&url("ftp://h/"), None, None), Err(PushError::Address(_))));
        let error = Pusher::new(&url("http://h/"), Some("hunter2\n"), None).err().expect("refused");
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn a_refusal_that_repeats_the_token_is_told_without_it() {
        let told = without_secret("401: no `Bearer hunter22`, hunter22", "hunter22");
        assert_eq!(told, "401: no `Bearer (the token)`, (the token)");
        assert_eq!(without_secret("cut off: hunter", "hunter22"), "cut off: (the token)");
        assert_eq!(without_secret("a hunt for room", "hunter22"), "a hunt for room");
        assert_eq!(without_secret("500: busy", "hunter22"), "500: busy");
    }
}
