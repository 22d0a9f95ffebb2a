//! The watchdog's side: keeping spares, finding what was claimed, taking away what is no longer needed.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};

use super::name::{self, LOCK, Name, UNFINISHED};
use crate::create::create;
use crate::error::RecorderError;
use crate::file::open_own;
use crate::geometry::Geometry;
use crate::identity::Identity;
use crate::reader::Reader;

/// Recorders in one directory, spare and claimed together: 64 MiB of the default size.
const MOST_TABLES: usize = 16;

/// A recorder that a process took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The process, by the file's name. In another pid namespace than the watchdog's, the pid is that one's.
    pub identity: Identity,
    /// Where the recorder is.
    pub path: PathBuf,
}

impl Claimed {
    /// Opens it for reading. Do so early: an open recorder can be read whatever happens to its name.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open(&self) -> Result<Reader, RecorderError> {
        Reader::open(&self.path)
    }
}

/// Tends the recorders of one directory. Only one at a time can; what an earlier one left is adopted.
pub struct Keeper {
    directory: PathBuf,
    geometry: Geometry,
    spares: usize,
    next: u64,
    /// Its lock goes with the process, however that ends.
    _lock: File,
}

impl Keeper {
    /// Spares to keep when nothing says otherwise: one for the next process, one for the one after it.
    pub const SPARES: usize = 2;

    /// Makes the directory if it is not there, takes over what an earlier watchdog left in it, removes files it left
    /// unfinished, and fills up the spares.
    ///
    /// # Errors
    /// [`RecorderError::Kept`] when another watchdog tends the directory; otherwise as [`Keeper::refill`].
    pub fn open(
        directory: &Path,
        geometry: Geometry,
        spares: usize,
    ) -> Result<Self, RecorderError> {
        geometry.validate()?;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(RecorderError::io("make the directory", directory))?;
        let lock = lock(directory)?;
        let mut keeper =
            Self { directory: directory.into(), geometry, spares, next: 0, _lock: lock };
        keeper.clean()?;
        keeper.refill()?;
        Ok(keeper)
    }

    /// Removes what cannot be claimed: unfinished files, and spares of another version or size.
    fn clean(&mut self) -> Result<(), RecorderError> {
        self.remove_file(&self.directory.join(UNFINISHED))?;
        for name in name::list(&self.directory)? {
            let Name::Spare(number) = name else { continue };
            self.next = self.next.max(number.saturating_add(1));
            let path = self.directory.join(name.to_string());
            match Reader::open(&path) {
                Ok(reader) if *reader.geometry() == self.geometry => {}
                // Another user's file, or a link: not ours to remove, and no process takes it for a recorder.
                Err(RecorderError::Stranger { .. } | RecorderError::Io { .. }) => {}
                Ok(_) | Err(_) => self.remove_file(&path)?,
            }
        }
        Ok(())
    }

    /// Makes spares until there are as many as wanted, and says how many were made. To be called every second or so:
    /// a process that finds none is not recorded until it looks again.
    ///
    /// # Errors
    /// [`RecorderError::TooMany`] when the directory is full of claimed recorders, [`RecorderError::Io`] when there
    /// is no room on the disk.
    pub fn refill(&mut self) -> Result<usize, RecorderError> {
        let names = name::list(&self.directory)?;
        let (spares, claimed): (Vec<Name>, Vec<Name>) =
            names.into_iter().partition(|name| matches!(name, Name::Spare(_)));
        // What only has the name of a spare is none.
        let sound = |name: &Name| open_own(&self.directory.join(name.to_string()), false).is_ok();
        let (spare, claimed) = (spares.iter().filter(|name| sound(name)).count(), claimed.len());
        if spare == 0 && claimed >= MOST_TABLES {
            return Err(RecorderError::TooMany { path: self.directory.clone(), tables: claimed });
        }
        let wanted = self.spares.min(MOST_TABLES.saturating_sub(claimed)).saturating_sub(spare);
        for _ in 0..wanted {
            self.make_spare()?;
        }
        Ok(wanted)
    }

    fn make_spare(&mut self) -> Result<(), RecorderError> {
        let unfinished = self.directory.join(UNFINISHED);
        self.remove_file(&unfinished)?;
        create(&unfinished, self.geometry)?;
        loop {
            let path = self.directory.join(Name::Spare(self.next).to_string());
            self.next = self.next.wrapping_add(1);
            // Without replacing: whatever has this name already stays.
            match renameat_with(CWD, &unfinished, CWD, &path, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::EXIST) => {}
                Err(error) => {
                    return Err(RecorderError::io("name", path)(error.into()));
                }
            }
        }
    }

    /// The recorders that were claimed, whether their processes live or not, in order of their pids.
    ///
    /// # Errors
    /// [`RecorderError::Io`] when the directory cannot be listed.
    pub fn claimed(&self) -> Result<Vec<Claimed>, RecorderError> {
        let claimed = |name| match name {
            Name::Spare(_) => None,
            Name::Claimed(identity) => {
                Some(Claimed { identity, path: self.directory.join(name.to_string()) })
            }
        };
        Ok(name::list(&self.directory)?.into_iter().filter_map(claimed).collect())
    }

    /// Removes a claimed recorder. To be called once its process is dead and what it recorded was read. A process
    /// that lives goes on recording into a file that nobody finds any more.
    ///
    /// # Errors
    /// [`RecorderError::Io`] when it cannot be removed; that it is gone already is no error.
    pub fn remove(&self, claimed: &Claimed) -> Result<(), RecorderError> {
        // By its identity, so that only names of ours in this directory can be removed.
        self.remove_file(&self.directory.join(Name::Claimed(claimed.identity).to_string()))
    }

    fn remove_file(&self, path: &Path) -> Result<(), RecorderError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(RecorderError::io("remove", path)(error))
            }
            _ => Ok(()),
        }
    }
}

fn lock(directory: &Path) -> Result<File, RecorderError> {
    let path = directory.join(LOCK);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
        .open(&path)
        .map_err(RecorderError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RecorderError::Kept { path: directory.into() }),
        Err(TryLockError::Error(error)) => Err(RecorderError::io("lock", path)(error)),
    }
}
