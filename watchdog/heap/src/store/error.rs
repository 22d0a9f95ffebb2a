//! Why a dump was not stored, or not read back.

use std::io;
use std::path::PathBuf;

use watchdog_core::units::Bytes;

use crate::capture::DecodeError;

/// How much of an id from outside is repeated.
const MAX_ID: usize = 128;

/// Why a dump was not stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Bounds that allow nothing.
    #[error(
        "a dump store needs room for at least 2 dumps per target and 1 byte, got {count} and {bytes}"
    )]
    Bounds {
        /// Dumps per target asked for.
        count: usize,
        /// Bytes asked for, the lower of those per target and in all.
        bytes: Bytes,
    },
    /// A name that cannot be kept.
    #[error("a target's name must have 1 to 256 bytes, this one has {length}")]
    TargetName {
        /// Its length in bytes.
        length: usize,
    },
    /// A dump larger than all that may be kept.
    #[error(
        "a heap dump of {bytes} does not fit into a store that may keep {most} of a target: raise the store's size"
    )]
    TooLarge {
        /// The dump's size.
        bytes: Bytes,
        /// The store's bound, the lower of that per target and that in all.
        most: Bytes,
    },
    /// The file system refused.
    #[error("cannot write {}: {source}; is the disk full, or the directory not writable?", .path.display())]
    Io {
        /// What could not be written.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Why a stored dump was not read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No such dump.
    #[error("there is no heap dump `{id}`; it may have made room for newer ones")]
    Unknown {
        /// The beginning of what was asked for.
        id: String,
    },
    /// The file system refused.
    #[error("cannot read {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Not the bytes that were stored.
    #[error("{} has {found} instead of {expected}: it was changed or damaged since it was stored", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its size when it was stored.
        expected: Bytes,
        /// Its size now; of a file that grew, what was read of it.
        found: Bytes,
    },
    /// Not a profile.
    #[error("{} is no heap profile: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: DecodeError,
    },
}

impl LoadError {
    pub(super) fn unknown(id: &str) -> Self {
        let shown = id.chars().take(MAX_ID).map(|c| if c.is_control() { '?' } else { c });
        Self::Unknown { id: shown.collect() }
    }
}
