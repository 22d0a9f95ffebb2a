//! What is done beside sampling, each with an end that the watcher hears of.

use std::sync::Arc;

use watchdog_collect::allocator::AllocatorClient;
use watchdog_collect::requests::RequestsClient;
use watchdog_core::culprit::{Culprit, NotYet};
use watchdog_core::profile::Profile;
use watchdog_core::sample::Allocator;
use watchdog_core::units::{Moment, WallTime};
use watchdog_heap::capture::HeapClient;
use watchdog_heap::store::{DumpStore, NewDump};
use watchdog_heap::symbolize::Symbolizer;
use watchdog_web::dumps::CaptureError;

use crate::context::{CaptureRequest, to_wire};
use crate::policy::Reason;

/// A finished job.
pub(super) enum Done {
    Allocator(Result<Allocator, String>),
    Requests(Moment, Result<f64, String>),
    Captured(Box<Captured>),
    Stored(Result<String, String>),
    Named(Box<Naming>),
}

/// The named function, or why there is none.
pub(super) type Naming = Result<Culprit, NotYet>;

/// A capture that worked or not, and who asked for it.
pub(super) struct Captured {
    pub(super) reason: Reason,
    pub(super) result: Result<(Vec<u8>, Profile), String>,
    pub(super) request: Option<CaptureRequest>,
}

pub(super) async fn allocator(client: Arc<AllocatorClient>) -> Done {
    Done::Allocator(client.fetch().await.map_err(|error| error.to_string()))
}

/// Reads the request counter; `at` is when it was asked.
pub(super) async fn requests(client: Arc<RequestsClient>, at: Moment) -> Done {
    Done::Requests(at, client.fetch().await.map_err(|error| error.to_string()))
}

pub(super) async fn capture(
    heap: Arc<HeapClient>,
    taken: WallTime,
    reason: Reason,
    request: Option<CaptureRequest>,
) -> Done {
    let result = heap.capture(taken).await;
    let result = result.map(|got| (got.raw, got.profile)).map_err(|error| error.to_string());
    Done::Captured(Box::new(Captured { reason, result, request }))
}

pub(super) async fn store(
    store: Arc<DumpStore>,
    meta: NewDump,
    raw: Vec<u8>,
    request: Option<CaptureRequest>,
) -> Done {
    let written = tokio::task::spawn_blocking(move || store.put(&meta, &raw)).await;
    let written = match written {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Some(request) = request {
        let answer = written.as_ref().map(to_wire).map_err(|e| CaptureError::Failed(e.clone()));
        // Whoever asked may have gone away.
        request.send(answer).ok();
    }
    Done::Stored(written.map(|meta| meta.id))
}

pub(super) async fn name(
    first: Arc<Profile>,
    last: Arc<Profile>,
    symbolizer: Arc<Symbolizer>,
) -> Done {
    let named = tokio::task::spawn_blocking(move || {
        watchdog_heap::culprit::name(&first, &last, &symbolizer)
    });
    Done::Named(Box::new(named.await.unwrap_or_else(|error| {
        tracing::error!(%error, "naming the function failed");
        Err(NotYet::NoOwnFrame)
    })))
}
