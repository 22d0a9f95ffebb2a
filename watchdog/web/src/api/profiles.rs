//! Profiles of now, at the paths where Go's tools, and all that scrape Go programs, look for them.
//!
//! Each path exists twice: with the target in the query, and below `/t/{target}`, as a scraper appends
//! `/debug/pprof/…` to an address it was given.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::time::timeout;
use tokio_util::io::ReaderStream;
use watchdog_core::units::WallTime;

use crate::access::{Allowed, OwnInitiative};
use crate::api::answers::Sent;
use crate::api::dumps::{NO_GROWTH, check_base, format};
use crate::api::targets::unknown;
use crate::dumps::{Encoding, Format, Live, RenderError};
use crate::error::{ApiError, Name, NoParams, Params, Text, check_name};
use crate::routes::{DEADLINE, Shared};
use crate::status::Status;

/// Longest time over which growth is watched, in seconds.
pub(crate) const MAX_SECONDS: u32 = 300;
/// Profiles in the making at once; each holds memory here and may cost its target work.
pub(crate) const MAX_PROFILES: usize = 4;
/// What the text form of Go's endpoint is called here.
const NO_TEXT: &str =
    "`debug` can only be 0: the text form of Go's runtime is not offered, `format=top` is a table";

/// Parameters of a profile. `debug` and `gc` are what Go's tools send along.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    target: Option<String>,
    seconds: Option<u32>,
    base: Option<String>,
    format: Option<String>,
    debug: Option<String>,
    #[serde(rename = "gc")]
    _gc: Option<String>,
}

impl Query {
    /// Checks all but the target.
    fn live(&self) -> Result<Live, ApiError> {
        let format = format(self.format.as_deref(), Format::Pprof)?;
        check_base(format, self.base.as_deref())?;
        let refused = if self.debug.as_deref().is_some_and(|debug| debug != "0") {
            NO_TEXT
        } else if self.seconds.is_some_and(|seconds| !(1..=MAX_SECONDS).contains(&seconds)) {
            "`seconds` is a whole number from 1 to 300"
        } else if self.seconds.is_some() && self.base.is_some() {
            "`seconds` and `base` are two ways to say since when growth counts; send one of them"
        } else if self.seconds.is_some() && !format.shows_growth() {
            NO_GROWTH
        } else {
            return Ok(Live { format, seconds: self.seconds, base: self.base.clone() });
        };
        Err(ApiError::bad_request(refused))
    }
}

/// `GET /debug/pprof/heap?target=`
pub(crate) async fn heap(
    State(shared): State<Shared>,
    _: Allowed,
    _: OwnInitiative,
    method: Method,
    Params(query): Params<Query>,
) -> Result<Response, ApiError> {
    profile(&shared, &method, None, &query, "heap").await
}

/// `GET /debug/pprof/allocs?target=`: the same profile; a reader finds in it what was ever allocated.
pub(crate) async fn allocs(
    State(shared): State<Shared>,
    _: Allowed,
    _: OwnInitiative,
    method: Method,
    Params(query): Params<Query>,
) -> Result<Response, ApiError> {
    profile(&shared, &method, None, &query, "allocs").await
}

/// `GET /t/{target}/debug/pprof/heap`
pub(crate) async fn target_heap(
    State(shared): State<Shared>,
    _: Allowed,
    _: OwnInitiative,
    method: Method,
    Name(target): Name,
    Params(query): Params<Query>,
) -> Result<Response, ApiError> {
    profile(&shared, &method, Some(target), &query, "heap").await
}

/// `GET /t/{target}/debug/pprof/allocs`
pub(crate) async fn target_allocs(
    State(shared): State<Shared>,
    _: Allowed,
    _: OwnInitiative,
    method: Method,
    Name(target): Name,
    Params(query): Params<Query>,
) -> Result<Response, ApiError> {
    profile(&shared, &method, Some(target), &query, "allocs").await
}

async fn profile(
    shared: &Shared,
    method: &Method,
    target: Option<String>,
    query: &Query,
    name: &str,
) -> Result<Response, ApiError> {
    let target = choose(&shared.source.status(), target, query.target.as_deref())?;
    let live = query.live()?;
    if method == Method::HEAD {
        return Ok(head(&target, &live, name));
    }
    let _permit = shared.profile.try_acquire().map_err(|_| RenderError::Busy)?;
    let patience = DEADLINE + Duration::from_secs(live.seconds.unwrap_or(0).into());
    let made = timeout(patience, shared.dumps.profile(target.clone(), live.clone())).await;
    let made = made.map_err(|_| {
        let seconds = patience.as_secs();
        let text = format!("no profile was there after {seconds} s, so it was given up");
        ApiError::new(StatusCode::GATEWAY_TIMEOUT, text)
    })?;
    let made = made.inspect_err(
        |error| tracing::warn!(target_name = target, %error, "a requested profile was not made"),
    )?;
    let headers = sent(&target, &live, made.taken, made.encoding, name).headers();
    Ok((headers, made.bytes).into_response())
}

