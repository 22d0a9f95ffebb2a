//! What is done beside sampling, each with an end that the watcher hears of.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use watchdog_collect::allocator::AllocatorClient;
use watchdog_collect::requests::RequestsClient;
use watchdog_core::culprit::growth::Digest;
use watchdog_core::culprit::{Culprit, NotYet};
use watchdog_core::profile::{Mapping, Profile};
use watchdog_core::sample::Allocator;
use watchdog_core::units::Moment;
use watchdog_heap::capture::SourceKind;
use watchdog_heap::culprit;
use watchdog_heap::store::{DumpStore, NewDump};
use watchdog_heap::symbolize::Symbolizer;
use watchdog_heap::symbols::Symbols;
use watchdog_web::dumps::CaptureError;

use super::heap::Heap;
use super::source::Taken;
use crate::context::CaptureRequest;
use crate::dumps::to_wire;
use crate::policy::Reason;

/// A finished job.
pub(super) enum Done {
    Allocator(Duration, Result<Allocator, String>),
    Requests(Moment, Duration, Result<f64, String>),
    Taken(Box<Taking>),
    Stored(Result<String, String>),
    /// `None` from a job that only learned names.
    Named(Option<(Duration, Box<Naming>)>),
}

/// The named functions, or why there are none.
pub(super) type Naming = Result<Vec<Culprit>, NotYet>;

/// A profile that was taken or not, and who asked for it.
pub(super) struct Taking {
    pub(super) reason: Reason,
    pub(super) result: Result<Option<Taken>, String>,
    pub(super) request: Option<CaptureRequest>,
    pub(super) source: SourceKind,
    pub(super) took: Duration,
}

/// Where names come from: what the last profile brought along, else the process's files.
#[derive(Clone)]
pub(super) struct Names {
    known: Arc<Symbols>,
    symbolizer: Option<Arc<Symbolizer>>,
}

impl Names {
    pub(super) fn of(heap: &Heap) -> Self {
        Self { known: Arc::clone(&heap.symbols), symbolizer: heap.symbolizer.clone() }
    }

    fn look_up(&self, mappings: &[Mapping], addresses: &[u64]) -> Symbols {
        match &self.symbolizer {
            Some(symbolizer) if self.known.is_empty() => {
                symbolizer.symbols(mappings, addresses.iter().copied())
            }
            _ => {
                let mut symbols = Symbols::default();
                for address in addresses {
                    symbols.insert(*address, self.known.frames(*address).to_vec());
                }
                symbols
            }
        }
    }
}

pub(super) async fn allocator(client: Arc<AllocatorClient>) -> Done {
    let began = Instant::now();
    let read = client.fetch().await.map_err(|error| error.to_string());
    Done::Allocator(began.elapsed(), read)
}

/// Reads the request counter; `at` is when it was asked.
pub(super) async fn requests(client: Arc<RequestsClient>, at: Moment) -> Done {
    let began = Instant::now();
    let read = client.fetch().await.map_err(|error| error.to_string());
    Done::Requests(at, began.elapsed(), read)
}

pub(super) async fn take(
    taken: impl Future<Output = Result<Option<Taken>, String>>,
    source: SourceKind,
    reason: Reason,
    request: Option<CaptureRequest>,
) -> Done {
    let began = Instant::now();
    let result = taken.await;
    Done::Taken(Box::new(Taking { reason, result, request, source, took: began.elapsed() }))
}

pub(super) async fn store(
    store: Arc<DumpStore>,
    dump: NewDump,
    raw: Vec<u8>,
    request: Option<CaptureRequest>,
) -> Done {
    let written = tokio::task::spawn_blocking(move || store.put(&dump, &raw)).await;
    let written = match written {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Some(CaptureRequest::Store(answer)) = request {
        let stored = written.as_ref().map(to_wire).map_err(|e| CaptureError::Failed(e.clone()));
        // Whoever asked may have gone away.
        answer.send(stored).ok();
    }
    Done::Stored(written.map(|meta| meta.id))
}

pub(super) async fn name(earlier: Vec<Arc<Digest>>, last: Arc<Profile>, names: Names) -> Done {
    let began = Instant::now();
    let named = culprits(earlier, last, names, false).await;
    Done::Named(Some((began.elapsed(), Box::new(named))))
}

/// Names the functions that grew; for a process that is gone, those that held most if too few profiles were taken.
pub(super) async fn culprits(
    earlier: Vec<Arc<Digest>>,
    last: Arc<Profile>,
    names: Names,
    is_last: bool,
) -> Naming {
    let work = move || {
        let earlier: Vec<&Digest> = earlier.iter().map(AsRef::as_ref).collect();
        let look_up = |mappings: &[Mapping], addresses: &[u64]| names.look_up(mappings, addresses);
        match culprit::name(&earlier, &last, look_up) {
            Err(NotYet::TooFewProfiles { .. }) if is_last => culprit::name_holders(&last, look_up),
            named => named,
        }
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "naming the function failed");
        Err(NotYet::NoOwnFrame)
    })
}

/// Looks up every address of a profile, so that its names are kept for when the process is gone.
pub(super) async fn learn(profile: Arc<Profile>, names: Names) -> Done {
    let work = move || {
        let mut addresses: Vec<u64> =
            profile.stacks.iter().flat_map(|stack| stack.stack.iter().copied()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        drop(names.look_up(&profile.mappings, &addresses));
    };
    if let Err(error) = tokio::task::spawn_blocking(work).await {
        tracing::error!(%error, "looking up the names of a heap profile failed");
    }
    Done::Named(None)
}
