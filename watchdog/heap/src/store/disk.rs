//! The files of a store: written so that a crash at any point leaves only whole dumps, read with care.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use watchdog_core::units::Bytes;

use super::retention::MAX_DUMPS;
use super::{DumpMeta, LoadError, StoreError, meta};

/// Prefix of files that are not finished.
const TEMPORARY: &str = ".tmp-";

/// A description with 64 modules of long paths, every character escaped, stays below this; more is not one of ours.
const MAX_META: u64 = 128 << 10;

/// What a directory holds; the newest dumps, however many files there are.
#[derive(Default)]
struct Stock {
    described: BTreeSet<(u64, String)>,
    passed_over: usize,
    strangers: usize,
    last: u64,
}

/// A store's directory.
#[derive(Debug)]
pub(super) struct Dir(PathBuf);

impl Dir {
    pub(super) fn open(dir: PathBuf) -> Result<Self, StoreError> {
        match DirBuilder::new().recursive(true).mode(0o700).create(&dir) {
            Ok(()) => Ok(Self(dir)),
            Err(source) => Err(StoreError::Io { path: dir, source }),
        }
    }

    /// The file of a dump.
    pub(super) fn path(&self, dump: &DumpMeta) -> PathBuf {
        self.0.join(dump.file())
    }

    pub(super) fn has(&self, dump: &DumpMeta) -> bool {
        self.path(dump).is_file()
    }

    /// Whether somebody else removed a dump's file. A directory that cannot be read for a moment says nothing.
    pub(super) fn lost(&self, dump: &DumpMeta) -> bool {
        let found = fs::symlink_metadata(self.path(dump));
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// The dumps that are there in the order they were stored, and the highest sequence number of any file. Removes what a crash left.
    pub(super) fn take_stock(&self) -> Result<(Vec<DumpMeta>, u64), StoreError> {
        let failed = |source| StoreError::Io { path: self.0.clone(), source };
        let mut stock = Stock::default();
        for entry in fs::read_dir(&self.0).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // The detectors' state is in a directory of its own beside the dumps.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            match entry.file_name().to_str() {
                Some(name) => self.count(&mut stock, name),
                None => stock.strangers += 1,
            }
        }
        if stock.strangers > 0 {
            tracing::warn!(dir = %self.0.display(), files = stock.strangers, "files among the heap dumps that are none are left alone");
        }
        if stock.passed_over > 0 {
            tracing::warn!(dir = %self.0.display(), dumps = stock.passed_over, "too many heap dumps: the oldest are passed over, remove them by hand");
        }
        let dumps = stock.described.iter().filter_map(|(_, id)| self.known(id)).collect();
        Ok((dumps, stock.last))
    }

    /// Looks at one file's name.
    fn count(&self, stock: &mut Stock, name: &str) {
        if let Some(id) = name.strip_prefix(TEMPORARY) {
            if meta::id_of(id).is_some() {
                self.remove_leftover(name);
            }
            return;
        }
        let Some((id, sequence)) = meta::id_of(name).and_then(|id| Some((id, meta::sequence(id)?)))
        else {
            stock.strangers += 1;
            return;
        };
        stock.last = stock.last.max(sequence);
        if name.ends_with(".json") {
            stock.described.insert((sequence, id.to_owned()));
            if stock.described.len() > MAX_DUMPS {
                stock.described.pop_first();
                stock.passed_over += 1;
            }
        } else if !self.0.join(format!("{id}.json")).exists() {
            tracing::warn!(dir = %self.0.display(), name, "a heap dump without a description is passed over");
        }
    }

    /// The dump of an id; a description without its dump is what a crash left.
    fn known(&self, id: &str) -> Option<DumpMeta> {
        match self.describe(id) {
            Ok(meta) => Some(meta),
            Err(problem) => {
                tracing::warn!(dir = %self.0.display(), id, problem, "a heap dump is passed over");
                if problem == NO_DUMP {
                    self.remove_leftover(&format!("{id}.json"));
                }
                None
            }
        }
    }

    /// The description of a dump, if it is one and its dump is whole.
    fn describe(&self, id: &str) -> Result<DumpMeta, &'static str> {
        let mut json = Vec::new();
        File::open(self.0.join(format!("{id}.json")))
            .and_then(|file| file.take(MAX_META).read_to_end(&mut json))
            .map_err(|_| "its description cannot be read")?;
        let meta: DumpMeta =
            serde_json::from_slice(&json).map_err(|_| "its description is not valid")?;
        if meta.id != id {
            return Err("its description belongs to another dump");
        }
        let dump = fs::metadata(self.path(&meta)).map_err(|_| NO_DUMP)?;
        if !dump.is_file() || dump.len() != meta.bytes.0 {
            return Err("its dump is not as long as described");
        }
        Ok(meta)
    }

    pub(super) fn write(&self, meta: &DumpMeta, raw: &[u8]) -> Result<(), StoreError> {
        let json = serde_json::to_vec_pretty(meta)
            .map_err(|error| self.failed(&meta.id, io::Error::other(error)))?;
        let mut unfinished = Unfinished(Vec::with_capacity(4));
        let staged = [(format!("{}.json", meta.id), json.as_slice()), (meta.file(), raw)];
        for (name, content) in &staged {
            let path = self.0.join(format!("{TEMPORARY}{name}"));
            unfinished.0.push(path.clone());
            write_synced(&path, content).map_err(|source| StoreError::Io { path, source })?;
        }
        for (name, _) in &staged {
            let path = self.0.join(name);
            fs::rename(self.0.join(format!("{TEMPORARY}{name}")), &path)
                .map_err(|source| self.failed(name, source))?;
            unfinished.0.push(path);
        }
        // Renames last over a power cut only when the directory is synced as well.
        File::open(&self.0)
            .and_then(|dir| dir.sync_all())
            .map_err(|source| self.failed(&meta.id, source))?;
        unfinished.0.clear();
        Ok(())
    }

    /// The raw bytes of a dump, if they are as many as were stored.
    pub(super) fn read(&self, dump: &DumpMeta) -> Result<Vec<u8>, LoadError> {
        let path = self.path(dump);
        let mut raw = Vec::new();
        let read = File::open(&path)
            .and_then(|file| file.take(dump.bytes.0.saturating_add(1)).read_to_end(&mut raw));
        match read {
            Ok(_) if raw.len() as u64 == dump.bytes.0 => Ok(raw),
            Ok(found) => {
                let found = Bytes(found as u64);
                Err(LoadError::Damaged { path, expected: dump.bytes, found })
            }
            Err(source) => Err(LoadError::Io { path, source }),
        }
    }

    /// Removes a dump, the raw bytes first: a description alone is small and removed at the next start. Whether they
    /// are gone.
    pub(super) fn remove(&self, dump: &DumpMeta) -> bool {
        let gone = remove(&self.path(dump));
        gone && remove(&self.0.join(format!("{}.json", dump.id)))
    }

    fn remove_leftover(&self, name: &str) {
        match fs::remove_file(self.0.join(name)) {
            Ok(()) => tracing::info!(name, "removed what a crash left of a heap dump"),
            Err(error) => {
                tracing::warn!(name, %error, "cannot remove what a crash left of a heap dump");
            }
        }
    }

    fn failed(&self, name: &str, source: io::Error) -> StoreError {
        StoreError::Io { path: self.0.join(name), source }
    }
}

const NO_DUMP: &str = "its dump is missing";

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

/// Whether there is no such file any more.
fn remove(path: &Path) -> bool {
    match fs::remove_file(path) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot remove an old heap dump");
            false
        }
    }
}
