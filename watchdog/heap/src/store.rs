//! Heap dumps on disk: the raw bytes and a JSON description beside them, within bounds.
//!
//! A dump is `ID.heap` (jemalloc's text) or `ID.pb.gz` (pprof), and `ID.json`. Both are written under a temporary name
//! and synced; then the description is renamed, then the dump. So a dump is always whole and always described, and a
//! crash in between leaves at most a description, which the next start removes. A new dump is written before an old
//! one goes. One program at a time writes to a directory; its descriptions are held in memory, so that looking
//! through them touches no disk.

mod disk;
mod error;
mod index;
mod meta;
mod retention;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use watchdog_core::profile::Profile;
use watchdog_core::units::{Bytes, WallTime};

use crate::capture::decode;
use crate::symbols::Symbols;

use disk::Dir;
use index::Index;

pub use error::{LoadError, StoreError};
pub use meta::{DumpMeta, Module, Modules, NewDump};

/// Longest name of a target in bytes; a host name has at most 253.
const MAX_TARGET: usize = 256;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreBounds {
    /// Most dumps of one target, at least 2: of its newest ramp the first and the last stay.
    pub count_per_target: usize,
    /// Most bytes of one target's dumps.
    pub bytes_per_target: Bytes,
    /// Most bytes of all dumps together. While a dump is written it stands beside those it will replace.
    pub total_bytes: Bytes,
    /// How old a dump may become. A target's newest has no age.
    pub max_age: Option<Duration>,
}

impl Default for StoreBounds {
    /// Four ramps of five dumps, 128 MiB of a target, 256 MiB in all, no age.
    fn default() -> Self {
        Self {
            count_per_target: 20,
            bytes_per_target: Bytes::from_mib(128),
            total_bytes: Bytes::from_mib(256),
            max_age: None,
        }
    }
}

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of dumps.
    pub dumps: usize,
    /// Their bytes, without the descriptions.
    pub bytes: Bytes,
}

/// A dump read back.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What is known of it.
    pub meta: DumpMeta,
    /// The profile, its mappings with the build ids that were stored beside it.
    pub profile: Profile,
    /// Names that are in the dump itself, as in Go's; else empty.
    pub symbols: Symbols,
}

/// A directory of heap dumps. Methods that write or read a dump block on the disk.
#[derive(Debug)]
pub struct DumpStore {
    dir: Dir,
    bounds: StoreBounds,
    /// Sequence number of the next dump; held while one is written, so that writers take turns.
    next: Mutex<u64>,
    /// Never locked while the disk is waited for.
    index: Mutex<Index>,
}

impl DumpStore {
    /// Opens the store in `dir`, which is made if it is missing and then readable by its owner only. Removes what
    /// a crash left unfinished; warns of files that are not a dump and leaves them alone. Of more than 1,000 dumps the
    /// newest are taken.
    ///
    /// # Errors
    /// [`StoreError`] when the bounds allow nothing or the directory cannot be made or read.
    pub fn open(dir: PathBuf, bounds: StoreBounds) -> Result<Self, StoreError> {
        let bytes = bounds.total_bytes.min(bounds.bytes_per_target);
        if bounds.count_per_target < 2 || bytes == Bytes(0) {
            return Err(StoreError::Bounds { count: bounds.count_per_target, bytes });
        }
        let dir = Dir::open(dir)?;
        let (dumps, last) = dir.take_stock()?;
        let next = Mutex::new(last.saturating_add(1));
        Ok(Self { dir, bounds, next, index: Mutex::new(Index::new(dumps)) })
    }

