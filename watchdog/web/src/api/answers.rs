//! How a heap profile is sent: its type and name, its entity tag, the part that is wanted, and what an SVG may do.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::SeekFrom;

use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;
use watchdog_core::units::WallTime;

use crate::api::ranges::{Selection, select};
use crate::dumps::{Encoding, Format};
use crate::error::ApiError;

/// What a flamegraph may do: run the script and use the style that are part of it, ask for a term to search. It reaches
/// nothing else; as a document of an origin of its own it cannot act for this server's page either.
pub(crate) const DRAWING_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; \
    style-src 'unsafe-inline'; sandbox allow-scripts allow-modals; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

const BINARY: &str = "application/octet-stream";
const TEXT: &str = "text/plain; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// What a profile is sent as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Its media type.
    kind: &'static str,
    /// `inline` where a browser shows it, else `attachment`.
    disposition: &'static str,
    /// Name of the file it becomes.
    name: String,
}

impl Sent {
    /// A profile of `target` taken at `taken`; `growth` when it is the difference of two. Named `TARGET-TIME.EXTENSION`
    /// with the time in UTC, or `TARGET-TIME-growth.EXTENSION`, as both may lie in one directory.
    pub(crate) fn new(
        target: &str,
        taken: WallTime,
        format: Format,
        encoding: Encoding,
        growth: bool,
    ) -> Self {
        let (kind, disposition, extension) = match format {
            Format::Pprof => (BINARY, "attachment", Encoding::Pprof.extension()),
            Format::Flamegraph => (SVG, "inline", "svg"),
            Format::Collapsed => (TEXT, "attachment", "collapsed.txt"),
            Format::Top => (TEXT, "inline", "top.txt"),
            Format::Raw if encoding == Encoding::JemallocText => {
                (TEXT, "attachment", encoding.extension())
            }
            Format::Raw => (BINARY, "attachment", encoding.extension()),
        };
        let growth = if growth { "-growth" } else { "" };
        let name = format!("{}{growth}.{extension}", stem(target, taken));
        Self { kind, disposition, name }
    }

    /// The same under the name that Go's own endpoint gives.
    pub(crate) fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// The headers that say all this.
    pub(crate) fn headers(&self) -> HeaderMap {
        let disposition = format!("{}; filename=\"{}\"", self.disposition, self.name);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        // A name is made of letters, digits, `.`, `_` and `-`, which a header always takes.
        if let Ok(disposition) = HeaderValue::try_from(disposition) {
            headers.insert(header::CONTENT_DISPOSITION, disposition);
        }
        if self.kind == SVG {
            let policy = HeaderValue::from_static(DRAWING_POLICY);
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        headers
    }
}

/// `<target>-<time>`. What a file system or a shell could take amiss becomes `_`.
fn stem(target: &str, taken: WallTime) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let target: String = target.trim_start_matches('.').chars().take(100).map(safe).collect();
    let seconds = taken.0 as i64;
    let time = jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| seconds.to_string(), |t| t.strftime("%Y%m%dT%H%M%SZ").to_string());
    format!("{target}-{time}")
}

/// What the client wants of an answer that it can take in parts.
pub(crate) struct Wanted {
    method: Method,
    headers: HeaderMap,
}

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self { method: parts.method.clone(), headers: parts.headers.clone() })
    }
}

/// Bytes that are kept, and can therefore be sent in parts.
pub(crate) enum Content {
    /// An open file and its length.
    File(File, u64),
    /// Bytes at hand.
    Memory(Bytes),
}

