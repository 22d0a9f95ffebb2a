//! Names for raw addresses, found in the watchdog from the target's own binary.
//!
//! The binary and its libraries are held open, so they resolve as well when their files were replaced by new versions or
//! deleted, and after the process was killed. Symbol table and debug information are read in place, in pages of the
//! file that the kernel can take back: only the addresses that are asked for are looked up, only the compilation units
//! that they are in are read, and only the names are kept – for a call, or per build id in a [`SymbolCache`].
//!
//! 64-bit little-endian ELF with DWARF 2 to 5; anything else gives `module+0xoffset` with a reason
//! ([`Symbolizer::missing`]).

mod cache;
mod demangle;
mod dwarf;
mod elf;
mod files;
mod image;
mod maps;
mod meter;
mod naming;
mod process;
mod resolve;
mod sections;
mod strings;
mod symtab;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use watchdog_core::profile::{Frame, Mapping};

use crate::symbols::Symbols;
pub use cache::{MAX_FILE, MAX_FILES, SymbolCache};
use dwarf::Call;
use naming::{Module, Named};
use process::Process;

/// `ESRCH`: the process behind an open `/proc` directory is gone (see proc(5)).
const NO_SUCH_PROCESS: i32 = 3;

/// Bytes of all names that one call gives out. Names in a frame are not shared, so a hostile binary could ask for a long
/// one at every address; twenty thousand addresses of a large Rust program have 15 MiB.
const MAX_NAMES: usize = 48 << 20;

/// Modules of which is said why their functions have no names.
const MAX_REASONS: usize = 64;

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
    /// Asked for the mappings of a process without being attached to one.
    #[error("there is no process to read mappings from: use those of the profile")]
    Offline,
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

/// Resolves addresses of one process, or of a profile whose process is gone.
#[derive(Debug)]
pub struct Symbolizer {
    process: Option<Process>,
    cache: Option<Arc<SymbolCache>>,
    debug_dirs: Vec<PathBuf>,
    /// By module, why some of its functions have no names.
    missing: Mutex<BTreeMap<String, String>>,
}

impl Symbolizer {
    /// Opens the binary of process `pid` under `proc_root` (`/proc`, or where the host's is mounted).
    ///
    /// # Errors
    /// [`SymbolizeError`] when there is no such process or its binary cannot be read.
    pub fn attach(proc_root: &Path, pid: u32) -> Result<Self, SymbolizeError> {
        let process = Some(Process::attach(proc_root, pid)?);
        Ok(Self { process, ..Self::offline(None, Vec::new()) })
    }

    /// Resolves without a process: from the cache and the directories of debug files by build id, else from the file at
    /// a mapping's path on this machine, unless its build id is another.
    pub fn offline(cache: Option<Arc<SymbolCache>>, debug_dirs: Vec<PathBuf>) -> Self {
        Self { process: None, cache, debug_dirs, missing: Mutex::default() }
    }

