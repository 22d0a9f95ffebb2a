//! A cgroup with a memory limit for a command to be started in.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use watchdog_core::units::Bytes;

use crate::CollectError;
use crate::cgroup::{Version, membership, parse_kills};
use crate::text::HeldFile;

/// All our cgroups lie in one, which holds no process itself.
const PARENT: &str = "oomen";
/// A command does not even start in less.
const LEAST: Bytes = Bytes::from_mib(1);
/// The longest name taken; the kernel's own bound is 255.
const NAME_MAX: usize = 64;

/// Why a command cannot be confined.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// The name would not be one directory.
    #[error(
        "`{0}` is no name for a cgroup: use up to 64 letters, digits, `.`, `_` and `-`, the first a letter or digit"
    )]
    BadName(String),
    /// Nothing would run in it.
    #[error("a limit of {0} is too small for any command: give at least {LEAST}")]
    TooSmall(Bytes),
    /// There is no controller to confine with.
    #[error(
        "no memory controller under {0}: neither memory/ (cgroup v1) nor cgroup.controllers with `memory` (cgroup v2) is there; is cgroupfs mounted, and in a container also writable?"
    )]
    NoController(PathBuf),
    /// Another run has it.
    #[error("the cgroup {0} is in use by another run: give this one another name")]
    InUse(PathBuf),
    /// Processes are still in it.
    #[error("the cgroup {0} still holds processes: remove it when they have ended")]
    NotEmpty(PathBuf),
    /// The kernel refused a step.
    #[error("cannot {doing} {path}: {source}{}", hint(.source))]
    Refused {
        /// The step.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file of the cgroup could not be read.
    #[error(transparent)]
    Collect(#[from] CollectError),
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "; run as root, or on cgroup v2 where the user may write: systemd-run --user --scope -p Delegate=yes …"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "; cgroupfs is mounted read-only: in a container, mount it writable (docker run --privileged)"
        }
        io::ErrorKind::ResourceBusy => {
            "; a cgroup v2 that holds processes cannot hand on its memory controller: start from one that holds none, such as systemd-run --user --scope gives"
        }
        _ => "",
    }
}

/// A cgroup that kills what exceeds its limit. Dropping it removes it, if it is empty by then.
#[derive(Debug)]
pub struct Confined {
    version: Version,
    directory: PathBuf,
    removed: bool,
}

impl Confined {
    /// Creates `oomen/NAME` with that limit on memory and swap together. On v2 it lies in the root where
    /// that may be written, else beside our own cgroup.
    pub fn create(name: &str, limit: Bytes) -> Result<Self, ConfineError> {
        Self::create_under(Path::new("/sys/fs/cgroup"), Path::new("/proc"), name, limit)
    }

    /// The same on other roots.
    pub fn create_under(
        cgroup_root: &Path,
        proc_root: &Path,
        name: &str,
        limit: Bytes,
    ) -> Result<Self, ConfineError> {
        check_name(name)?;
        if limit < LEAST {
            return Err(ConfineError::TooSmall(limit));
        }
        let v1 = cgroup_root.join("memory");
        if v1.join(Version::V1.limit_file()).exists() {
            return Self::create_v1(&v1, name, limit);
        }
        if !lists_memory(&cgroup_root.join("cgroup.controllers")) {
            return Err(ConfineError::NoController(cgroup_root.to_path_buf()));
        }
        Self::create_v2(cgroup_root, name, limit).or_else(|error| {
            match beside_ours(cgroup_root, proc_root) {
                Some(base) => Self::create_v2(&base, name, limit),
                None => Err(error),
            }
        })
    }

    fn create_v1(base: &Path, name: &str, limit: Bytes) -> Result<Self, ConfineError> {
        let confined = Self::make(Version::V1, &parent(base)?, name)?;
        confined.set(Version::V1.limit_file(), &limit.0.to_string())?;
        // Without this the process would go to swap instead of being killed. It is there where swap is
        // accounted, and must not be below the limit on memory alone.
        confined.set_if_there("memory.memsw.limit_in_bytes", &limit.0.to_string())?;
        Ok(confined)
    }

