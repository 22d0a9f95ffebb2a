//! Profiles of programs whose jemalloc only writes files (`prof_prefix:/dir/jeprof` with `lg_prof_interval`, or a
//! program that asks for dumps itself).
//!
//! jemalloc calls them `PREFIX.PID.SEQ.KIND.heap`; with `prof_pid_namespace` the namespace's number stands before the
//! pid. `SEQ` counts a process's dumps from zero; `KIND` is `i`, `m` or `u` with a number of its own for dumps at an
//! interval, on request and at a new peak, and `f` for the last one. They are read and never touched.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use watchdog_core::units::{Bytes, WallTime};

use super::{CaptureError, Captured, MAX_BYTES, decode};

/// Most names of a directory that are looked at; `prof_gdump` wrote 20,000 files while a program grew by 82 MB.
const MAX_FILES: usize = 100_000;

/// How many of the newest files are tried before it is given up for this time.
const MAX_TRIES: usize = 4;

/// jemalloc writes a dump in pieces of this size, so a file that ends with a whole piece may not be finished.
const PIECE: u64 = 64 << 10;

/// Finds the dump files of one program.
#[derive(Clone, Debug)]
pub struct DumpFiles {
    dir: PathBuf,
    name: String,
    since: WallTime,
    max_bytes: usize,
}

impl DumpFiles {
    /// The files of a program that runs with `prof_prefix:PREFIX`, as the watchdog sees them: a prefix inside a
    /// container is found under `/proc/PID/root`.
    ///
    /// # Errors
    /// [`CaptureError::Prefix`] when `prefix` does not end with a name in UTF-8.
    pub fn new(prefix: PathBuf) -> Result<Self, CaptureError> {
        // A path with a slash at its end names the directory; `file_name` would take its last part for a name.
        let directory = prefix.as_os_str().as_encoded_bytes().ends_with(b"/");
        let name = prefix.file_name().and_then(OsStr::to_str).filter(|_| !directory);
        let Some(name) = name.map(str::to_owned) else {
            return Err(CaptureError::Prefix { prefix });
        };
        let dir = match prefix.parent() {
            Some(dir) if dir != Path::new("") => dir.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Self { dir, name, since: WallTime(f64::NEG_INFINITY), max_bytes: MAX_BYTES })
    }

    /// Passes over files that were last written before this time, such as the start of the process. In a container the
    /// process after a restart often has the same pid, and its sequence numbers begin again at zero.
    #[must_use]
    pub fn since(self, since: WallTime) -> Self {
        Self { since, ..self }
    }

    /// Reads files of at most this size instead of 64 MiB.
    #[must_use]
    pub fn with_max_bytes(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }

    /// The newest whole dump of process `pid` with its sequence number, or `None` when there is none whose number is
    /// above `after`. The pid is the one that the process sees of itself. A file that is still being written is passed
    /// over for the one before it. The profile's time is that at which the file was last written. Blocks on the disk.
    ///
    /// # Errors
    /// [`CaptureError`] when the directory cannot be looked through, or when there are new dumps and none can be read;
    /// the reason is that of the newest.
    pub fn newest(
        &self,
        pid: u32,
        after: Option<u64>,
    ) -> Result<Option<(u64, Captured)>, CaptureError> {
        let mut found = self.list(pid, after)?;
        found.sort_unstable_by(|a, b| b.cmp(a));
        let mut failed = None;
        let mut tries = 0;
        for (sequence, name) in found {
            match self.read(&self.dir.join(name), tries == 0) {
                Ok(Some(captured)) => return Ok(Some((sequence, captured))),
                Ok(None) => continue,
                Err(Failure::Unfinished) => {}
                Err(Failure::Error(error)) => failed = failed.or(Some(error)),
            }
            tries += 1;
            if tries == MAX_TRIES {
                break;
            }
        }
        failed.map_or(Ok(None), Err)
    }

    fn list(&self, pid: u32, after: Option<u64>) -> Result<Vec<(u64, String)>, CaptureError> {
        let failed = |source| CaptureError::Io { path: self.dir.clone(), source };
        let mut found = Vec::new();
        for (at, entry) in fs::read_dir(&self.dir).map_err(failed)?.enumerate() {
            if at == MAX_FILES {
                let dir = self.dir.clone();
                return Err(CaptureError::TooManyFiles { dir, limit: MAX_FILES });
            }
            let name = entry.map_err(failed)?.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some(sequence) = sequence(name, &self.name, pid)
                && after.is_none_or(|after| sequence > after)
            {
                found.push((sequence, name.to_owned()));
            }
        }
        Ok(found)
    }