/// Makes a mistake plain text for who does not say what it can read, as Go's tools, which print such a text only when
/// it is marked as theirs is.
pub(crate) async fn plain_errors(request: Request, next: Next) -> Response {
    let any = !request.headers().contains_key(header::ACCEPT);
    let mut response = next.run(request).await;
    let Some(Text(text)) = response.extensions_mut().remove().filter(|_| any) else {
        return response;
    };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    parts.headers.insert(header::CONTENT_TYPE, plain);
    parts.headers.insert("x-go-pprof", HeaderValue::from_static("1"));
    Response::from_parts(parts, Body::from(text))
}

/// What a profile is sent as; in Go's own format under the name that Go gives it.
fn sent(target: &str, live: &Live, taken: WallTime, encoding: Encoding, name: &str) -> Sent {
    let growth = live.seconds.is_some() || live.base.is_some();
    let sent = Sent::new(target, taken, live.format, encoding, growth);
    match live.format {
        Format::Pprof if growth => sent.named(&format!("{name}-delta")),
        Format::Pprof => sent.named(name),
        _ => sent,
    }
}

/// The answer to HEAD. Nobody would see the profile, so none is taken: its length, and in a form whose name tells its
/// time also its name, stay unsaid.
fn head(target: &str, live: &Live, name: &str) -> Response {
    let mut headers = sent(target, live, WallTime(0.0), Encoding::default(), name).headers();
    if live.format != Format::Pprof {
        headers.remove(header::CONTENT_DISPOSITION);
    }
    (headers, Body::from_stream(ReaderStream::new(tokio::io::empty()))).into_response()
}

/// The target that is meant: the one in the path or in the query, or the only one there is.
fn choose(status: &Status, path: Option<String>, query: Option<&str>) -> Result<String, ApiError> {
    query.map_or(Ok(()), check_name)?;
    let named = match (path, query) {
        (Some(path), Some(query)) if path != query => {
            let text = "the path names one target and `target` another; leave `target` out";
            return Err(ApiError::bad_request(text));
        }
        (path, query) => path.or_else(|| query.map(str::to_owned)),
    };
    match (named, status.targets.as_slice()) {
        (Some(name), _) => status.target(&name).map(|_| name.clone()).ok_or_else(|| unknown(&name)),
        (None, [only]) => Ok(only.identity.name.clone()),
        (None, []) => {
            Err(ApiError::not_found("no target is watched yet; `/api/v1/targets` lists them"))
        }
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|one| one.identity.name.as_str()).collect();
            Err(ApiError::bad_request(format!(
                "say whose: `/debug/pprof/heap?target=NAME` or `/t/NAME/debug/pprof/heap`, where NAME is one of: {}",
                names.join(", ")
            )))
        }
    }
}

/// `GET /debug/pprof/`: what is there, in plain text.
pub(crate) async fn index(
    State(shared): State<Shared>,
    _: Params<NoParams>,
) -> Result<String, ApiError> {
    let status = shared.source.status();
    Ok(listing(status.targets.iter().map(|target| target.identity.name.as_str())))
}

/// `GET /t/{target}/debug/pprof/`
pub(crate) async fn target_index(
    State(shared): State<Shared>,
    Name(target): Name,
    _: Params<NoParams>,
) -> Result<String, ApiError> {
    choose(&shared.source.status(), Some(target), None).map(|name| listing([name.as_str()]))
}

/// Targets listed at most.
const MAX_LISTED: usize = 100;

fn listing<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::from(INDEX);
    for name in names.into_iter().take(MAX_LISTED) {
        let path: String = url_escaped(name);
        text.push_str(&format!("/t/{path}/debug/pprof/heap\n/t/{path}/debug/pprof/allocs\n"));
    }
    text
}

/// A name as one part of a path: all but letters, digits, `-`, `.`, `_` and `~` percent-encoded (RFC 3986, 2.3).
fn url_escaped(name: &str) -> String {
    let escaped = |byte: u8| match byte {
        b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    name.bytes().map(escaped).collect()
}

const INDEX: &str = "\
Heap profiles of the watched processes, for `go tool pprof` and whatever scrapes Go programs.

Parameters, all optional:
  target=NAME    whose heap, when the path does not say; needed when there are several
  seconds=N      the growth within the next N seconds, 1 to 300
  base=ID        the growth since a stored heap dump; /api/v1/heap-dumps lists them
  format=FORMAT  pprof (unless said otherwise), flamegraph, top; without seconds and base
                 also collapsed and raw

Beyond loopback these need the token: as in `Authorization: Bearer TOKEN`, or as a password in the address, as in
`go tool pprof http://any:TOKEN@HOST:PORT/t/NAME/debug/pprof/heap`.

";

/// Parameters of the command line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whose {
    target: Option<String>,
}

/// `GET /debug/pprof/cmdline?target=`: the target's name, by which tools title what they show. Not its arguments: they
/// may hold secrets.
pub(crate) async fn cmdline(
    State(shared): State<Shared>,
    _: Allowed,
    Params(whose): Params<Whose>,
) -> Result<String, ApiError> {
    choose(&shared.source.status(), None, whose.target.as_deref())
}

/// `GET /t/{target}/debug/pprof/cmdline`
pub(crate) async fn target_cmdline(
    State(shared): State<Shared>,
    _: Allowed,
    Name(target): Name,
    _: Params<NoParams>,
) -> Result<String, ApiError> {
    choose(&shared.source.status(), Some(target), None)
}
