//! Heap dumps: listed, downloaded as they were taken or in another form, and one more captured on request.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::fs::File;

use crate::access::Allowed;
use crate::api::answers::{Content, Sent, Wanted, send, tag};
use crate::api::targets::unknown;
use crate::dumps::{CaptureError, Dump, Format, RenderError};
use crate::error::{ApiError, Name, NoParams, Params, check_name};
use crate::routes::Shared;

/// Parameters of the list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    target: Option<String>,
}

/// Answer of `/api/v1/heap-dumps`.
#[derive(Serialize)]
pub(crate) struct List {
    heap_dumps: Vec<Dump>,
}

/// `GET /api/v1/heap-dumps?target=`, newest first. A target that is gone still has its dumps.
pub(crate) async fn list(
    State(shared): State<Shared>,
    Params(filter): Params<Filter>,
) -> Result<Json<List>, ApiError> {
    if let Some(target) = &filter.target {
        check_name(target)?;
    }
    Ok(Json(List { heap_dumps: shared.dumps.list(filter.target.as_deref()) }))
}

/// `POST /api/v1/targets/{target}/heap-dumps`: capture now.
pub(crate) async fn capture(
    State(shared): State<Shared>,
    _: Allowed,
    Name(target): Name,
    _: Params<NoParams>,
) -> Result<Response, ApiError> {
    if shared.source.status().target(&target).is_none() {
        return Err(unknown(&target));
    }
    let _permit = shared.capture.try_acquire().map_err(|_| CaptureError::Busy)?;
    let dump = shared.dumps.capture(target.clone()).await.inspect_err(
        |error| tracing::warn!(target_name = target, %error, "a requested heap capture failed"),
    )?;
    tracing::info!(target_name = target, dump = dump.id, "a heap dump was captured on request");
    let location = format!("/api/v1/heap-dumps/{}", dump.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(dump)).into_response())
}

/// Parameters of a download.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    format: Option<String>,
    base: Option<String>,
    // A flamegraph keeps in its address what is searched for and where it is zoomed to; only its script reads that.
    #[serde(rename = "s")]
    _search: Option<String>,
    #[serde(rename = "x")]
    _zoom_x: Option<String>,
    #[serde(rename = "y")]
    _zoom_y: Option<String>,
}

/// `GET /api/v1/heap-dumps/{id}?format=&base=`: as it was taken, or in another form.
pub(crate) async fn download(
    State(shared): State<Shared>,
    _: Allowed,
    Name(id): Name,
    Params(form): Params<Form>,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    let format = format(form.format.as_deref(), Format::Raw)?;
    check_base(format, form.base.as_deref())?;
    if form.base.as_ref() == Some(&id) {
        let text = "`base` is the dump itself: it has not grown since itself; name an older one";
        return Err(ApiError::bad_request(text));
    }
    let missing = || ApiError::from(RenderError::UnknownDump(id.clone()));
    let stored = |id: &str| is_id(id).then(|| shared.dumps.path(id)).flatten();
    let (dump, path) = stored(&id).ok_or_else(missing)?;
    if let Some(base) = form.base.as_ref().filter(|base| stored(base).is_none()) {
        return Err(RenderError::UnknownDump(base.clone()).into());
    }
    if format != Format::Raw {
        return rendered(&shared, &dump, format, form.base, &wanted).await;
    }
    let file = File::open(&path).await.map_err(|error| {
        // The store may have made room since it was asked.
        tracing::warn!(dump = id, path = %path.display(), %error, "a stored heap dump cannot be opened");
        missing()
    })?;
    let length = file.metadata().await.map_err(|_| missing())?.len();
    let encoding = dump.encoding.unwrap_or_default();
    let sent = Sent::new(&dump.target, dump.taken, format, encoding, false);
    send(&wanted, &sent, &tag((&id, format, length)), Content::File(file, length)).await
}

async fn rendered(
    shared: &Shared,
    dump: &Dump,
    format: Format,
    base: Option<String>,
    wanted: &Wanted,
) -> Result<Response, ApiError> {
    // More wait for their turn, as long as the deadline lets them: each takes this process memory.
    let _permit = shared.render.acquire().await.map_err(|_| RenderError::Busy)?;
    let growth = base.is_some();
    let made = shared.dumps.render(dump.id.clone(), format, base.clone()).await;
    let made = made.inspect_err(
        |error| tracing::warn!(dump = dump.id, format = format.as_str(), %error, "a heap dump was not rendered"),
    )?;
    let sent = Sent::new(&dump.target, dump.taken, format, made.encoding, growth);
    // Names that become known later change the bytes, so these count as well.
    let tag = tag((&dump.id, format, base, &made.bytes));
    send(wanted, &sent, &tag, Content::Memory(Bytes::from(made.bytes))).await
}

/// The format named in a query, or `otherwise` when none is.
pub(crate) fn format(named: Option<&str>, otherwise: Format) -> Result<Format, ApiError> {
    let parsed = named.map_or(Ok(otherwise), str::parse);
    parsed.map_err(|error| ApiError::bad_request(error.to_string()))
}

/// Refuses a `base` that cannot be one: no id, or nothing can be subtracted in that format.
pub(crate) fn check_base(format: Format, base: Option<&str>) -> Result<(), ApiError> {
    let Some(base) = base else { return Ok(()) };
    check_name(base)?;
    if !format.shows_growth() {
        return Err(ApiError::bad_request(NO_GROWTH));
    }
    if !is_id(base) {
        return Err(RenderError::UnknownDump(base.to_owned()).into());
    }
    Ok(())
}

/// Why some formats and a difference do not go together.
pub(crate) const NO_GROWTH: &str = "growth can be had as `pprof`, `flamegraph` or `top`: `raw` is a profile as it was \
    taken, and `collapsed` has no way to say that something shrank";

/// Whether a dump can have that id. Whatever else comes in never reaches the store.
fn is_id(id: &str) -> bool {
    id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
