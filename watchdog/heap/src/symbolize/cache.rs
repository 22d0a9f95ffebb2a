//! Names that were found, kept per build id in a directory: the next naming of the same build is warm, and a profile
//! can be read when the program's file is gone. A memory and never a need: what cannot be read is empty, and said.

mod format;

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::dwarf::Call;
use super::elf::Segment;
use super::resolve::Quality;

/// Longest file: some forty thousand addresses of a large Rust program.
pub const MAX_FILE: usize = 4 << 20;

/// Most files; the one whose last use is longest ago goes first.
pub const MAX_FILES: usize = 16;

const EXTENSION: &str = "sym";
const TEMPORARY: &str = "tmp";

/// A directory of names by build id, for one watchdog.
#[derive(Debug)]
pub struct SymbolCache {
    dir: PathBuf,
    /// One reader or writer at a time: a file is read, added to and replaced.
    turn: Mutex<()>,
}

/// What is known of one build.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Known {
    pub(super) quality: Quality,
    /// Where its code is, without which a file of debug information alone would be of no use.
    pub(super) code: Vec<Segment>,
    /// By offset in the file; no calls where nothing names the place.
    pub(super) places: HashMap<u64, Vec<Call>>,
}

impl SymbolCache {
    /// Opens a directory, which is made when it is not there. Only the user of the watchdog may read it.
    ///
    /// # Errors
    /// When it cannot be made or read.
    pub fn open(dir: impl Into<PathBuf>) -> io::Result<Self> {
        let dir = dir.into();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        for entry in fs::read_dir(&dir)?.flatten() {
            // What a crash left behind.
            if entry.path().extension().is_some_and(|extension| extension == TEMPORARY) {
                fs::remove_file(entry.path()).ok();
            }
        }
        Ok(Self { dir, turn: Mutex::new(()) })
    }

    /// What is known of a build; nothing when there is no file or it cannot be read.
    pub(super) fn load(&self, build_id: &str) -> Known {
        let _turn = self.take_turn();
        self.read(build_id)
    }

    /// Adds to what is known of a build, or replaces it when this is from better files.
    pub(super) fn add(&self, build_id: &str, new: &Known) {
        let Some(path) = self.path(build_id) else {
            return;
        };
        let _turn = self.take_turn();
        let mut all = self.read(build_id);
        if all.quality == new.quality {
            all.places.extend(new.places.iter().map(|(offset, calls)| (*offset, calls.clone())));
            all.code.clone_from(&new.code);
        } else {
            all = new.clone();
        }
        let written = fit(build_id, &all)
            .or_else(|| fit(build_id, new))
            .map_or(Ok(()), |bytes| self.replace(&path, &bytes));
        if let Err(error) = written {
            tracing::warn!(%error, dir = %self.dir.display(), "names cannot be kept for the next time");
        }
    }

    fn read(&self, build_id: &str) -> Known {
        let Some(path) = self.path(build_id) else {
            return Known::default();
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Known::default(),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "kept names cannot be read");
                return Known::default();
            }
        };
        // Its time is that of its last use.
        file.set_modified(SystemTime::now()).ok();
        let mut bytes = Vec::new();
        // One byte more than is good tells a file that is too long.
        let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
        let read = file.take(limit).read_to_end(&mut bytes);
        let known = read.ok().and_then(|_| format::decode(&bytes, build_id));
        known.unwrap_or_else(|| {
            tracing::warn!(path = %path.display(), "kept names are damaged or of another version: found afresh");
            Known::default()
        })
    }

    /// Where a build's file is; a build id out of a profile is only a name when it is nothing but digits.
    fn path(&self, build_id: &str) -> Option<PathBuf> {
        is_build_id(build_id).then(|| self.dir.join(build_id).with_extension(EXTENSION))
    }

    /// A reader sees the old file or the new one. After a crash of the machine it may be neither, which its checksum
    /// tells; waiting for the disk would cost more than finding the names again.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = path.with_extension(TEMPORARY);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&temporary)?.write_all(bytes)?;
        fs::rename(&temporary, path)?;
        self.drop_oldest()
    }

    fn drop_oldest(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)?.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                files.push((entry.metadata()?.modified()?, path));
            }
        }
        files.sort_unstable_by(|one, other| other.cmp(one));
        files.into_iter().skip(MAX_FILES).try_for_each(|(_, path)| fs::remove_file(path))
    }

    fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a text is a build id as linkers make them, in lower-case hexadecimal.
pub(super) fn is_build_id(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (4..=64).contains(&text.len()) && text.bytes().all(is_digit)
}

