//! Why something about a process could not be read.

use std::io;
use std::path::{Path, PathBuf};

use procfs::ProcError;

/// `ESRCH`, which the kernel answers when a process dies while one of its files is being read.
const NO_SUCH_PROCESS: i32 = 3;

/// What could not be read, where, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The process is gone. This is data: the target ended.
    #[error("process {pid} is gone: it ended, or its pid went to another process")]
    Vanished {
        /// The process that was looked for.
        pid: u32,
    },
    /// A file could not be opened or read.
    #[error("cannot read {path}: {source}{}", hint(.source))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A line does not say what it should.
    #[error("{path} line {line}: {item} cannot be `{text}`")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from one.
        line: usize,
        /// What was looked for.
        item: &'static str,
        /// What stood there, cut to 80 characters.
        text: String,
    },
    /// A file lacks an item that every supported kernel writes.
    #[error("{path} has no `{item}`; Linux 4.13 or newer writes it")]
    Missing {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        item: &'static str,
    },
    /// The memory cgroup of the process is out of reach.
    #[error(
        "the memory cgroup of process {pid} cannot be read ({reason}); give the limit with --limit or OOMEN_LIMIT_BYTES"
    )]
    NoCgroup {
        /// The process.
        pid: u32,
        /// What stood in the way.
        reason: String,
    },
}

impl CollectError {
    /// Whether the process is gone, which is data and not a failure.
    pub fn is_vanished(&self) -> bool {
        matches!(self, Self::Vanished { .. })
    }

    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }

    pub(crate) fn malformed(path: &Path, line: usize, item: &'static str, text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text).chars().take(80).collect();
        Self::Malformed { path: path.to_path_buf(), line, item, text }
    }

    /// An error on a file under `/proc/PID`: a missing file or `ESRCH` means that the process is gone.
    pub(crate) fn of_process(pid: u32, path: &Path, source: io::Error) -> Self {
        let gone = source.kind() == io::ErrorKind::NotFound
            || source.raw_os_error() == Some(NO_SUCH_PROCESS);
        if gone { Self::Vanished { pid } } else { Self::io(path, source) }
    }

    /// The same for what the procfs crate answers.
    pub(crate) fn of_procfs(pid: u32, path: &Path, error: ProcError) -> Self {
        let source = match error {
            ProcError::NotFound(_) => return Self::Vanished { pid },
            ProcError::PermissionDenied(_) => io::ErrorKind::PermissionDenied.into(),
            ProcError::Io(source, _) => source,
            other => io::Error::other(other.to_string()),
        };
        Self::of_process(pid, path, source)
    }
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "; run the watchdog as the same user as the process, or give it CAP_SYS_PTRACE"
        }
        _ => "",
    }
}
