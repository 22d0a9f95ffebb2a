//! The probe's two endpoints.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::io::{AsyncWriteExt, BufReader, DuplexStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::io::ReaderStream;

use crate::error::ProbeError;
use crate::statistics::Statistics;
use crate::{configuration, dump};

/// How long a second request for a dump waits for the first. Most dumps take milliseconds, so waiting is kinder than
/// an error; longer would hold the asker when time is short.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// How long the asker may take to read a dump. It keeps others waiting and a file on disk meanwhile.
const MAX_DELIVERY: Duration = Duration::from_secs(30);

/// What of a dump is in this process's memory at one time.
const CHUNK: usize = 64 << 10;

#[derive(Clone)]
struct Probe {
    /// One dump at a time, from its start until it is delivered.
    turn: Arc<Semaphore>,
    directories: Arc<[PathBuf]>,
}

/// `GET /debug/allocator` and `GET /debug/pprof/heap`, to be merged into the router of the admin port. Neither
/// blocks the threads that serve requests. Also calls [`crate::record`].
pub fn router<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    crate::record();
    with_directories(dump::directories())
}

fn with_directories<S>(directories: Vec<PathBuf>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    if let Err(error) =
        configuration::check_installed().and_then(|()| configuration::check_profiling())
    {
        tracing::warn!(%error, "there will be no heap profiles of this process");
    }
    Router::new()
        .route("/debug/allocator", get(allocator))
        .route("/debug/pprof/heap", get(heap))
        .with_state(Probe { turn: Arc::new(Semaphore::new(1)), directories: directories.into() })
}

async fn allocator() -> Result<Json<Statistics>, ProbeError> {
    let read = || configuration::check_installed().and_then(|()| Statistics::read());
    spawn_blocking(read).await.map_err(ProbeError::Lost)?.map(Json)
}

async fn heap(State(probe): State<Probe>) -> Result<Response, ProbeError> {
    let turn = match timeout(MAX_WAIT, probe.turn.acquire_owned()).await {
        Ok(Ok(turn)) => turn,
        Ok(Err(_)) | Err(_) => return Err(ProbeError::Busy),
    };
    // The turn goes along: whoever hangs up now does not let a second dump start beside this one.
    let (taken, turn) = spawn_blocking(move || (dump::take(&probe.directories), turn))
        .await
        .map_err(ProbeError::Lost)?;
    let file = taken?;
    let size = file.metadata().map_err(ProbeError::ReadBack)?.len();
    let (writer, reader) = tokio::io::duplex(CHUNK);
    tokio::spawn(deliver(file, writer, turn));
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"heap\"".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        // An asker that sees fewer bytes than these knows that the delivery was cut short.
        (header::CONTENT_LENGTH, size.to_string()),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(reader))).into_response())
}

/// Copies the dump to whoever asked, in chunks, for as long as is reasonable.
async fn deliver(file: File, mut writer: DuplexStream, turn: OwnedSemaphorePermit) {
    let mut file = BufReader::with_capacity(CHUNK, tokio::fs::File::from_std(file));
    let copied = async {
        tokio::io::copy_buf(&mut file, &mut writer).await?;
        writer.shutdown().await
    };
    match timeout(MAX_DELIVERY, copied).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the asker for a heap dump hung up"),
        Err(_) => {
            tracing::warn!(limit = ?MAX_DELIVERY, "a heap dump was read too slowly and cut short");
        }
    }
    drop(turn);
}

#[cfg(test)]
mod tests;