    /// Keeps what is resolved per build id, and looks there first.
    #[must_use]
    pub fn with_cache(mut self, cache: Arc<SymbolCache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Directories of debug files, such as `/usr/lib/debug`, for binaries whose debug information was moved out.
    #[must_use]
    pub fn with_debug_dirs(mut self, debug_dirs: Vec<PathBuf>) -> Self {
        self.debug_dirs = debug_dirs;
        self
    }

    /// Whether the binary has a symbol table, or its debug file is in one of the directories. Without either its
    /// functions stay `module+0xoffset`. Nothing is known of a profile without a process.
    pub fn has_symbols(&self) -> bool {
        let Some(process) = &self.process else {
            return false;
        };
        let moved = || files::find_debug(&self.debug_dirs, self.build_id(), None).is_some();
        process.has_symbols || moved()
    }

    /// The GNU build id of the process's binary in lower-case hexadecimal.
    pub fn build_id(&self) -> Option<&str> {
        self.process.as_ref()?.build_id.as_deref()
    }

    /// Where the process has code of files now, by ascending start and with build ids. Libraries that are new since the
    /// last look are opened and held, so that they too have names after the process's end.
    ///
    /// # Errors
    /// [`SymbolizeError`] when the process is gone, or there is none.
    pub fn mappings(&self) -> Result<Vec<Mapping>, SymbolizeError> {
        self.process.as_ref().ok_or(SymbolizeError::Offline)?.mappings()
    }

    /// The frames of return addresses as they stand in stacks, innermost first; a call that was inlined is a frame of
    /// its own. An address that has no name becomes `module+0xoffset` with the offset in the module's file, or
    /// `unmapped+0xaddress`. `mappings` must be by ascending start. Takes from a millisecond (all in the cache) to a
    /// second (thousands of addresses in a large binary): call it where blocking is allowed.
    pub fn symbols(
        &self,
        mappings: &[Mapping],
        addresses: impl IntoIterator<Item = u64>,
    ) -> Symbols {
        let mut addresses: Vec<u64> = addresses.into_iter().collect();
        addresses.sort_unstable();
        addresses.dedup();
        let mut symbols = Symbols::default();
        let mut modules: BTreeMap<_, Vec<(u64, u64)>> = BTreeMap::new();
        for address in addresses {
            // A return address is the instruction after the call, which may belong to the next line or function.
            match maps::locate(mappings, address.saturating_sub(1)) {
                Some((mapping, offset)) => {
                    let module = (mapping.path.as_str(), mapping.build_id.as_deref());
                    modules.entry(module).or_default().push((offset, address));
                }
                None => symbols.insert(address, vec![unnamed("unmapped", address)]),
            }
        }
        let mut room = MAX_NAMES;
        for ((path, build_id), mut places) in modules {
            let mapped = mappings.iter().filter(|mapping| mapping.path == path);
            let mapped_from = mapped.map(|mapping| mapping.file_offset).min().unwrap_or_default();
            let module = Module { file: self.open(path, build_id), build_id, mapped_from };
            places.sort_unstable();
            self.name_module(files::module(path), &module, &places, &mut room, &mut symbols);
        }
        symbols
    }

    /// What could not be named so far and why, a sentence for each module: "libshop.so: it is stripped: build with …".
    pub fn missing(&self) -> Vec<String> {
        let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.iter().map(|(module, reason)| format!("{module}: {reason}")).collect()
    }

    fn open(&self, path: &str, build_id: Option<&str>) -> Option<std::fs::File> {
        match &self.process {
            Some(process) => process.open(path, build_id),
            None => files::open_inside(Path::new("/"), path),
        }
    }

    /// Names places (offset in the file, address) of one module.
    fn name_module(
        &self,
        name: &str,
        module: &Module<'_>,
        places: &[(u64, u64)],
        room: &mut usize,
        symbols: &mut Symbols,
    ) {
        let mut offsets: Vec<u64> = places.iter().map(|(offset, _)| *offset).collect();
        offsets.dedup();
        let Named { calls, mut why_not } =
            naming::name(module, &offsets, &self.debug_dirs, self.cache.as_deref());
        for (offset, address) in places {
            let at = offsets.binary_search(offset).ok();
            let calls = at.and_then(|at| calls.get(at)).map_or(&[][..], Vec::as_slice);
            let frames = frames(calls, || unnamed(name, *offset));
            let size = frames.iter().map(size).sum();
            let frames = match room.checked_sub(size) {
                Some(left) => {
                    *room = left;
                    frames
                }
                None => {
                    why_not.get_or_insert_with(|| "its names are too long to be given out".into());
                    vec![unnamed(name, *offset)]
                }
            };
            symbols.insert(*address, frames);
        }
        self.note(name, why_not);
    }

    /// Keeps what is said of a module now; nothing when all of it has names.
    fn note(&self, module: &str, why_not: Option<String>) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        match why_not {
            Some(reason) if missing.len() < MAX_REASONS || missing.contains_key(module) => {
                tracing::debug!(module, %reason, "some functions have no names");
                missing.insert(module.to_owned(), reason);
            }
            _ => drop(missing.remove(module)),
        }
    }
}

/// The frame of a place without a name.
fn unnamed(module: &str, offset: u64) -> Frame {
    Frame { function: format!("{module}+0x{offset:x}"), file: None, line: None }
}

/// At least one frame.
fn frames(calls: &[Call], unnamed: impl Fn() -> Frame) -> Vec<Frame> {
    let frame = |call: &Call| Frame {
        function: call.function.as_deref().map_or_else(|| unnamed().function, str::to_owned),
        file: call.file.as_deref().map(str::to_owned),
        line: call.line,
    };
    let frames: Vec<Frame> = calls.iter().map(frame).collect();
    if frames.is_empty() { vec![unnamed()] } else { frames }
}

fn size(frame: &Frame) -> usize {
    size_of::<Frame>() + frame.function.len() + frame.file.as_ref().map_or(0, String::len)
}
