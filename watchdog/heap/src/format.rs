//! Tells the formats of heap profiles apart and reads either.

use watchdog_core::units::WallTime;

use crate::jemalloc::{self, ParseError, ParseLimits};
use crate::pprof::{self, PprofError, Read, ReadLimits};
use crate::symbols::Symbols;

/// Bounds on a profile of either format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// For jemalloc's text.
    pub jemalloc: ParseLimits,
    /// For pprof.
    pub pprof: ReadLimits,
}

/// Why bytes are not a heap profile that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// No bytes.
    #[error("the file is empty; take the profile again")]
    Empty,
    /// jemalloc's text, and something is wrong with it.
    #[error(transparent)]
    Jemalloc(#[from] ParseError),
    /// pprof, and something is wrong with it.
    #[error(transparent)]
    Pprof(#[from] PprofError),
    /// Something else that is well known.
    #[error("this is {what}; {instead}")]
    Known {
        /// What it is.
        what: &'static str,
        /// What to give instead.
        instead: &'static str,
    },
    /// Anything else.
    #[error(
        "not a heap profile: it begins with `{0}`; jemalloc's text (`heap_v2/…`) and pprof's protobuf, compressed or not, are read"
    )]
    Unknown(String),
}

/// Beginnings of files that people take for heap profiles, what they are, and what to give instead.
const KNOWN: [(&[u8], &str, &str); 12] = [
    (b"--- symbol", "the output of `jeprof --raw`", "give the dump itself, which jeprof was given"),
    (
        b"heap profile:",
        "the text of gperftools or of Go's `?debug=1`",
        "fetch it again without `debug=1`, or convert it with `go tool pprof -proto`",
    ),
    (b"heap_v1", "a dump of a jemalloc before 4.0", "link a newer jemalloc"),
    (b"<", "HTML or XML, perhaps an error page", "check the address that it was fetched from"),
    (b"{", "JSON", "give jemalloc's text or pprof's protobuf"),
    (b"\x7fELF", "a program", "give the profile first, and the program as its symbols"),
    (b"PK\x03\x04", "a zip archive", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "decompress it with `zstd -d` first"),
    (b"\xfd7zXZ", "compressed with xz", "decompress it with `xz -d` first"),
    (b"PERFILE2", "a recording of perf", "give a heap profile"),
    (b"JAVA PROFILE", "a heap dump of Java", "give a heap profile of jemalloc or Go"),
    (b"HTTP/", "an HTTP answer with its headers", "store only its body"),
];

/// Reads jemalloc's text or pprof's protobuf, either of them compressed with gzip or not. `taken` is the time of a
/// profile that does not know its own.
///
/// # Errors
/// [`FormatError`] says what the bytes are instead, or what is wrong with them.
pub fn read(bytes: &[u8], taken: WallTime, limits: &Limits) -> Result<Read, FormatError> {
    if pprof::is_gzip(bytes) {
        return read_plain(&pprof::gunzip(bytes, limits.pprof.max_bytes)?, taken, limits);
    }
    read_plain(bytes, taken, limits)
}

fn read_plain(bytes: &[u8], taken: WallTime, limits: &Limits) -> Result<Read, FormatError> {
    if bytes.is_empty() {
        return Err(FormatError::Empty);
    }
    if bytes.starts_with(b"heap_v2/") {
        let profile = jemalloc::parse(bytes, taken, &limits.jemalloc)?;
        return Ok(Read { profile, symbols: Symbols::default(), ..Read::default() });
    }
    let text = bytes.trim_ascii_start();
    if let Some((_, what, instead)) = KNOWN.iter().find(|(begin, ..)| text.starts_with(begin)) {
        return Err(FormatError::Known { what, instead });
    }
    let mut read = pprof::read(bytes, &limits.pprof).map_err(|error| match error {
        // What is no protobuf at all is better told by how it begins.
        PprofError::Malformed(_) if !begins_like_pprof(bytes) => {
            let begin = bytes.get(..32).unwrap_or(bytes);
            FormatError::Unknown(begin.escape_ascii().to_string())
        }
        error => error.into(),
    })?;
    if read.profile.taken == WallTime(0.0) {
        read.profile.taken = taken;
    }
    Ok(read)
}

/// Whether the first field is a message or text of a profile, which every writer begins with.
fn begins_like_pprof(bytes: &[u8]) -> bool {
    const SAMPLE_TYPE: u8 = 0x0a;
    const STRING_TABLE: u8 = 0x32;
    matches!(bytes.first(), Some(&(SAMPLE_TYPE | STRING_TABLE)))
}
