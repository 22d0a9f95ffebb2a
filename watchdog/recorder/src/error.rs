//! What can be wrong with a recorder's file or directory, with the way to mend it.

use std::io;
use std::path::PathBuf;

/// Why a recorder cannot be made, written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// A size of the table is out of bounds.
    #[error("the recorder's {what} is {value}, which must be {allowed}")]
    Geometry {
        /// Which size.
        what: &'static str,
        /// What it is.
        value: usize,
        /// What it may be.
        allowed: &'static str,
    },
    /// A file or directory could not be used.
    #[error("could not {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The file is not what its name says, or somebody else's.
    #[error("{path} is {what}, so it is left alone; only regular files of this user are recorders")]
    Stranger {
        /// Which file.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// The file's header does not make sense.
    #[error(
        "{name} is no flight recorder of this version: {what} is {value:#x} where {expected:#x} is expected; the watchdog makes such files, of its own version, and replaces spare ones"
    )]
    Header {
        /// The file.
        name: String,
        /// Which word.
        what: &'static str,
        /// What was found.
        value: u64,
        /// What should be there.
        expected: u64,
    },
    /// Another watchdog tends this directory.
    #[error("another watchdog keeps the recorders in {path}; give each watchdog its own directory")]
    Kept {
        /// The directory.
        path: PathBuf,
    },
    /// The directory is full of tables.
    #[error(
        "{path} holds {tables} recorders that are in use, the most there may be; processes that start now are not recorded until some of the dead are removed"
    )]
    TooMany {
        /// The directory.
        path: PathBuf,
        /// How many are in use.
        tables: usize,
    },
    /// `/proc/self/stat` could not be understood.
    #[error("/proc/self/stat does not tell when this process started: {text:?}")]
    Identity {
        /// What is in it.
        text: String,
    },
    /// The file shrank or ended early.
    #[error("{name} ends after {bytes} bytes, {expected} were expected; somebody cut it")]
    Short {
        /// The file.
        name: String,
        /// Its length.
        bytes: u64,
        /// The length that its header tells.
        expected: u64,
    },
}

impl RecorderError {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
