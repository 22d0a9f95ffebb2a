//! Heap dumps on disk: the raw text and a JSON description beside it, within bounds.
//!
//! A dump is `ID.heap` and `ID.json`. Both are written under a temporary name and synced; then the description
//! is renamed, then the dump. So a `.heap` file is always whole and always described, and a crash in between
//! leaves at most a description, which the next start removes. One program at a time writes to a directory.

mod meta;
mod retention;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use watchdog_core::units::Bytes;

pub use meta::{DumpMeta, NewDump};

/// Prefix of files that are not finished.
const TEMPORARY: &str = ".tmp-";

/// Longest name of a target in bytes; a host name has at most 253.
const MAX_TARGET: usize = 256;

/// A description is under 2 KiB; more is not one of ours.
const MAX_META: u64 = 16 << 10;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreBounds {
    /// Most dumps of one target, at least 2: its first and its newest stay.
    pub count_per_target: usize,
    /// Most bytes of all dumps together. While a dump is written it stands beside those it will replace.
    pub total_bytes: Bytes,
}

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
        /// Bytes asked for.
        bytes: Bytes,
    },
    /// A name that cannot be kept.
    #[error("a target's name must have 1 to 256 bytes, this one has {length}")]
    TargetName {
        /// Its length in bytes.
        length: usize,
    },
    /// A dump that would not leave room for anything else.
    #[error("a heap dump of {bytes} does not fit into a store of {total}: raise the store's size")]
    TooLarge {
        /// The dump's size.
        bytes: Bytes,
        /// The store's bound.
        total: Bytes,
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

/// A directory of heap dumps. All methods block on the disk.
#[derive(Debug)]
pub struct DumpStore {
    dir: PathBuf,
    bounds: StoreBounds,
    /// Sequence number of the next dump; held while one is written, so that writers take turns.
    next: Mutex<u64>,
}

impl DumpStore {
    /// Opens the store in `dir`, which is made if it is missing and then readable by its owner only. Removes what
    /// a crash left unfinished; warns of files that are not a dump and leaves them alone.
    ///
    /// # Errors
    /// [`StoreError`] when the bounds allow nothing or the directory cannot be made or read.
    pub fn open(dir: PathBuf, bounds: StoreBounds) -> Result<Self, StoreError> {
        if bounds.count_per_target < 2 || bounds.total_bytes == Bytes(0) {
            let (count, bytes) = (bounds.count_per_target, bounds.total_bytes);
            return Err(StoreError::Bounds { count, bytes });
        }
        let failed = |source| StoreError::Io { path: dir.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed)?;
        let mut last = 0;
        for name in file_names(&dir).map_err(failed)? {
            last = last.max(take_stock(&dir, &name));
        }
        Ok(Self { dir, bounds, next: Mutex::new(last + 1) })
    }

    /// Writes a dump, then removes what exceeds the bounds: dumps between a target's first and newest first, the
    /// oldest before the younger; then other targets' first and newest; at last this target's first. The dump just
    /// written always stays.
    ///
    /// # Errors
    /// [`StoreError`] when it does not fit or the disk refuses; nothing of it is left behind then.
    pub fn put(&self, dump: &NewDump, raw: &[u8]) -> Result<DumpMeta, StoreError> {
        let bytes = Bytes(raw.len() as u64);
        if bytes > self.bounds.total_bytes {
            return Err(StoreError::TooLarge { bytes, total: self.bounds.total_bytes });
        }
        if dump.target.is_empty() || dump.target.len() > MAX_TARGET {
            return Err(StoreError::TargetName { length: dump.target.len() });
        }
        // The number is only ever raised, so it is good even after a panic of another writer.
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let meta = DumpMeta::new(dump, *next, bytes);
        *next += 1;
        self.write(&meta, raw)?;
        self.retain(&meta);
        Ok(meta)
    }

    /// Descriptions of all dumps, or of one target's, in the order they were stored.
    pub fn list(&self, target: Option<&str>) -> Vec<DumpMeta> {
        let names = file_names(&self.dir).unwrap_or_else(|error| {
            tracing::warn!(dir = %self.dir.display(), %error, "cannot list heap dumps");
            Vec::new()
        });
        let mut dumps: Vec<DumpMeta> = names
            .iter()
            .filter_map(|name| name.strip_suffix(".json"))
            .filter_map(|id| read(&self.dir, id).ok())
            .filter(|meta| target.is_none_or(|target| meta.target == target))
            .collect();
        dumps.sort_by_key(DumpMeta::sequence);
        dumps
    }

    /// The file of a dump. `id` may come from anywhere: only what a store could have made is looked up.
    pub fn path(&self, id: &str) -> Option<PathBuf> {
        let path = self.dir.join(format!("{id}.heap"));
        (meta::sequence(id).is_some() && path.is_file()).then_some(path)
    }

    fn write(&self, meta: &DumpMeta, raw: &[u8]) -> Result<(), StoreError> {
        let json = serde_json::to_vec_pretty(meta)
            .map_err(|error| self.failed(&meta.id, io::Error::other(error)))?;
        let mut unfinished = Unfinished(Vec::with_capacity(4));
        let staged =
            [(format!("{}.json", meta.id), json.as_slice()), (format!("{}.heap", meta.id), raw)];
        for (name, content) in &staged {
            let path = self.dir.join(format!("{TEMPORARY}{name}"));
            unfinished.0.push(path.clone());
            write_synced(&path, content).map_err(|source| StoreError::Io { path, source })?;
        }
        for (name, _) in &staged {
            let path = self.dir.join(name);
            fs::rename(self.dir.join(format!("{TEMPORARY}{name}")), &path)
                .map_err(|source| self.failed(name, source))?;
            unfinished.0.push(path);
        }
        // Renames last over a power cut only when the directory is synced as well.
        File::open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|source| self.failed(&meta.id, source))?;
        unfinished.0.clear();
        Ok(())
    }

    fn failed(&self, name: &str, source: io::Error) -> StoreError {
        StoreError::Io { path: self.dir.join(name), source }
    }

    fn retain(&self, newest: &DumpMeta) {
        for id in retention::surplus(&self.list(None), &newest.id, &self.bounds) {
            // The dump first: a description alone is small and removed at the next start.
            for extension in ["heap", "json"] {
                let path = self.dir.join(format!("{id}.{extension}"));
                if let Err(error) = fs::remove_file(&path) {
                    tracing::warn!(path = %path.display(), %error, "cannot remove an old heap dump");
                }
            }
        }
    }
}