    /// Writes a dump, then removes what exceeds the bounds. What goes first: of a ramp with more than five dumps those
    /// that are closest to their neighbours; dumps that are too old; a target's older ramps, the oldest first; what
    /// is between first and last of the newest ramps; then other targets' first and last; at last this target's
    /// first. The dump just written always stays.
    ///
    /// # Errors
    /// [`StoreError`] when it does not fit or the disk refuses; nothing of it is left behind then.
    pub fn put(&self, dump: &NewDump, raw: &[u8]) -> Result<DumpMeta, StoreError> {
        let bytes = Bytes(raw.len() as u64);
        let most = self.bounds.total_bytes.min(self.bounds.bytes_per_target);
        if bytes > most {
            return Err(StoreError::TooLarge { bytes, most });
        }
        if dump.target.is_empty() || dump.target.len() > MAX_TARGET {
            return Err(StoreError::TargetName { length: dump.target.len() });
        }
        // The number is only ever raised, so it is good even after a panic of another writer.
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let meta = DumpMeta::new(dump, *next, bytes);
        *next = next.saturating_add(1);
        self.dir.write(&meta, raw)?;
        self.index().add(meta.clone());
        self.retain(Some(&meta.id), meta.taken);
        Ok(meta)
    }

    /// Removes what is too old at `now`, or exceeds the bounds because they are narrower than they were, and forgets
    /// dumps whose file somebody else removed. Returns how many went.
    pub fn sweep(&self, now: WallTime) -> usize {
        // A writer may be about to remove something itself.
        let _turn = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lost = self.list(None);
        lost.retain(|dump| self.dir.lost(dump));
        for dump in &lost {
            tracing::warn!(id = dump.id, "a heap dump was removed by somebody else");
            self.dir.remove(dump);
            self.index().remove(&dump.id);
        }
        lost.len() + self.retain(None, now)
    }

    /// Descriptions of all dumps, or of one target's, in the order they were stored.
    pub fn list(&self, target: Option<&str>) -> Vec<DumpMeta> {
        let index = self.index();
        let wanted = index.dumps().filter(|dump| target.is_none_or(|target| dump.target == target));
        wanted.cloned().collect()
    }

    /// The description of one dump. `id` may come from anywhere.
    pub fn find(&self, id: &str) -> Option<DumpMeta> {
        self.index().find(id).cloned()
    }

    /// The file of a dump. `id` may come from anywhere: only what is in the store is looked up.
    pub fn path(&self, id: &str) -> Option<PathBuf> {
        self.find(id).filter(|dump| self.dir.has(dump)).map(|dump| self.dir.path(&dump))
    }

    /// Reads a dump back. `id` may come from anywhere.
    ///
    /// # Errors
    /// [`LoadError`] when there is no such dump, or it is damaged.
    pub fn load(&self, id: &str) -> Result<Loaded, LoadError> {
        let meta = self.find(id).ok_or_else(|| LoadError::unknown(id))?;
        let path = self.dir.path(&meta);
        let raw = self.dir.read(&meta)?;
        // Compressed dumps unpack to at most what one in the clear may have.
        let read = decode(raw, meta.taken, crate::capture::MAX_BYTES)
            .map_err(|source| LoadError::Unreadable { path, source })?;
        let mut profile = read.profile;
        profile.lost_samples = profile.lost_samples.max(meta.lost_samples);
        for mapping in profile.mappings.iter_mut().filter(|mapping| mapping.build_id.is_none()) {
            let module = meta.modules.iter().find(|module| module.path == mapping.path);
            mapping.build_id = module.and_then(|module| module.build_id.clone());
        }
        Ok(Loaded { meta, profile, symbols: read.symbols })
    }

    /// How much may be held.
    pub fn bounds(&self) -> StoreBounds {
        self.bounds
    }

    /// How much is held now.
    pub fn usage(&self) -> Usage {
        let index = self.index();
        let bytes = index.dumps().fold(Bytes(0), |sum, dump| sum + dump.bytes);
        Usage { dumps: index.dumps().len(), bytes }
    }

    /// Called by one writer at a time.
    fn retain(&self, written: Option<&str>, now: WallTime) -> usize {
        let dumps = self.list(None);
        let mut removed = 0;
        for dump in retention::surplus(&dumps, written, &self.bounds, now) {
            // What could not be removed stays known, and is tried again with the next dump.
            if self.dir.remove(dump) {
                self.index().remove(&dump.id);
                removed += 1;
            }
        }
        removed
    }

    /// The index is whole between any two of its own calls, so it is good even after a panic of another thread.
    fn index(&self) -> std::sync::MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
