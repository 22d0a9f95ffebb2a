//! Connections to Slack: TLS by rustls with ring, HTTP/1.1, and answers of a bounded size.
//!
//! slack-morphism reads an answer whole into memory, whatever its size. HTTP/1.1 alone, because one request at a time
//! needs no more, and because the bound below counts what is read between two writes.
//!
//! It also takes an answer for JSON before it looks at the status, if no content type says otherwise. So a refusal that
//! says when to come back is recognised here, by its head alone.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::Uri;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower_service::Service;

use super::SlackConfigError;

/// Bytes of one answer read at most, head and body. Slack echoes the message, which is below 16 KiB.
pub const MAX_ANSWER: usize = 1 << 20;
/// How long connecting to one address may take; the attempt has a deadline of its own.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// Bytes of an answer's head that are looked at, and its headers.
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 100;
/// A server that wants to be left alone for longer is as good as gone.
const LONGEST_PAUSE: u64 = 24 * 3600;

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An answer that puts off: 429, or 503 with a time to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("HTTP status {status}")]
pub(super) struct PutOff {
    pub(super) status: u16,
    pub(super) after: Option<Duration>,
}

/// Opens connections that end when an answer is too large.
#[derive(Clone)]
pub(super) struct Connector(HttpsConnector<HttpConnector>);

/// A connector for https, or one for plain http that reads no root certificates.
pub(super) fn connector(secure: bool) -> Result<Connector, SlackConfigError> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_DEADLINE));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = HttpsConnectorBuilder::new();
    let builder = if secure {
        let builder = builder.with_provider_and_native_roots(provider);
        builder.map_err(|error| SlackConfigError::Tls(error.to_string()))?.https_only()
    } else {
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| SlackConfigError::Tls(error.to_string()))?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        builder.with_tls_config(config).https_or_http()
    };
    Ok(Connector(builder.enable_http1().wrap_connector(http)))
}

impl Service<Uri> for Connector {
    type Response = BoundedStream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<BoundedStream, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async {
            Ok(BoundedStream {
                stream: connecting.await?,
                left: MAX_ANSWER,
                head: Some(Vec::new()),
            })
        })
    }
}

/// A connection on which at most [`MAX_ANSWER`] bytes are read after each write.
pub(super) struct BoundedStream {
    stream: Stream,
    left: usize,
    /// What has come of the present answer's head, unless that is known to put nothing off.
    head: Option<Vec<u8>>,
}

impl BoundedStream {
    fn begin(&mut self) {
        self.left = MAX_ANSWER;
        self.head = Some(Vec::new());
    }

    fn look(&mut self, read: &[u8]) -> Result<(), PutOff> {
        let Some(head) = &mut self.head else { return Ok(()) };
        head.extend_from_slice(read);
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut answer = httparse::Response::new(&mut headers);
        let parsed = answer.parse(head);
        let put_off = parsed.is_ok_and(|parsed| parsed.is_complete()).then(|| put_off(&answer));
        if !matches!(parsed, Ok(httparse::Status::Partial)) || head.len() > MAX_HEAD {
            self.head = None;
        }
        put_off.flatten().map_or(Ok(()), Err)
    }
}

fn put_off(answer: &httparse::Response<'_, '_>) -> Option<PutOff> {
    let mut headers = answer.headers.iter();
    let after = headers.find(|header| header.name.eq_ignore_ascii_case("retry-after"));
    let seconds = after.and_then(|header| str::from_utf8(header.value).ok()?.trim().parse().ok());
    let after = seconds.map(|seconds: u64| Duration::from_secs(seconds.min(LONGEST_PAUSE)));
    let status = answer.code?;
    (status == 429 || (status == 503 && after.is_some())).then_some(PutOff { status, after })
}

impl Read for BoundedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut out: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // Read by way of a buffer of our own, as the other does not tell how much came.
        let mut part = [0; 8 << 10];
        let most = part.len().min(out.remaining());
        let mut buffer = ReadBuf::new(&mut part[..most]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer.unfilled()))?;
        let read = buffer.filled();
        let Some(left) = self.left.checked_sub(read.len()) else {
            let text = format!("the answer has more than {MAX_ANSWER} bytes");
            return Poll::Ready(Err(io::Error::other(text)));
        };
        self.left = left;
        if let Err(put_off) = self.look(read) {
            return Poll::Ready(Err(io::Error::other(put_off)));
        }
        out.put_slice(read);
        Poll::Ready(Ok(()))
    }
}

impl Write for BoundedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.begin();
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.begin();
        Pin::new(&mut self.stream).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connection for BoundedStream {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}
