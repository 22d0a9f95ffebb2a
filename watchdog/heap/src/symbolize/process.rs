//! The files of one process, held open so that they give names when they were replaced or deleted, and after its end.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use watchdog_core::profile::Mapping;

use super::SymbolizeError;
use super::elf::Elf;
use super::files::{DELETED, agree, build_id, open_inside, unmarked};
use super::image::Image;
use super::maps::{self, Code};

/// Longest `/proc/PID/maps` that is read: the kernel's default of 65,530 mappings with long paths.
const MAX_MAPS: u64 = 16 << 20;

/// Libraries that are held open; each is a file descriptor.
const MAX_HELD: usize = 64;

/// A process and its binary.
#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    /// `/proc/PID`. Once the process is gone this leads nowhere, even when another process got the same id.
    dir: File,
    exe: File,
    /// Path of the binary as its mappings give it, without the mark of a deleted file.
    exe_path: String,
    pub(super) build_id: Option<String>,
    pub(super) has_symbols: bool,
    seen: Mutex<Seen>,
}

/// What the maps said when they were read last.
#[derive(Debug, Default)]
struct Seen {
    code: Vec<Code>,
    mappings: Vec<Mapping>,
    libraries: Vec<Library>,
}

#[derive(Debug)]
struct Library {
    inode: String,
    path: String,
    build_id: Option<String>,
    file: Option<File>,
}

impl Process {
    pub(super) fn attach(proc_root: &Path, pid: u32) -> Result<Self, SymbolizeError> {
        let fail = |source| SymbolizeError::new(pid, source);
        let dir = File::open(proc_root.join(pid.to_string())).map_err(fail)?;
        let link = through(&dir).join("exe");
        let exe_path = fs::read_link(&link).map_err(fail)?.to_string_lossy().into_owned();
        let exe = File::open(&link).map_err(fail)?;
        let (mut build_id, mut has_symbols) = (None, false);
        if let Ok(image) = Image::open(&exe)
            && let Some(elf) = Elf::parse(image.bytes())
        {
            has_symbols = elf.has_symbols();
            build_id = elf.build_id;
        }
        let exe_path = unmarked(&exe_path).to_owned();
        Ok(Self { pid, dir, exe, exe_path, build_id, has_symbols, seen: Mutex::default() })
    }

    /// The mappings of code, with build ids. New libraries are opened and held.
    pub(super) fn mappings(&self) -> Result<Vec<Mapping>, SymbolizeError> {
        let maps = self.read_maps().map_err(|source| SymbolizeError::new(self.pid, source))?;
        let code = maps::parse(&maps);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.code != code {
            let mut libraries = Vec::new();
            let mut mappings = Vec::with_capacity(code.len());
            for one in &code {
                let build_id = self.identify(one, &mut seen.libraries, &mut libraries);
                mappings.push(Mapping { build_id, ..one.mapping.clone() });
            }
            *seen = Seen { code, mappings, libraries };
        }
        Ok(seen.mappings.clone())
    }

    fn read_maps(&self) -> io::Result<String> {
        let mut bytes = Vec::new();
        let maps = File::open(through(&self.dir).join("maps"))?;
        maps.take(MAX_MAPS).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            // A process that ended and was not waited for yet has none.
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The build id of a mapped file, which is opened when it was not mapped at the last look.
    fn identify(
        &self,
        code: &Code,
        held: &mut Vec<Library>,
        now: &mut Vec<Library>,
    ) -> Option<String> {
        let path = &code.mapping.path;
        if unmarked(path) == self.exe_path {
            return self.build_id.clone();
        }
        if let Some(known) = now.iter().find(|library| library.inode == code.inode) {
            return known.build_id.clone();
        }
        let library = match held.iter().position(|library| library.inode == code.inode) {
            Some(at) => held.swap_remove(at),
            None => {
                let file = open_inside(&self.root(), path);
                let build_id = file.as_ref().and_then(build_id);
                let file = file.filter(|_| now.len() < MAX_HELD);
                let path = unmarked(path).to_owned();
                Library { inode: code.inode.clone(), path, build_id, file }
            }
        };
        let build_id = library.build_id.clone();
        now.push(library);
        build_id
    }

    /// Where the file behind a mapping can be read now: the held binary, a held library, or one in the process's own
    /// file system while it lives.
    pub(super) fn open(&self, path: &str, build_id: Option<&str>) -> Option<File> {
        if unmarked(path) == self.exe_path {
            return agree(build_id, self.build_id.as_deref()).then(|| self.exe.try_clone().ok())?;
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let held = seen.libraries.iter().find(|library| {
            library.path == unmarked(path)
                && agree(build_id, library.build_id.as_deref())
                && (build_id.is_some() || !path.ends_with(DELETED))
        });
        if let Some(file) = held.and_then(|library| library.file.as_ref()) {
            return file.try_clone().ok();
        }
        drop(seen);
        open_inside(&self.root(), path)
    }

    fn root(&self) -> PathBuf {
        through(&self.dir).join("root")
    }
}

/// A path to an open file that stays good when the file has lost its name.
fn through(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}