    fn create_v2(base: &Path, name: &str, limit: Bytes) -> Result<Self, ConfineError> {
        hand_on_memory(base)?;
        let parent = parent(base)?;
        hand_on_memory(&parent)?;
        let confined = Self::make(Version::V2, &parent, name)?;
        confined.set(Version::V2.limit_file(), &limit.0.to_string())?;
        confined.set_if_there("memory.swap.max", "0")?;
        Ok(confined)
    }

    fn make(version: Version, parent: &Path, name: &str) -> Result<Self, ConfineError> {
        let directory = parent.join(name);
        let made = match fs::create_dir(&directory) {
            // Left behind by a run that was killed: the kernel only lets it go if it is empty.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_dir(&directory).map_err(|_| ConfineError::InUse(directory.clone()))?;
                fs::create_dir(&directory)
            }
            made => made,
        };
        made.map_err(|source| refused("create", &directory, source))?;
        Ok(Self { version, directory, removed: false })
    }

    /// The file to which a process writes its id to be confined.
    pub fn procs_file(&self) -> PathBuf {
        self.directory.join("cgroup.procs")
    }

    /// Confines a process and the children that it will have.
    pub fn enter(&self, pid: u32) -> Result<(), ConfineError> {
        self.set("cgroup.procs", &pid.to_string())
    }

    /// How often the kernel killed in it for memory.
    pub fn oom_kills(&self) -> Result<u64, ConfineError> {
        let file = HeldFile::open(self.directory.join(self.version.kills_file()))?;
        Ok(parse_kills(file.path(), file.read(&mut Vec::new())?)?)
    }

    /// Removes it; [`ConfineError::NotEmpty`] while processes are in it, to be tried again.
    pub fn remove(&mut self) -> Result<(), ConfineError> {
        match fs::remove_dir(&self.directory) {
            Err(source) if source.kind() == io::ErrorKind::ResourceBusy => {
                Err(ConfineError::NotEmpty(self.directory.clone()))
            }
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(refused("remove", &self.directory, source))
            }
            _ => {
                self.removed = true;
                Ok(())
            }
        }
    }

    fn set(&self, file: &str, value: &str) -> Result<(), ConfineError> {
        write(&self.directory.join(file), value)
    }

    fn set_if_there(&self, file: &str, value: &str) -> Result<(), ConfineError> {
        if self.directory.join(file).exists() { self.set(file, value) } else { Ok(()) }
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        if !self.removed
            && let Err(error) = self.remove()
        {
            tracing::warn!(%error, "left a cgroup behind");
        }
    }
}

/// The cgroup above our own, in which a user's session may create others (`app.slice`). Our own cannot
/// hand on its controllers, as we are in it.
fn beside_ours(cgroup_root: &Path, proc_root: &Path) -> Option<PathBuf> {
    let own = membership(proc_root, std::process::id()).ok()?;
    let above = Path::new(&own.path).parent()?.strip_prefix("/").ok()?;
    (!above.as_os_str().is_empty()).then(|| cgroup_root.join(above))
}

/// Lets the children of a cgroup account memory, where they do not yet.
fn hand_on_memory(directory: &Path) -> Result<(), ConfineError> {
    let file = directory.join("cgroup.subtree_control");
    if lists_memory(&file) { Ok(()) } else { write(&file, "+memory") }
}

fn lists_memory(file: &Path) -> bool {
    fs::read_to_string(file)
        .is_ok_and(|text| text.split_ascii_whitespace().any(|name| name == "memory"))
}

fn parent(base: &Path) -> Result<PathBuf, ConfineError> {
    let parent = base.join(PARENT);
    match fs::create_dir(&parent) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(refused("create", &parent, error))
        }
        _ => Ok(parent),
    }
}

fn write(path: &Path, value: &str) -> Result<(), ConfineError> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .and_then(|mut file| file.write_all(value.as_bytes()))
        .map_err(|source| refused("write", path, source))
}

fn refused(doing: &'static str, path: &Path, source: io::Error) -> ConfineError {
    ConfineError::Refused { doing, path: path.to_path_buf(), source }
}

fn check_name(name: &str) -> Result<(), ConfineError> {
    let good = name.len() <= NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if good { Ok(()) } else { Err(ConfineError::BadName(name.chars().take(80).collect())) }
}
