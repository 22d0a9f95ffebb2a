//! The memory controller of a process's cgroup: use, limit and kills, on v1, v2 and both side by side.

use std::io;
use std::path::{Path, PathBuf};

use watchdog_core::sample::Cgroup;
use watchdog_core::units::Bytes;

use crate::CollectError;
use crate::text::{HeldFile, number, required, values};

mod locate;

pub(crate) use locate::membership;

/// The v1 controller says "no limit" with the largest multiple of a page; nothing real comes near this.
const UNLIMITED: u64 = 1 << 62;

/// Which of the kernel's two interfaces accounts the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The memory controller has a hierarchy of its own, also beside a v2 mount.
    V1,
    /// The unified hierarchy.
    V2,
}

impl Version {
    pub(crate) fn usage_file(self) -> &'static str {
        match self {
            Self::V1 => "memory.usage_in_bytes",
            Self::V2 => "memory.current",
        }
    }

    pub(crate) fn limit_file(self) -> &'static str {
        match self {
            Self::V1 => "memory.limit_in_bytes",
            Self::V2 => "memory.max",
        }
    }

    /// The file whose line `oom_kill` counts the kills of this cgroup's processes. On v2 a kill for an
    /// ancestor's limit is counted here too.
    pub fn kills_file(self) -> &'static str {
        match self {
            Self::V1 => "memory.oom_control",
            Self::V2 => "memory.events",
        }
    }
}

/// One reading of a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupReading {
    /// What it uses and how often the kernel killed in it.
    pub cgroup: Cgroup,
    /// The smallest limit from this cgroup up to the top of the mount; `None` is unlimited.
    pub limit: Option<Bytes>,
}

/// Reads one cgroup, its files kept open: they outlive the process, though not the cgroup.
#[derive(Debug)]
pub struct CgroupReader {
    version: Version,
    path: PathBuf,
    usage: HeldFile,
    stat: HeldFile,
    swap: Option<HeldFile>,
    events: HeldFile,
    limits: Vec<HeldFile>,
    buffer: Vec<u8>,
}

impl CgroupReader {
    /// Finds the memory cgroup of any process, through its own root directory where another container
    /// hides it from ours.
    pub fn find(proc_root: &Path, pid: u32) -> Result<Self, CollectError> {
        locate::find(proc_root, pid)
    }

    /// Opens the files of `directory`, and the limits from there up to `top`.
    fn open(
        version: Version,
        path: PathBuf,
        directory: &Path,
        top: &Path,
    ) -> Result<Self, CollectError> {
        let file = |name| HeldFile::open(directory.join(name));
        let swap = match version {
            Version::V1 => None,
            // Missing where the kernel does not account swap.
            Version::V2 => optional(file("memory.swap.current"))?,
        };
        let mut limits = Vec::new();
        for ancestor in directory.ancestors().take_while(|ancestor| ancestor.starts_with(top)) {
            // The root of v2 has no limit file.
            limits.extend(optional(HeldFile::open(ancestor.join(version.limit_file())))?);
        }
        Ok(Self {
            version,
            path,
            usage: file(version.usage_file())?,
            stat: file("memory.stat")?,
            swap,
            events: file(version.kills_file())?,
            limits,
            buffer: Vec::new(),
        })
    }

    /// The cgroup's path as `/proc/PID/cgroup` shows it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which interface it is read through.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Use, limit and kills now. A cgroup that was removed is an error, never zeros.
    pub fn read(&mut self) -> Result<CgroupReading, CollectError> {
        let usage = self.usage.read(&mut self.buffer)?;
        let usage = Bytes(single(self.usage.path(), "usage", usage)?);
        let (unreclaimable, hierarchical) = self.stat()?;
        let oom_kills = self.oom_kills()?;
        let mut limit = hierarchical.filter(|limit| *limit < UNLIMITED);
        for file in &self.limits {
            let own = parse_limit(file.path(), file.read(&mut self.buffer)?)?;
            limit = [limit, own].into_iter().flatten().min();
        }
        let cgroup = Cgroup { usage, unreclaimable, oom_kills };
        Ok(CgroupReading { cgroup, limit: limit.map(Bytes) })
    }

    /// How often the kernel killed a process of this cgroup for memory; also readable after the death of
    /// the process, as long as the cgroup is there.
    pub fn oom_kills(&mut self) -> Result<u64, CollectError> {
        let bytes = self.events.read(&mut self.buffer)?;
        parse_kills(self.events.path(), bytes)
    }

    /// What cannot be reclaimed, and on v1 the limit over all ancestors, also those out of sight.
    fn stat(&mut self) -> Result<(Bytes, Option<u64>), CollectError> {
        let path = self.stat.path();
        let bytes = self.stat.read(&mut self.buffer)?;
        match self.version {
            Version::V1 => stat_v1(path, bytes),
            Version::V2 => {
                let [anon, shmem] = values(path, bytes, ["anon", "shmem"])?;
                let (anon, shmem) =
                    (required(path, "anon", anon)?, required(path, "shmem", shmem)?);
                let swap = match &self.swap {
                    Some(file) => single(file.path(), "swap", file.read(&mut self.buffer)?)?,
                    None => 0,
                };
                Ok((Bytes(anon) + Bytes(shmem) + Bytes(swap), None))
            }
        }
    }
}

/// The `total_` lines count child cgroups too; kernels without a hierarchy have only the plain ones.
/// `shmem` is younger than `rss`, and `swap` is only there where swap is accounted.
fn stat_v1(path: &Path, bytes: &[u8]) -> Result<(Bytes, Option<u64>), CollectError> {
    const KEYS: [&str; 7] = [
        "total_rss",
        "total_shmem",
        "total_swap",
        "rss",
        "shmem",
        "swap",
        "hierarchical_memory_limit",
    ];
    let found = values(path, bytes, KEYS)?;
    let [rss, shmem, swap] = std::array::from_fn(|index| found[index].or(found[index + 3]));
    let used = Bytes(required(path, "rss", rss)?)
        + Bytes(shmem.unwrap_or_default())
        + Bytes(swap.unwrap_or_default());
    Ok((used, found[6]))
}

/// A file that need not be there.
fn optional(file: Result<HeldFile, CollectError>) -> Result<Option<HeldFile>, CollectError> {
    match file {
        Ok(file) => Ok(Some(file)),
        Err(CollectError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn single(path: &Path, item: &'static str, bytes: &[u8]) -> Result<u64, CollectError> {
    number(path, 1, item, bytes.trim_ascii())
}

fn parse_limit(path: &Path, bytes: &[u8]) -> Result<Option<u64>, CollectError> {
    if bytes.trim_ascii() == b"max" {
        return Ok(None);
    }
    single(path, "limit", bytes).map(|limit| (limit < UNLIMITED).then_some(limit))
}

pub(crate) fn parse_kills(path: &Path, bytes: &[u8]) -> Result<u64, CollectError> {
    let [kills] = values(path, bytes, ["oom_kill"])?;
    required(path, "oom_kill", kills)
}
