//! Heap dumps: listed, downloaded, and one more captured on request.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use crate::access::Allowed;
use crate::api::targets::unknown;
use crate::dumps::{CaptureError, Dump};
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
pub(crate) struct Format {
    format: Option<String>,
}

/// `GET /api/v1/heap-dumps/{id}`: jemalloc's text as it was taken.
pub(crate) async fn download(
    State(shared): State<Shared>,
    _: Allowed,
    Name(id): Name,
    Params(wanted): Params<Format>,
) -> Result<Response, ApiError> {
    if wanted.format.is_some_and(|format| format != "raw") {
        let text = "the only format is `raw`: jemalloc's own text, which jeprof reads";
        return Err(ApiError::bad_request(text));
    }
    let missing = || {
        ApiError::not_found(format!(
            "no heap dump has the id `{id}`; `/api/v1/heap-dumps` lists those that are kept"
        ))
    };
    let (dump, path) = shared.dumps.path(&id).ok_or_else(missing)?;
    let file = File::open(&path).await.map_err(|error| {
        // The store may have made room since it was asked.
        tracing::warn!(dump = id, path = %path.display(), %error, "a stored heap dump cannot be opened");
        missing()
    })?;
    attachment(&dump, file).await
}

async fn attachment(dump: &Dump, file: File) -> Result<Response, ApiError> {
    let broken =
        || ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the heap dump cannot be sent");
    let length = file.metadata().await.map_err(|_| broken())?.len();
    let disposition = format!("attachment; filename=\"{}\"", file_name(dump));
    let disposition = HeaderValue::try_from(disposition).map_err(|_| broken())?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::CONTENT_LENGTH, HeaderValue::from(length)),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    // Never more than was announced, should the file still grow.
    let bytes = ReaderStream::new(tokio::io::AsyncReadExt::take(file, length));
    Ok((headers, Body::from_stream(bytes)).into_response())
}

/// `<target>-<time>.heap` with the time in UTC. What a file system or a shell could take amiss becomes `_`.
fn file_name(dump: &Dump) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let target: String = dump.target.trim_start_matches('.').chars().take(100).map(safe).collect();
    let seconds = dump.taken.0 as i64;
    let time = jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| seconds.to_string(), |t| t.strftime("%Y%m%dT%H%M%SZ").to_string());
    format!("{target}-{time}.heap")
}

#[cfg(test)]
mod tests {
    use watchdog_core::units::{Bytes, WallTime};

    use super::*;

    fn named(target: &str, taken: f64) -> String {
        let (id, taken, size) = ("x".into(), WallTime(taken), Bytes(1));
        file_name(&Dump { id, target: target.into(), pid: 1, taken, size, incident: None })
    }

    #[test]
    fn a_file_is_named_after_its_target_and_time() {
        assert_eq!(
            named("recommendations", 1_795_000_000.9),
            "recommendations-20261118T110640Z.heap"
        );
    }

    #[test]
    fn a_hostile_target_cannot_choose_where_the_file_goes() {
        let name = named("../../etc/\"pass\r\nwd\"", 0.0);
        assert_eq!(name, "_.._etc__pass__wd_-19700101T000000Z.heap");
        assert!(named("a", f64::INFINITY).starts_with("a-"));
    }
}
