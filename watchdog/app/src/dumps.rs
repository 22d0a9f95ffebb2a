//! Heap profiles as people ask for them: stored dumps and profiles of now, in every format, with names.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use watchdog_heap::capture::Encoding as Stored;
use watchdog_heap::difference::Difference;
use watchdog_heap::flamegraph::FlamegraphError;
use watchdog_heap::store::DumpMeta;
use watchdog_heap::symbolize::Symbolizer;
use watchdog_heap::symbols::Symbols;
use watchdog_web::dumps::{
    CaptureError, CaptureFuture, Dump, Dumps, Encoding, Format, Live, RenderError, RenderFuture,
    Rendered,
};

use crate::context::{CaptureRequest, Context, Shown, lock};
use crate::render::{self, Subject};

impl Dumps for Context {
    fn list(&self, target: Option<&str>) -> Vec<Dump> {
        let mut dumps: Vec<_> = self.store.list(target).iter().map(to_wire).collect();
        dumps.reverse();
        dumps
    }

    fn path(&self, id: &str) -> Option<(Dump, PathBuf)> {
        let path = self.store.path(id)?;
        Some((to_wire(&self.store.find(id)?), path))
    }

    fn capture(&self, target: String) -> CaptureFuture<'_> {
        Box::pin(async move {
            let (sender, answer) = oneshot::channel();
            self.ask(&target, CaptureRequest::Store(sender))?;
            answer.await.unwrap_or_else(|_| Err(gone()))
        })
    }

    fn render(&self, id: String, format: Format, base: Option<String>) -> RenderFuture<'_> {
        Box::pin(async move {
            let Ok(_turn) = self.rendering.acquire().await else { return Err(RenderError::Busy) };
            let (shown, meta) = self.stored(id).await?;
            let base = match base {
                Some(base) => Some(self.stored(base).await?.0),
                None => None,
            };
            blocking(move || {
                rendered(&shown, base.as_ref(), format, &meta.target, encoding(meta.encoding))
            })
            .await
        })
    }

    fn profile(&self, target: String, wanted: Live) -> RenderFuture<'_> {
        Box::pin(async move {
            let earlier = match (wanted.seconds, wanted.base) {
                (Some(seconds), _) => {
                    let earlier = self.show(&target).await?;
                    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
                    Some(earlier)
                }
                (None, Some(base)) => Some(self.stored(base).await?.0),
                (None, None) => None,
            };
            let shown = self.show(&target).await?;
            let Ok(_turn) = self.rendering.acquire().await else { return Err(RenderError::Busy) };
            let encoding = Encoding::JemallocText;
            blocking(move || rendered(&shown, earlier.as_ref(), wanted.format, &target, encoding))
                .await
        })
    }
}

impl Context {
    fn ask(&self, target: &str, request: CaptureRequest) -> Result<(), CaptureError> {
        let slot = self.slot(target).ok_or_else(|| CaptureError::UnknownTarget(target.into()))?;
        let requests = lock(&slot.requests).clone().ok_or_else(gone)?;
        requests.try_send(request).map_err(|_| CaptureError::Busy)
    }

    /// The heap of a target as it is now.
    pub async fn show(&self, target: &str) -> Result<Shown, RenderError> {
        let (sender, answer) = oneshot::channel();
        self.ask(target, CaptureRequest::Show(sender)).map_err(to_render)?;
        answer.await.unwrap_or_else(|_| Err(gone())).map_err(to_render)
    }

    /// A stored dump, with the files of its process where that still has its place.
    async fn stored(&self, id: String) -> Result<(Shown, DumpMeta), RenderError> {
        let meta = self.store.find(&id).ok_or_else(|| RenderError::UnknownDump(id.clone()))?;
        let slot = self.slot(&meta.target).filter(|slot| {
            let status = lock(&slot.status);
            status.identity.pid == meta.pid
        });
        let symbolizer = slot.and_then(|slot| lock(&slot.symbolizer).clone());
        let symbolizer = symbolizer.unwrap_or_else(|| {
            let names = self.names.clone();
            Arc::new(Symbolizer::offline(names.cache, names.debug_dirs))
        });
        let store = Arc::clone(&self.store);
        blocking(move || {
            let loaded = store.load(&id).map_err(|error| RenderError::Failed(error.to_string()))?;
            let (profile, symbols) = (Arc::new(loaded.profile), Arc::new(loaded.symbols));
            Ok((Shown { profile, symbols, symbolizer: Some(symbolizer) }, meta))
        })
        .await
    }
}

fn rendered(
    now: &Shown,
    earlier: Option<&Shown>,
    format: Format,
    target: &str,
    encoding: Encoding,
) -> Result<Rendered, RenderError> {
    let taken = now.profile.taken;
    let mut symbols = named(now);
    let difference = earlier.map(|earlier| {
        let (before, after) = (&earlier.profile, &now.profile);
        let (difference, both) =
            Difference::between_named(before, &named(earlier), after, &symbols);
        symbols = both;
        difference
    });
    let subject = match &difference {
        None => Subject::Profile(&now.profile),
        Some(difference) => Subject::Difference(difference),
    };
    let bytes = render::bytes(subject, &symbols, format, target).map_err(|error| match error {
        render::RenderError::Flamegraph(empty @ FlamegraphError::Empty(_)) => {
            RenderError::Unavailable(empty.to_string())
        }
        other => RenderError::Failed(other.to_string()),
    })?;
    Ok(Rendered { bytes, taken, encoding })
}

/// The names that came with a profile, else those that its files give.
fn named(shown: &Shown) -> Symbols {
    match &shown.symbolizer {
        Some(symbolizer) if shown.symbols.is_empty() => {
            let stacks = shown.profile.stacks.iter();
            let addresses = stacks.flat_map(|stack| stack.stack.iter().copied());
            symbolizer.symbols(&shown.profile.mappings, addresses)
        }
        _ => Symbols::clone(&shown.symbols),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RenderError> + Send + 'static,
) -> Result<T, RenderError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(RenderError::Failed(error.to_string())))
}

fn gone() -> CaptureError {
    CaptureError::Unavailable("the process is gone".into())
}

fn to_render(error: CaptureError) -> RenderError {
    match error {
        CaptureError::UnknownTarget(target) => RenderError::UnknownTarget(target),
        CaptureError::Unavailable(why) => RenderError::Unavailable(why),
        CaptureError::Busy => RenderError::Busy,
        CaptureError::Failed(why) => RenderError::Failed(why),
    }
}

fn encoding(stored: Stored) -> Encoding {
    match stored {
        Stored::JemallocText => Encoding::JemallocText,
        Stored::Pprof => Encoding::Pprof,
    }
}

/// A stored dump as the web shows it.
pub fn to_wire(meta: &DumpMeta) -> Dump {
    Dump {
        id: meta.id.clone(),
        target: meta.target.clone(),
        pid: meta.pid,
        taken: meta.taken,
        size: meta.bytes,
        incident: meta.incident.clone(),
        reason: Some(meta.reason.clone()),
        verdict: Some(meta.verdict),
        inuse_space: Some(meta.inuse_space),
        used: meta.used,
        limit: meta.limit,
        source: Some(meta.source.as_str().to_owned()),
        build_id: meta.build_id.clone(),
        encoding: Some(encoding(meta.encoding)),
    }
}