impl Content {
    fn length(&self) -> u64 {
        match self {
            Self::File(_, length) => *length,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// `length` bytes from `first` on; never more, should a file still grow.
    async fn part(self, first: u64, length: u64) -> Result<Body, ApiError> {
        match self {
            Self::File(mut file, _) => {
                file.seek(SeekFrom::Start(first)).await.map_err(|error| {
                    tracing::warn!(%error, "a stored heap dump cannot be read");
                    let text = "the heap dump cannot be read";
                    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, text)
                })?;
                Ok(Body::from_stream(ReaderStream::new(file.take(length))))
            }
            Self::Memory(bytes) => {
                let start = usize::try_from(first).unwrap_or(usize::MAX).min(bytes.len());
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let end = start.saturating_add(length).min(bytes.len());
                Ok(Body::from(bytes.slice(start..end)))
            }
        }
    }
}

/// A strong entity tag: what it was made of differs whenever the bytes may differ.
pub(crate) fn tag(of: impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

/// Sends the part of `content` that is wanted.
///
/// # Errors
/// [`ApiError`] when a file cannot be read, nothing of what was wanted is there, or a precondition fails.
pub(crate) async fn send(
    wanted: &Wanted,
    sent: &Sent,
    tag: &str,
    content: Content,
) -> Result<Response, ApiError> {
    let whole = content.length();
    let mut headers = sent.headers();
    insert(&mut headers, header::ACCEPT_RANGES, "bytes");
    insert(&mut headers, header::ETAG, tag);
    let (status, first, length) = match select(&wanted.method, &wanted.headers, tag, whole) {
        Selection::Whole => (StatusCode::OK, 0, whole),
        Selection::Part { first, length } => {
            let last = first.saturating_add(length).saturating_sub(1);
            insert(&mut headers, header::CONTENT_RANGE, &format!("bytes {first}-{last}/{whole}"));
            (StatusCode::PARTIAL_CONTENT, first, length)
        }
        Selection::Beyond => return Ok(beyond(whole)),
        Selection::NotModified => return Ok((StatusCode::NOT_MODIFIED, headers).into_response()),
        Selection::PreconditionFailed => {
            let text = "this is another version than the one named in If-Match";
            return Err(ApiError::new(StatusCode::PRECONDITION_FAILED, text));
        }
    };
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let body = content.part(first, length).await?;
    Ok((status, headers, body).into_response())
}

fn beyond(whole: u64) -> Response {
    let text = format!("the range lies beyond the end: there are {whole} bytes");
    let mut response = ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, text).into_response();
    insert(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{whole}"));
    response
}

/// Sets a header to a value of our own making, which is always one.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(target: &str, taken: f64, format: Format, encoding: Encoding) -> String {
        Sent::new(target, WallTime(taken), format, encoding, false).name
    }

    #[test]
    fn a_file_is_named_after_its_target_its_time_and_its_form() {
        for (format, encoding, name) in [
            (Format::Raw, Encoding::JemallocText, "orders-20261118T110640Z.heap"),
            (Format::Raw, Encoding::Pprof, "orders-20261118T110640Z.pb.gz"),
            (Format::Pprof, Encoding::JemallocText, "orders-20261118T110640Z.pb.gz"),
            (Format::Flamegraph, Encoding::Pprof, "orders-20261118T110640Z.svg"),
            (Format::Collapsed, Encoding::Pprof, "orders-20261118T110640Z.collapsed.txt"),
            (Format::Top, Encoding::Pprof, "orders-20261118T110640Z.top.txt"),
        ] {
            assert_eq!(named("orders", 1_795_000_000.9, format, encoding), name);
        }
    }

    #[test]
    fn a_hostile_target_cannot_choose_where_the_file_goes() {
        let raw = |target, taken| named(target, taken, Format::Raw, Encoding::JemallocText);
        assert_eq!(
            raw("../../etc/\"pass\r\nwd\"", 0.0),
            "_.._etc__pass__wd_-19700101T000000Z.heap"
        );
        assert!(raw("a", f64::INFINITY).starts_with("a-"));
    }

    #[test]
    fn only_a_drawing_may_run_its_own_script() {
        for format in Format::ALL {
            let sent = Sent::new("a", WallTime(0.0), format, Encoding::Pprof, true);
            let policy = sent.headers().contains_key(header::CONTENT_SECURITY_POLICY);
            assert_eq!(policy, format == Format::Flamegraph, "{format:?}");
        }
    }
}