/// The bytes of a file that is not too long.
fn fit(build_id: &str, known: &Known) -> Option<Vec<u8>> {
    format::encode(build_id, known).filter(|bytes| bytes.len() <= MAX_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;
    use std::time::Duration;

    const ID: &str = "00ff00ff00ff00ff";

    fn known(places: impl IntoIterator<Item = (u64, &'static str)>) -> Known {
        let call = |name: &str| Call { function: Some(name.into()), file: None, line: Some(3) };
        let places = places.into_iter().map(|(offset, name)| (offset, vec![call(name)])).collect();
        Known { quality: Quality::Debug, code: Vec::new(), places }
    }

    fn cache() -> (tempfile::TempDir, SymbolCache) {
        let dir = tempfile::tempdir().expect("a directory");
        let cache = SymbolCache::open(dir.path().join("symbols")).expect("opened");
        (dir, cache)
    }

    #[test]
    fn names_are_added_to_and_given_back() {
        let (_dir, cache) = cache();
        assert_eq!(cache.load(ID), Known::default());
        cache.add(ID, &known([(1, "one")]));
        cache.add(ID, &known([(2, "two")]));
        assert_eq!(cache.load(ID), known([(1, "one"), (2, "two")]));
        let mode = fs::metadata(cache.path(ID).expect("a path")).expect("written").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }

    #[test]
    fn names_from_better_files_replace_lesser_ones() {
        let (_dir, cache) = cache();
        cache.add(ID, &Known { quality: Quality::Exports, ..known([(1, "one")]) });
        cache.add(ID, &known([(2, "two")]));
        assert_eq!(cache.load(ID), known([(2, "two")]));
    }

    #[test]
    fn a_damaged_file_is_empty_and_replaced() {
        let (_dir, cache) = cache();
        cache.add(ID, &known([(1, "one")]));
        let path = cache.path(ID).expect("a path");
        let good = fs::read(&path).expect("read");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs::write(&path, &bad).expect("written");
            assert_eq!(cache.load(ID), Known::default(), "byte {at}");
            fs::write(&path, &good[..at]).expect("written");
            assert_eq!(cache.load(ID), Known::default(), "cut at {at}");
        }
        cache.add(ID, &known([(2, "two")]));
        assert_eq!(cache.load(ID), known([(2, "two")]));
        fs::write(&path, vec![0; MAX_FILE + 2]).expect("written");
        assert_eq!(cache.load(ID), Known::default(), "too long");
    }

    #[test]
    fn a_file_of_another_build_under_this_name_is_not_believed() {
        let (_dir, cache) = cache();
        cache.add(ID, &known([(1, "one")]));
        let other = "11".repeat(20);
        fs::rename(cache.path(ID).expect("a path"), cache.path(&other).expect("a path"))
            .expect("renamed");
        assert_eq!(cache.load(&other), Known::default());
    }

    #[test]
    fn the_oldest_use_goes_when_there_are_too_many_files() {
        let (_dir, cache) = cache();
        let ids: Vec<String> = (0..=MAX_FILES).map(|n| format!("{n:016x}")).collect();
        for (age, id) in ids.iter().enumerate().take(MAX_FILES) {
            cache.add(id, &known([(1, "one")]));
            let file = File::open(cache.path(id).expect("a path")).expect("opened");
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1000 + age as u64);
            file.set_modified(time).expect("set");
        }
        // Used again: now the second is the oldest.
        assert_eq!(cache.load(&ids[0]), known([(1, "one")]));
        cache.add(&ids[MAX_FILES], &known([(1, "one")]));
        let left = |id: &String| cache.path(id).expect("a path").exists();
        assert_eq!(ids.iter().filter(|id| left(id)).count(), MAX_FILES);
        assert!(left(&ids[0]) && !left(&ids[1]));
    }

    #[test]
    fn what_would_not_fit_leaves_only_the_newest() {
        let (_dir, cache) = cache();
        let long = |from: u64| {
            let mut known = known([]);
            for offset in from..from + 3000 {
                let name: Arc<str> = Arc::from(format!("{offset:0>1000}"));
                let call = Call { function: Some(name), file: None, line: None };
                known.places.insert(offset, vec![call]);
            }
            known
        };
        cache.add(ID, &long(0));
        cache.add(ID, &long(5000));
        assert_eq!(cache.load(ID), long(5000));
    }

    #[test]
    fn only_build_ids_become_file_names() {
        let (_dir, cache) = cache();
        for id in ["", "../../etc/passwd", "abc", "ABCDEF", "00/ff", &"0".repeat(65)] {
            assert_eq!(cache.path(id), None, "{id}");
            cache.add(id, &known([(1, "one")]));
        }
        assert_eq!(fs::read_dir(&cache.dir).expect("a directory").count(), 0);
    }

    #[test]
    fn what_a_crash_left_behind_is_removed() {
        let (dir, cache) = cache();
        fs::write(cache.dir.join("00ff.tmp"), "half").expect("written");
        SymbolCache::open(dir.path().join("symbols")).expect("opened");
        assert_eq!(fs::read_dir(&cache.dir).expect("a directory").count(), 0);
    }
}
