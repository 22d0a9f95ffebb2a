//! One process: its memory from `/proc/PID/status`, who it is from `/proc/PID/stat`.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use procfs::process::{LimitValue, Process};
use watchdog_core::sample::Memory;
use watchdog_core::units::Bytes;

use crate::CollectError;
use crate::text::{read_start, read_whole, required, values};

mod stat;

pub(crate) use stat::Stat;

/// What the kernel appends to the path of a binary that was replaced or removed.
const DELETED: &[u8] = b" (deleted)";

/// Reads one process until it is gone.
///
/// The process's directory is held open. The kernel ties it to this one process, so a pid that was
/// given to another process is never mistaken for it.
#[derive(Debug)]
pub struct ProcessReader {
    process: Process,
    proc_root: PathBuf,
    directory: PathBuf,
    pid: u32,
    start_ticks: u64,
    buffer: Vec<u8>,
}

impl ProcessReader {
    /// Opens a process under `proc_root`, which is `/proc` outside of tests.
    pub fn attach(proc_root: &Path, pid: u32) -> Result<Self, CollectError> {
        Self::open(proc_root, proc_root.join(pid.to_string()), pid)
    }

    fn open(proc_root: &Path, directory: PathBuf, pid: u32) -> Result<Self, CollectError> {
        let process = Process::new_with_root(directory.clone())
            .map_err(|error| CollectError::of_procfs(pid, &directory, error))?;
        let pid = u32::try_from(process.pid()).unwrap_or(pid);
        let proc_root = proc_root.to_path_buf();
        let mut reader =
            Self { process, proc_root, directory, pid, start_ticks: 0, buffer: Vec::new() };
        reader.start_ticks = reader.stat()?.start_ticks;
        Ok(reader)
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Start time in clock ticks since boot, field 22 of `/proc/PID/stat` (proc(5)).
    pub fn start_ticks(&self) -> u64 {
        self.start_ticks
    }

    /// Its memory now, or [`CollectError::Vanished`]: a zombie and a process that has given its memory
    /// back are gone too.
    pub fn read(&mut self) -> Result<Memory, CollectError> {
        // The kernel cannot show another start time through a directory held open; a root that is not
        // the kernel's can.
        if self.stat()?.start_ticks != self.start_ticks {
            return Err(CollectError::Vanished { pid: self.pid });
        }
        let file = self.file("status")?;
        let path = self.directory.join("status");
        let bytes = read_whole(&file, &mut self.buffer)
            .map_err(|error| CollectError::of_process(self.pid, &path, error))?;
        memory(&path, bytes)?.ok_or(CollectError::Vanished { pid: self.pid })
    }

    /// The command's name, cut by the kernel at 15 bytes. A process may change it.
    pub fn comm(&mut self) -> Result<String, CollectError> {
        Ok(self.stat()?.comm)
    }

    /// The binary it runs, also when that was replaced on disk. Another user's needs CAP_SYS_PTRACE.
    pub fn exe(&self) -> Result<PathBuf, CollectError> {
        let exe = self.process.exe().map_err(|error| {
            CollectError::of_procfs(self.pid, &self.directory.join("exe"), error)
        })?;
        let mut bytes = exe.into_os_string().into_vec();
        if bytes.ends_with(DELETED) {
            bytes.truncate(bytes.len() - DELETED.len());
        }
        Ok(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
    }

    /// Seconds since it started.
    pub fn age(&mut self) -> Result<f64, CollectError> {
        let path = self.proc_root.join("uptime");
        let io = |error| CollectError::io(&path, error);
        let file = File::open(&path).map_err(io)?;
        let bytes = read_start(&file, &mut self.buffer).map_err(io)?;
        let first = bytes.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        let uptime: f64 = std::str::from_utf8(first)
            .ok()
            .and_then(|text| text.parse().ok())
            .filter(|uptime: &f64| uptime.is_finite())
            .ok_or_else(|| CollectError::malformed(&path, 1, "uptime", first))?;
        Ok((uptime - seconds(self.start_ticks)).max(0.0))
    }

    pub(crate) fn stat(&mut self) -> Result<Stat, CollectError> {
        let file = self.file("stat")?;
        let path = self.directory.join("stat");
        let bytes = read_whole(&file, &mut self.buffer)
            .map_err(|error| CollectError::of_process(self.pid, &path, error))?;
        Stat::parse(&path, bytes)
    }

    /// The first word of the command line, as far as the process left it there.
    pub(crate) fn argv0(&mut self) -> Result<PathBuf, CollectError> {
        let file = self.file("cmdline")?;
        let bytes = read_start(&file, &mut self.buffer).map_err(|error| {
            CollectError::of_process(self.pid, &self.directory.join("cmdline"), error)
        })?;
        let first = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(PathBuf::from(OsStr::from_bytes(first)))
    }

    fn file(&self, name: &'static str) -> Result<File, CollectError> {
        self.process
            .open_relative(name)
            .map_err(|error| CollectError::of_procfs(self.pid, &self.directory.join(name), error))
    }
}

/// `None` where the process has no memory any more: a zombie, or past `exit_mm`.
fn memory(path: &Path, status: &[u8]) -> Result<Option<Memory>, CollectError> {
    const KEYS: [&str; 5] = ["VmRSS", "RssAnon", "RssFile", "RssShmem", "VmSwap"];
    let found = values(path, status, KEYS)?;
    if found[0].is_none() {
        return Ok(None);
    }
    let kib = |index: usize| required(path, KEYS[index], found[index]).map(Bytes::from_kib);
    Ok(Some(Memory { rss: kib(0)?, anon: kib(1)?, file: kib(2)?, shmem: kib(3)?, swap: kib(4)? }))
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / procfs::ticks_per_second() as f64
}

/// What the watchdog itself costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SelfUsage {
    /// Resident memory, `VmRSS`.
    pub rss: Bytes,
    /// Processor time in user and kernel mode since the start, in seconds.
    pub cpu_seconds: f64,
    /// Address space.
    pub virtual_memory: Bytes,
    /// Threads.
    pub threads: u64,
    /// Open file descriptors, the one for counting them left out; `None` where they cannot be counted.
    pub open_fds: Option<u64>,
    /// How many may be open; `None` without a bound, or where it cannot be read.
    pub max_fds: Option<u64>,
}

/// Reads the process that calls it.
#[derive(Debug)]
pub struct SelfReader(ProcessReader);

impl SelfReader {
    /// Opens `self` under `proc_root`.
    pub fn attach(proc_root: &Path) -> Result<Self, CollectError> {
        let pid = std::process::id();
        ProcessReader::open(proc_root, proc_root.join("self"), pid).map(Self)
    }

    /// Memory and processor time so far.
    pub fn read(&mut self) -> Result<SelfUsage, CollectError> {
        let rss = self.0.read()?.rss;
        let stat = self.0.stat()?;
        let limits = self.0.process.limits().ok();
        Ok(SelfUsage {
            rss,
            cpu_seconds: seconds(stat.cpu_ticks),
            virtual_memory: Bytes(stat.address_space),
            threads: stat.threads,
            open_fds: self.0.process.fd_count().ok().map(|open| open.saturating_sub(1) as u64),
            max_fds: limits.and_then(|limits| match limits.max_open_files.soft_limit {
                LimitValue::Value(most) => Some(most),
                LimitValue::Unlimited => None,
            }),
        })
    }
}
