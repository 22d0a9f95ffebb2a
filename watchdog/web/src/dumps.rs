//! Heap dumps and profiles as this crate sees them: listed, opened, rendered, and one more captured on request.

mod form;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use serde::Serialize;
use watchdog_core::units::{Bytes, WallTime};
use watchdog_core::verdict::Kind;

pub use form::{Encoding, Format, Live, RenderError, RenderFuture, Rendered, UnknownFormat};

/// The store of heap dumps, and the way to profiles of now. `list` and `path` may not block; what takes time is a
/// future, and what computes for long within one belongs on a thread of its own. Dropping a future gives up.
pub trait Dumps: Send + Sync {
    /// All stored dumps, newest first, or those of one target.
    fn list(&self, target: Option<&str>) -> Vec<Dump>;

    /// The file of a dump as it was taken, in its [`Dump::encoding`]; `None` when there is no such dump. A dump never
    /// changes under its id.
    fn path(&self, id: &str) -> Option<(Dump, PathBuf)>;

    /// Takes a heap profile of `target` now and stores it.
    fn capture(&self, target: String) -> CaptureFuture<'_>;

    /// A stored dump in another format, less the stored dump `base` where one is given and the format
    /// [shows growth](Format::shows_growth). Never asked for [`Format::Raw`], which is the file itself.
    fn render(&self, id: String, format: Format, base: Option<String>) -> RenderFuture<'_>;

    /// The heap of `target` as it is now, or its growth; nothing is stored.
    fn profile(&self, target: String, wanted: Live) -> RenderFuture<'_>;
}

/// A capture under way.
pub type CaptureFuture<'a> = Pin<Box<dyn Future<Output = Result<Dump, CaptureError>> + Send + 'a>>;

/// One stored heap dump. What is not known of it is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
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
    /// Why it was taken, for people.
    pub reason: Option<String>,
    /// What was thought of the process then.
    pub verdict: Option<Kind>,
    /// Bytes in use according to the dump, corrected for sampling.
    pub inuse_space: Option<Bytes>,
    /// What counted against the limit then.
    pub used: Option<Bytes>,
    /// The limit then.
    pub limit: Option<Bytes>,
    /// How it was taken, in a word such as `recorder` or `probe`.
    pub source: Option<String>,
    /// Build id of the program, in hexadecimal.
    pub build_id: Option<String>,
    /// What the file is.
    pub encoding: Option<Encoding>,
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
