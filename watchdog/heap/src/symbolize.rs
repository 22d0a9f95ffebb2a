//! Names for raw addresses, found in the watchdog from the target's own binary.
//!
//! The binary is held open from attachment, so it resolves as well when its file was replaced by a new version
//! or deleted, and after the process was killed. Its directory under `/proc` is held too: once the process is
//! gone that directory leads nowhere, even when another process got the same id. Debug information is
//! parsed per batch and freed after it, because between incidents it would cost more memory than all else here.

mod elf;
mod names;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Component, Path, PathBuf};

use watchdog_core::profile::{Frame, Mapping};

/// What the kernel puts behind the path of a file that is no longer at it.
const DELETED: &str = " (deleted)";

/// `ESRCH`: the process behind an open `/proc` directory is gone (see proc(5)).
const NO_SUCH_PROCESS: i32 = 3;

/// Why a process cannot be symbolized.
#[derive(Debug, thiserror::Error)]
pub enum SymbolizeError {
    /// No such process, or it has no binary any more.
    #[error("process {pid} is gone, or is a kernel thread: there is no binary to read names from")]
    Gone {
        /// The process.
        pid: u32,
    },
    /// Not allowed to read the binary.
    #[error(
        "not allowed to read the binary of process {pid}: run as the same user and with at least its capabilities, or with CAP_SYS_PTRACE"
    )]
    Denied {
        /// The process.
        pid: u32,
    },
    /// Anything else.
    #[error("cannot open the binary of process {pid}: {source}")]
    Io {
        /// The process.
        pid: u32,
        /// What the kernel said.
        source: io::Error,
    },
}

impl SymbolizeError {
    fn new(pid: u32, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound => Self::Gone { pid },
            io::ErrorKind::PermissionDenied => Self::Denied { pid },
            _ if source.raw_os_error() == Some(NO_SUCH_PROCESS) => Self::Gone { pid },
            _ => Self::Io { pid, source },
        }
    }
}

/// Resolves addresses of one process.
#[derive(Debug)]
pub struct Symbolizer {
    /// `/proc/PID`.
    process: File,
    exe: File,
    /// Path of the binary as its mappings give it, without the mark of a deleted file.
    exe_path: String,
    has_symbols: bool,
}

impl Symbolizer {
    /// Opens the binary of process `pid` under `proc_root` (`/proc`, or where the host's is mounted).
    ///
    /// # Errors
    /// [`SymbolizeError`] when there is no such process or its binary cannot be read.
    pub fn attach(proc_root: &Path, pid: u32) -> Result<Self, SymbolizeError> {
        let fail = |source| SymbolizeError::new(pid, source);
        let process = File::open(proc_root.join(pid.to_string())).map_err(fail)?;
        let link = through(&process).join("exe");
        let exe_path = fs::read_link(&link).map_err(fail)?.to_string_lossy().into_owned();
        let exe = File::open(&link).map_err(fail)?;
        let has_symbols = elf::has_symbols(&exe);
        Ok(Self { process, exe, exe_path: unmarked(&exe_path).to_owned(), has_symbols })
    }

    /// Whether the binary has a symbol table. Without one (`strip`) its functions stay `module+0xoffset`.
    /// Only 64-bit little-endian ELF is looked at; anything else counts as without.
    pub fn has_symbols(&self) -> bool {
        self.has_symbols
    }

    /// The frames of one stack of return addresses, innermost first; a call that was inlined is a frame of its own.
    /// An address that has no name becomes `module+0xoffset` with the offset in the module's file, or
    /// `unmapped+0xaddress`. Reads debug information afresh: for several stacks use [`Self::resolve_all`].
    pub fn resolve(&self, mappings: &[Mapping], stack: &[u64]) -> Vec<Frame> {
        self.resolve_all(mappings, &[stack]).pop().unwrap_or_default()
    }

