//! Takes heap profiles: over HTTP from the probe or from Go, or from the files that jemalloc writes by itself.
//!
//! Every source ends in [`Captured`]: the bytes an archive keeps and the profile they stand for. Which of the two
//! formats it is, is told from the bytes and not from what the source says of itself.

mod decode;
mod error;
mod files;
mod http;
mod source;

use watchdog_core::profile::Profile;

use crate::symbols::Symbols;

pub use decode::{DecodeError, Encoding, decode};
pub use error::CaptureError;
pub use files::DumpFiles;
pub use http::HeapClient;
pub(crate) use http::http_client;
pub use source::SourceKind;

/// Most bytes of a profile that are kept unless a source is told otherwise: 100,000 stacks of 42 frames are 67 MB of
/// jemalloc's text, usual are a few MB.
pub const MAX_BYTES: usize = 64 << 20;

/// A profile and the bytes it was read from, which is what an archive keeps.
#[derive(Clone, Debug)]
pub struct Captured {
    /// jemalloc's text, or gzip-compressed pprof protobuf.
    pub raw: Vec<u8>,
    /// Which of the two.
    pub encoding: Encoding,
    /// The same, read and corrected for sampling.
    pub profile: Profile,
    /// Names that came with the profile, as Go's do; empty where only addresses came.
    pub symbols: Symbols,
}
