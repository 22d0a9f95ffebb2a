//! Why there is no profile.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;
use watchdog_core::units::Bytes;

use super::DecodeError;

/// Why there is no profile. Addresses are shown without user name, password and query.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The address cannot be asked.
    #[error(
        "`{url}` cannot be asked for a heap profile: give an address such as http://127.0.0.1:9090"
    )]
    Address {
        /// The address.
        url: String,
    },
    /// The HTTP client could not be set up.
    #[error("cannot set up HTTP for {url}: {cause}")]
    Client {
        /// The address.
        url: String,
        /// What is wrong.
        cause: String,
    },
    /// No connection, or it broke.
    #[error("no heap profile from {url}: {cause}")]
    Unreachable {
        /// The address.
        url: String,
        /// What is wrong.
        cause: String,
    },
    /// Too slow.
    #[error("no heap profile from {url} within {} s: the service hangs or its dump is very large", .deadline.as_secs_f64())]
    Deadline {
        /// The address.
        url: String,
        /// How long was waited.
        deadline: Duration,
    },
    /// An answer other than 200.
    #[error("{url} answered {status}{}{reason}", if .reason.is_empty() { "" } else { ": " })]
    Refused {
        /// The address.
        url: String,
        /// The answer.
        status: StatusCode,
        /// The beginning of the answer's text, at most 512 bytes.
        reason: String,
    },
    /// An answer that was compressed although plain was asked for.
    #[error(
        "the answer of {url} was compressed on its way (Content-Encoding: {coding}): ask the service itself, not a proxy before it"
    )]
    Coded {
        /// The address.
        url: String,
        /// What the header says.
        coding: String,
    },
    /// More than is kept of a profile.
    #[error(
        "the heap profile of {origin} is larger than {limit}: sample fewer allocations (jemalloc: raise lg_prof_sample; Go: raise runtime.MemProfileRate)"
    )]
    TooLarge {
        /// The address or the file.
        origin: String,
        /// The bound.
        limit: Bytes,
    },
    /// Bytes that are no heap profile.
    #[error("{origin} is no heap profile: {source}")]
    Unreadable {
        /// The answer of which address, or which file.
        origin: String,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The program is shutting down.
    #[error("reading the heap profile of {url} was interrupted")]
    Interrupted {
        /// The address.
        url: String,
    },
    /// A prefix that names no file.
    #[error(
        "`{}` is no prefix of jemalloc's dump files: give the value of prof_prefix, such as /var/tmp/jeprof", .prefix.display()
    )]
    Prefix {
        /// The prefix.
        prefix: PathBuf,
    },
    /// The file system refused.
    #[error("cannot read {}: {source}; may the watchdog read what the service writes there?", .path.display())]
    Io {
        /// The directory or the file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A directory too full to look through.
    #[error(
        "{} holds more than {limit} files: remove old ones, or let jemalloc write fewer (raise lg_prof_interval, turn prof_gdump off)", .dir.display()
    )]
    TooManyFiles {
        /// The directory.
        dir: PathBuf,
        /// The bound.
        limit: usize,
    },
}