/// Files to be removed unless everything worked.
struct Unfinished(Vec<PathBuf>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        for path in &self.0 {
            // Most are renamed or were never made; what cannot be removed is removed at the next start.
            drop(fs::remove_file(path));
        }
    }
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Names of the files in a directory; those that are not UTF-8 are not ours, nor are directories.
fn file_names(dir: &Path) -> io::Result<Vec<String>> {
    let files = fs::read_dir(dir)?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_dir()));
    Ok(files.filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

/// Looks at one file when the store is opened and returns its sequence number, 0 if it has none.
fn take_stock(dir: &Path, name: &str) -> u64 {
    if let Some(id) = name.strip_prefix(TEMPORARY) {
        let ours = id.strip_suffix(".json").or_else(|| id.strip_suffix(".heap"));
        if ours.and_then(meta::sequence).is_some() {
            remove_leftover(dir, name);
        }
        return 0;
    }
    let known = name.strip_suffix(".json").or_else(|| name.strip_suffix(".heap"));
    let Some((id, sequence)) = known.and_then(|id| Some((id, meta::sequence(id)?))) else {
        tracing::warn!(dir = %dir.display(), name, "a file among the heap dumps that is none");
        return 0;
    };
    if let Err(problem) = read(dir, id) {
        tracing::warn!(dir = %dir.display(), name, problem, "a heap dump is passed over");
        if name.ends_with(".json") && problem == NO_DUMP {
            remove_leftover(dir, name);
        }
    }
    sequence
}

fn remove_leftover(dir: &Path, name: &str) {
    match fs::remove_file(dir.join(name)) {
        Ok(()) => tracing::info!(name, "removed what a crash left of a heap dump"),
        Err(error) => {
            tracing::warn!(name, %error, "cannot remove what a crash left of a heap dump");
        }
    }
}

const NO_DUMP: &str = "its dump is missing";

/// The description of a dump, if it is one and its dump is whole.
fn read(dir: &Path, id: &str) -> Result<DumpMeta, &'static str> {
    meta::sequence(id).ok_or("its name is not one a store gives")?;
    let mut json = Vec::new();
    File::open(dir.join(format!("{id}.json")))
        .and_then(|file| file.take(MAX_META).read_to_end(&mut json))
        .map_err(|_| "its description cannot be read")?;
    let meta: DumpMeta =
        serde_json::from_slice(&json).map_err(|_| "its description is not valid")?;
    if meta.id != id {
        return Err("its description belongs to another dump");
    }
    let dump = fs::metadata(dir.join(format!("{id}.heap"))).map_err(|_| NO_DUMP)?;
    if dump.len() != meta.bytes.0 {
        return Err("its dump is not as long as described");
    }
    Ok(meta)
}
