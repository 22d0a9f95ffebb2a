//! Takes a heap profile from a running service: `GET /debug/pprof/heap` of the probe, of Go or of whatever else answers
//! there with jemalloc's text or with pprof.
//!
//! The service may hang, lie about lengths or send without end, so there is one deadline over everything and a
//! bound on what is kept. Redirects are not followed and proxies not used: a heap dump comes from the process
//! itself or not at all.

use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use reqwest::{Client, Response, StatusCode};
use url::Url;
use watchdog_core::units::{Bytes, WallTime};

use super::{CaptureError, Captured, MAX_BYTES, decode};

/// A dump of 100,000 stacks takes 0.7 s; a service that needs much longer than this is in trouble already.
const DEADLINE: Duration = Duration::from_secs(5);

/// How much of a refusal's text is kept.
const MAX_REASON: usize = 512;

/// Takes heap profiles from one service.
#[derive(Clone)]
pub struct HeapClient {
    url: Url,
    shown: String,
    http: Client,
    deadline: Duration,
    max_body: usize,
}

impl std::fmt::Debug for HeapClient {
    /// Without the address's credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeapClient")
            .field("url", &self.shown)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl HeapClient {
    /// A client for the service at `base`: its address, to which `/debug/pprof/heap` is added behind a path it may
    /// have, or the whole address of a profile that ends in `/debug/pprof/heap` or `/debug/pprof/allocs`. A query is
    /// sent as it is (`?gc=1` makes Go collect its garbage first).
    ///
    /// # Errors
    /// [`CaptureError::Address`] unless `base` is http or https; [`CaptureError::Client`] when TLS cannot be set up.
    pub fn new(base: Url) -> Result<Self, CaptureError> {
        let url = heap_url(base)?;
        let shown = shown(&url);
        let http = http_client(&url)
            .map_err(|error| CaptureError::Client { url: shown.clone(), cause: cause(error) })?;
        Ok(Self { url, shown, http, deadline: DEADLINE, max_body: MAX_BYTES })
    }

    /// Waits this long for the whole answer instead of 5 s.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Keeps at most this much of an answer instead of 64 MiB.
    #[must_use]
    pub fn with_max_body(self, bytes: usize) -> Self {
        Self { max_body: bytes, ..self }
    }

    /// Fetches and reads a profile; `taken` is the time that is noted in it.
    ///
    /// # Errors
    /// [`CaptureError`]; whatever the service does, after the deadline and the time to read 64 MiB at the latest.
    pub async fn capture(&self, taken: WallTime) -> Result<Captured, CaptureError> {
        let url = self.shown.clone();
        let limit = self.max_body;
        let (content_type, raw) = tokio::time::timeout(self.deadline, self.fetch())
            .await
            .map_err(|_| self.too_slow())??;
        // Reading 64 MiB takes a moment, in which other targets want to be sampled.
        let read = tokio::task::spawn_blocking(move || decode(raw, taken, limit));
        match read.await {
            Ok(Ok(captured)) => Ok(captured),
            Ok(Err(source)) => {
                let origin = format!("the answer of {url} ({content_type})");
                Err(CaptureError::Unreadable { origin, source })
            }
            Err(_) => Err(CaptureError::Interrupted { url }),
        }
    }

    async fn fetch(&self) -> Result<(String, Vec<u8>), CaptureError> {
        let request = self.http.get(self.url.clone()).header(ACCEPT_ENCODING, "identity");
        let mut response = request.send().await.map_err(|error| self.broken(error))?;
        if response.status() != StatusCode::OK {
            return Err(self.refused(response).await);
        }
        // Some servers say of pprof's own compression that it is the connection's, which changes nothing.
        if let Some(coding) = header(&response, CONTENT_ENCODING)
            && !matches!(coding.to_ascii_lowercase().as_str(), "identity" | "gzip" | "x-gzip")
        {
            return Err(CaptureError::Coded { url: self.shown.clone(), coding });
        }
        let limit = self.max_body;
        let announced = response.content_length().unwrap_or(0);
        if usize::try_from(announced).map_or(true, |length| length > limit) {
            return Err(self.too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(error))? {
            if chunk.len() > limit - body.len() {
                return Err(self.too_large());
            }
            body.extend_from_slice(&chunk);
        }
        let content_type = header(&response, CONTENT_TYPE);
        Ok((content_type.unwrap_or_else(|| "no content type".to_owned()), body))
    }

    /// An answer that is not 200 says in its text why: the probe tells there how to turn profiling on.
    async fn refused(&self, mut response: Response) -> CaptureError {
        let mut text = Vec::new();
        while text.len() < MAX_REASON {
            // A broken body does not change that the service refused.
            let Ok(Some(chunk)) = response.chunk().await else { break };
            text.extend_from_slice(&chunk[..chunk.len().min(MAX_REASON - text.len())]);
        }
        let status = response.status();
        CaptureError::Refused { url: self.shown.clone(), status, reason: one_line(&text) }
    }

    fn broken(&self, error: reqwest::Error) -> CaptureError {
        CaptureError::Unreachable { url: self.shown.clone(), cause: cause(error) }
    }

    fn too_slow(&self) -> CaptureError {
        CaptureError::Deadline { url: self.shown.clone(), deadline: self.deadline }
    }

    fn too_large(&self) -> CaptureError {
        CaptureError::TooLarge { origin: self.shown.clone(), limit: Bytes(self.max_body as u64) }
    }
}

/// The path that Go, TiKV and the probe share, unless `base` names a profile itself.
fn heap_url(mut base: Url) -> Result<Url, CaptureError> {
    if !matches!(base.scheme(), "http" | "https") {
        return Err(CaptureError::Address { url: shown(&base) });
    }
    base.set_fragment(None);
    let path = base.path().trim_end_matches('/').to_owned();
    let whole = ["/debug/pprof/heap", "/debug/pprof/allocs"].iter().any(|end| path.ends_with(end));
    let path = match path.strip_suffix("/debug/pprof") {
        _ if whole => path,
        // What a person copies from Go's index page.
        Some(before) => format!("{before}/debug/pprof/heap"),
        None => format!("{path}/debug/pprof/heap"),
    };
    base.set_path(&path);
    Ok(base)
}

pub(crate) fn http_client(url: &Url) -> reqwest::Result<Client> {
    // reqwest wants the program to have chosen its cryptography and panics otherwise. The one that loses this
    // race chose the same: ring is the only one linked.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let builder = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        // Captures are rare; a kept connection would only be stale after a restart of the service.
        .pool_max_idle_per_host(0);
    // Plain HTTP needs no certificates, and an image without any must not fail for their want.
    let builder = if url.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
    builder.build()
}

/// An address without what may be secret in it.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Addresses that cannot have credentials refuse to lose them.
    if url.set_username("").is_err() || url.set_password(None).is_err() {
        return format!("{}:…", url.scheme());
    }
    url.into()
}

/// The beginning of a header, fit for a message.
fn header(response: &Response, name: HeaderName) -> Option<String> {
    let value = response.headers().get(name)?.as_bytes();
    Some(one_line(&value[..value.len().min(64)]))
}

/// The innermost reason ("connection refused"), without the address, which may hold credentials.
fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Text from outside made fit for a log line.
fn one_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text).replace(char::is_control, " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heap(base: &str) -> String {
        heap_url(base.parse().expect("a URL")).expect("an HTTP URL").into()
    }

    #[test]
    fn the_path_is_put_behind_the_bases_own() {
        assert_eq!(heap("http://127.0.0.1:9090"), "http://127.0.0.1:9090/debug/pprof/heap");
        assert_eq!(heap("http://h/t/shop/"), "http://h/t/shop/debug/pprof/heap");
        assert_eq!(heap("http://h/t/shop"), "http://h/t/shop/debug/pprof/heap");
        assert_eq!(heap("http://h/debug/pprof/"), "http://h/debug/pprof/heap");
    }

    #[test]
    fn the_address_of_a_profile_is_taken_as_it_is_and_the_query_kept() {
        assert_eq!(heap("http://h:6060/debug/pprof/heap"), "http://h:6060/debug/pprof/heap");
        assert_eq!(heap("http://h/debug/pprof/heap/#top"), "http://h/debug/pprof/heap");
        assert_eq!(heap("http://h/debug/pprof/heap?gc=1"), "http://h/debug/pprof/heap?gc=1");
        assert_eq!(heap("http://h/x/debug/pprof/allocs"), "http://h/x/debug/pprof/allocs");
        assert_eq!(heap("http://h?gc=1"), "http://h/debug/pprof/heap?gc=1");
        assert_eq!(heap("http://h/heap"), "http://h/heap/debug/pprof/heap");
    }

    #[test]
    fn addresses_that_are_not_http_are_refused_with_an_example() {
        for base in ["file:///etc/passwd", "mailto:someone@example.org", "unix:/run/x"] {
            let error = HeapClient::new(base.parse().expect("a URL")).expect_err(base);
            assert!(error.to_string().contains("http://127.0.0.1:9090"), "{error}");
        }
    }

    #[test]
    fn credentials_and_queries_are_not_shown() {
        let base: Url = "https://user:hunter2@h/x?token=hunter3".parse().expect("a URL");
        let client = HeapClient::new(base).expect("a client");
        let debug = format!("{client:?} {}", client.too_slow());
        assert!(!debug.contains("hunter"), "{debug}");
        assert!(debug.contains("https://h/x/debug/pprof/heap"), "{debug}");
    }
}
