//! The watchdog's side of a recorder: what was recorded, whoever wrote it and whatever became of them.
//!
//! Reading is done with `pread`, not through a mapping: a file that is cut short under a mapping kills the process
//! that looks at it, and the watchdog must survive whatever it watches.

mod snapshot;
mod source;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use rustix::thread::futex;

use crate::error::RecorderError;
use crate::file::open_own;
use crate::geometry::{Geometry, HEADER_WORDS};
use crate::layout::{self, word};
use crate::map::Map;
use crate::statistics::AllocatorStatistics;
pub use snapshot::{Drops, RecordedStack, Snapshot};
pub use source::Source;

/// Reads a recorder. The process that writes it knows nothing of this and is not slowed down.
pub struct Reader<S: Source = File> {
    source: S,
    name: String,
    geometry: Geometry,
}

impl Reader<File> {
    /// Opens the recorder at `path`: a regular file of this user that nobody else may write to.
    ///
    /// # Errors
    /// When it is not such a file, not a recorder of this version, or shorter than its header tells.
    pub fn open(path: &Path) -> Result<Self, RecorderError> {
        Self::over(open_own(path, true)?, path.display().to_string())
    }

    /// Asks the process to refresh the allocator's statistics, and returns the number of the request. They are there
    /// once [`crate::AllocatorStatistics::answers`] is this number, usually within a millisecond; a process that hangs
    /// never answers. One asker at a time.
    ///
    /// # Errors
    /// [`RecorderError::Io`] when the file cannot be written to.
    pub fn request_statistics(&self) -> Result<u32, RecorderError> {
        self.request().map_err(RecorderError::io("ask for statistics in", self.name.as_str()))
    }

    fn request(&self) -> io::Result<u32> {
        let offset = (word::WANTED * size_of::<u64>()) as u64;
        let mut bytes = [0_u8; 4];
        self.source.read_exact_at(&mut bytes, offset)?;
        let number = u32::from_ne_bytes(bytes).wrapping_add(1);
        self.source.write_all_at(&number.to_ne_bytes(), offset)?;
        // The mapping is only there to name the futex to the kernel; nothing is read through it.
        let header = Map::of(&self.source, HEADER_WORDS * size_of::<u64>())?;
        if let Some(wanted) = header.wanted() {
            futex::wake(wanted, futex::Flags::empty(), 1)?;
        }
        Ok(number)
    }
}

impl<S: Source> Reader<S> {
    /// Reads a recorder from any source of bytes: a file opened elsewhere, a copy in memory. `name` is for errors.
    ///
    /// # Errors
    /// When it is not a recorder of this version, or shorter than its header tells.
    pub fn over(source: S, name: String) -> Result<Self, RecorderError> {
        let mut words = [0_u64; layout::CREATED];
        let length = source.length().map_err(RecorderError::io("look at", name.as_str()))?;
        let short = |expected| RecorderError::Short { name: name.clone(), bytes: length, expected };
        let page = (HEADER_WORDS * size_of::<u64>()) as u64;
        if length < page {
            return Err(short(page));
        }
        source::words_at(&source, 0, &mut words)
            .map_err(RecorderError::io("read", name.as_str()))?;
        let geometry = layout::validate(&words, &name)?;
        if length < geometry.bytes() as u64 {
            return Err(short(geometry.bytes() as u64));
        }
        Ok(Self { source, name, geometry })
    }

    /// The table's sizes.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    pub(crate) fn source(&self) -> &S {
        &self.source
    }

    /// What is recorded now. See [`Snapshot`] for how exact that is while the process runs.
    ///
    /// # Errors
    /// [`RecorderError::Io`] when the file cannot be read, also because it was cut short meanwhile.
    pub fn snapshot(&self) -> Result<Snapshot, RecorderError> {
        let mut snapshot = Snapshot::default();
        self.snapshot_into(&mut snapshot)?;
        Ok(snapshot)
    }

    /// What the allocator last said of itself, and how long ago; `None` when it never did or died in doing so. Reads a
    /// hundred bytes.
    ///
    /// # Errors
    /// As [`Reader::snapshot`].
    pub fn statistics(&self) -> Result<Option<(AllocatorStatistics, Duration)>, RecorderError> {
        snapshot::statistics(&self.source).map_err(RecorderError::io("read", self.name.as_str()))
    }

    /// As [`Reader::snapshot`], into a snapshot of before: its memory is used again. After an error its content means nothing.
    ///
    /// # Errors
    /// As [`Reader::snapshot`].
    pub fn snapshot_into(&self, snapshot: &mut Snapshot) -> Result<(), RecorderError> {
        snapshot
            .read(&self.source, &self.geometry)
            .map_err(RecorderError::io("read", self.name.as_str()))
    }
}

#[cfg(test)]
mod tests;