    /// The frames of many stacks, in their order. Each file is read once. `mappings` must be by ascending start.
    pub fn resolve_all(&self, mappings: &[Mapping], stacks: &[&[u64]]) -> Vec<Vec<Frame>> {
        let named = self.name_addresses(mappings, stacks);
        let frames = |address: &u64| named.get(address).map_or(&[][..], Vec::as_slice);
        stacks
            .iter()
            .map(|stack| stack.iter().flat_map(|address| frames(address).iter().cloned()).collect())
            .collect()
    }

    /// One or more frames for every distinct address of the stacks.
    fn name_addresses(&self, mappings: &[Mapping], stacks: &[&[u64]]) -> HashMap<u64, Vec<Frame>> {
        let distinct: HashSet<u64> =
            stacks.iter().flat_map(|stack| stack.iter().copied()).collect();
        let mut named = HashMap::with_capacity(distinct.len());
        let mut by_file: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
        for address in distinct {
            // A return address is the instruction after the call, which may belong to the next line or function.
            let call = address.saturating_sub(1);
            match locate(mappings, call) {
                Some((path, offset)) => by_file.entry(path).or_default().push((address, offset)),
                None => drop(named.insert(address, vec![names::unnamed("unmapped", address)])),
            }
        }
        for (path, places) in by_file {
            let offsets: Vec<u64> = places.iter().map(|(_, offset)| *offset).collect();
            let frames = names::name_offsets(self.source(path).as_deref(), module(path), &offsets);
            named.extend(places.into_iter().map(|(address, _)| address).zip(frames));
        }
        named
    }

    /// Where the file behind a mapping can be read now: the held binary, or a library in the target's own file
    /// system while it lives. A library that was deleted has none: another file may stand at its path.
    fn source(&self, path: &str) -> Option<PathBuf> {
        if unmarked(path) == self.exe_path {
            return Some(through(&self.exe));
        }
        // The path comes out of the target's dump: it must not lead elsewhere, nor to a pipe or a device.
        let inside = Path::new(path).strip_prefix("/").ok()?;
        if path.ends_with(DELETED) || inside.components().any(|c| c == Component::ParentDir) {
            return None;
        }
        let library = through(&self.process).join("root").join(inside);
        fs::metadata(&library).is_ok_and(|meta| meta.is_file()).then_some(library)
    }
}

/// A path to an open file that stays good when the file has lost its name.
fn through(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn unmarked(path: &str) -> &str {
    path.strip_suffix(DELETED).unwrap_or(path)
}

fn module(path: &str) -> &str {
    let path = unmarked(path);
    path.rsplit('/').next().unwrap_or(path)
}

/// The file and the offset in it that an address is mapped from.
fn locate(mappings: &[Mapping], address: u64) -> Option<(&str, u64)> {
    let after = mappings.partition_point(|mapping| mapping.start <= address);
    let mapping = mappings.get(after.checked_sub(1)?)?;
    if address >= mapping.end {
        return None;
    }
    let offset = (address - mapping.start).checked_add(mapping.file_offset)?;
    Some((&mapping.path, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(start: u64, end: u64, file_offset: u64, path: &str) -> Mapping {
        Mapping { start, end, file_offset, path: path.into(), build_id: None }
    }

    #[test]
    fn an_address_is_found_in_its_mapping_and_not_in_the_gap() {
        let mappings =
            [mapping(0x1000, 0x2000, 0x500, "/a"), mapping(0x3000, 0x4000, u64::MAX, "/b")];
        assert_eq!(locate(&mappings, 0x1000), Some(("/a", 0x500)));
        assert_eq!(locate(&mappings, 0x1fff), Some(("/a", 0x14ff)));
        assert_eq!(locate(&mappings, 0x2000), None);
        assert_eq!(locate(&mappings, 0xfff), None);
        assert_eq!(locate(&mappings, 0x3001), None, "an offset beyond 64 bits");
        assert_eq!(locate(&[], 0), None);
    }

    #[test]
    fn modules_are_file_names_without_the_deleted_mark() {
        assert_eq!(module("/usr/lib/libc.so.6"), "libc.so.6");
        assert_eq!(module("/opt/shop (deleted)"), "shop");
    }
}
