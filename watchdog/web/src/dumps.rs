//! Stored heap dumps as this crate sees them: listed, opened, and one more captured on request.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use serde::Serialize;
use watchdog_core::units::{Bytes, WallTime};

/// The store of heap dumps. `list` and `path` may not block; what takes time is `capture`.
pub trait Dumps: Send + Sync {
    /// All stored dumps, newest first, or those of one target.
    fn list(&self, target: Option<&str>) -> Vec<Dump>;

    /// The file of a dump in jemalloc's text format; `None` when there is no such dump.
    fn path(&self, id: &str) -> Option<(Dump, PathBuf)>;

    /// Takes a heap profile of `target` now and stores it. Dropping the future gives up.
    fn capture(&self, target: String) -> CaptureFuture<'_>;
}

/// A capture under way.
pub type CaptureFuture<'a> = Pin<Box<dyn Future<Output = Result<Dump, CaptureError>> + Send + 'a>>;

/// One stored heap dump.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dump {
    /// Unique; letters, digits, `.`, `_` and `-`.
    pub id: String,
    /// Whose heap it is.
    pub target: String,
    /// The process.
    pub pid: u32,
    /// When it was taken.
    pub taken: WallTime,
    /// Size of the file.
    pub size: Bytes,
    /// The incident it was taken for.
    pub incident: Option<String>,
}

/// Why no heap profile was taken. The texts reach whoever asked, so they hold no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// No target has that name.
    #[error("no target is called `{0}`; `/api/v1/targets` lists them")]
    UnknownTarget(String),
    /// The target offers no profile now; the text says why and how to mend it.
    #[error("no heap profile can be taken: {0}")]
    Unavailable(String),
    /// Another capture of it runs.
    #[error("a heap profile of this target is being taken; try again when it is done")]
    Busy,
    /// It was tried and did not work; the text says what happened.
    #[error("the heap profile could not be taken: {0}")]
    Failed(String),
}