    /// The dump in a file; `None` if it is not one of this process, or vanished. `last` says that no younger one exists.
    fn read(&self, path: &Path, last: bool) -> Result<Option<Captured>, Failure> {
        let failed = |source| CaptureError::Io { path: path.to_owned(), source };
        let Some((file, modified, length)) = open(path).map_err(failed)? else { return Ok(None) };
        if modified.0 < self.since.0 {
            return Ok(None);
        }
        let limit = self.max_bytes as u64;
        let origin = || path.display().to_string();
        let mut raw = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut raw).map_err(failed)?;
        if length > limit || raw.len() as u64 > limit {
            return Err(CaptureError::TooLarge { origin: origin(), limit: Bytes(limit) }.into());
        }
        if raw.is_empty() || last && (raw.len() as u64).is_multiple_of(PIECE) {
            return Err(Failure::Unfinished);
        }
        match decode(raw, modified, self.max_bytes) {
            Ok(captured) => Ok(Some(captured)),
            Err(source) if source.is_cut_short() => Err(Failure::Unfinished),
            Err(source) => Err(CaptureError::Unreadable { origin: origin(), source }.into()),
        }
    }
}

/// Why a file gave no profile.
enum Failure {
    /// It may be whole at the next look.
    Unfinished,
    Error(CaptureError),
}

impl From<CaptureError> for Failure {
    fn from(error: CaptureError) -> Self {
        Self::Error(error)
    }
}

/// A regular file, when it was last written, and its length. Links are not followed and a pipe is not waited for:
/// anybody may have put a name into the directory.
fn open(path: &Path) -> io::Result<Option<(File, WallTime, u64)>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => match fs::symlink_metadata(path) {
            // A link is refused by `open` with an error of its own, a socket with another.
            Ok(metadata) if metadata.is_file() => return Err(error),
            _ => return Ok(None),
        },
    };
    let metadata = file.metadata()?;
    let modified = metadata.modified()?;
    Ok(metadata.is_file().then(|| (file, wall(modified), metadata.len())))
}

fn wall(time: SystemTime) -> WallTime {
    let before = |error: std::time::SystemTimeError| -error.duration().as_secs_f64();
    WallTime(time.duration_since(UNIX_EPOCH).map_or_else(before, |since| since.as_secs_f64()))
}

/// The sequence number in a file's name, if jemalloc gives such a name to a dump of this process.
fn sequence(file: &str, prefix: &str, pid: u32) -> Option<u64> {
    let rest = file.strip_prefix(prefix)?.strip_prefix('.')?.strip_suffix(".heap")?;
    let parts: Vec<&str> = rest.splitn(5, '.').collect();
    let (process, sequence, kind) = match parts.as_slice() {
        [process, sequence, kind] => (process, sequence, kind),
        [namespace, process, sequence, kind] => {
            number(namespace)?;
            (process, sequence, kind)
        }
        _ => return None,
    };
    let (letter, count) = kind.split_at_checked(1)?;
    let known = matches!(letter, "i" | "m" | "u") && number(count).is_some() || *kind == "f";
    (known && number(process) == Some(u64::from(pid))).then(|| number(sequence))?
}

/// Digits as `%d` prints them: no sign, no zero in front.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    (plain && !padded).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_jemalloc_gives() {
        for (name, expected) in [
            ("jeprof.42.0.f.heap", Some(0)),
            ("jeprof.42.7.i3.heap", Some(7)),
            ("jeprof.42.18446744073709551615.m0.heap", Some(u64::MAX)),
            ("jeprof.42.9.u12.heap", Some(9)),
            ("jeprof.4026531836.42.9.u12.heap", Some(9)),
            ("jeprof.43.7.i3.heap", None),
            ("jeprof.042.7.i3.heap", None),
            ("jeprof.42.07.i3.heap", None),
            ("jeprof.42.18446744073709551616.i3.heap", None),
            ("jeprof.42.-7.i3.heap", None),
            ("jeprof.42.+7.i3.heap", None),
            ("jeprof.42.7.x3.heap", None),
            ("jeprof.42.7.i.heap", None),
            ("jeprof.42.7.f3.heap", None),
            ("jeprof.42.7..heap", None),
            ("jeprof.42.7.é.heap", None),
            ("jeprof.1.2.42.7.i3.heap", None),
            ("jeprof.x.42.7.i3.heap", None),
            ("jeprof.42.7.i3.heap.gz", None),
            ("jeprof42.7.i3.heap", None),
            ("other.42.7.i3.heap", None),
            ("jeprof..heap", None),
            ("", None),
        ] {
            assert_eq!(sequence(name, "jeprof", 42), expected, "{name}");
        }
    }

    #[test]
    fn a_prefix_needs_a_name() {
        for prefix in ["/", "", "/var/tmp/", "..", "/var/.."] {
            let error = DumpFiles::new(prefix.into()).expect_err(prefix);
            assert!(error.to_string().contains("prof_prefix"), "{error}");
        }
        let files = DumpFiles::new("jeprof".into()).expect("a prefix");
        assert_eq!(files.dir, Path::new("."));
    }
}
