//! One heap dump: jemalloc writes it into a file that has no name.
//!
//! Why a file on disk, unlinked before a byte is written, of all the ways (measured on jemalloc 5.3.1):
//! - `prof.dump` itself allocates nothing: it formats into a static 64 KiB buffer and succeeded with no headroom
//!   left at all, while encoding or symbolizing in the process needed 256 MB. So jemalloc's own text it is.
//! - A pipe would need no disk, but the dump writes while it holds the profile's locks: a reader that pauses for 2 s
//!   stalls every allocating thread for 2 s, and a reader within this process deadlocks on its first sampled
//!   allocation. A file never makes the dump wait for whoever asked.
//! - A memfd or a file on tmpfs is charged to this process's cgroup and cannot be reclaimed, just when memory is
//!   short. Pages of a file on disk are charged too, but the kernel writes them back and drops them.
//! - Without a name there is nothing to clean up, also when the process is killed in the middle of it.

use std::ffi::{CString, c_char};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use tikv_jemalloc_ctl::raw;

use crate::configuration;
use crate::error::ProbeError;

/// Where dumps may go, best first: the directory the operator names and no other, else `/var/tmp`, which outlives
/// reboots and so is on disk, else the temporary directory, which may be a tmpfs.
pub(crate) fn directories() -> Vec<PathBuf> {
    match std::env::var_os("OOMEN_DUMP_DIR") {
        Some(named) => vec![named.into()],
        None => vec!["/var/tmp".into(), std::env::temp_dir()],
    }
}

/// Takes a heap dump, ready to be read from its start. Blocks for 3 to 5 ms at a thousand distinct stacks and half a
/// second at a hundred thousand.
pub(crate) fn take(directories: &[PathBuf]) -> Result<File, ProbeError> {
    configuration::check_installed()?;
    configuration::check_profiling()?;
    let file = first_that_works(directories)?;
    write_profile(&file)?;
    Ok(file)
}

fn first_that_works(directories: &[PathBuf]) -> Result<File, ProbeError> {
    let mut tried = Vec::new();
    for directory in directories {
        match nameless_file(directory) {
            Ok(file) => return Ok(file),
            Err(error) => tried.push((directory.clone(), error)),
        }
    }
    Err(ProbeError::NoDirectory { tried })
}

/// A new file that only this process can reach. `create_new` neither follows a link nor opens what somebody else
/// put there, so a guessed name gains nothing.
fn nameless_file(directory: &Path) -> io::Result<File> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let path = directory.join(format!(".oomen-probe-{}-{}", std::process::id(), now.as_nanos()));
    let file =
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

fn write_profile(file: &File) -> Result<(), ProbeError> {
    let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))
        .map_err(|error| ProbeError::ReadBack(error.into()))?;
    // SAFETY: jemalloc's manual, `prof.dump (const char *) -w`: the value written is a pointer to a NUL-terminated
    // file name, which jemalloc only reads during the call; `path` and `file` outlive it.
    #[allow(unsafe_code)]
    let written = unsafe { raw::write::<*const c_char>(b"prof.dump\0", path.as_ptr()) };
    written.map_err(|source| ProbeError::Dump { source })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_dump_is_complete_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let mut text = String::new();
        let mut file = take(&[directory.path().into()]).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("heap_v2/524288\n"), "{}", &text[..text.len().min(80)]);
        assert!(text.contains("MAPPED_LIBRARIES:"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_fails_is_passed_over_for_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing");
        assert!(take(&[missing, directory.path().into()]).is_ok());
    }

    #[test]
    fn the_error_names_every_directory_that_was_tried_and_the_way_out() {
        let error = take(&["/nowhere/a".into(), "/nowhere/b".into()]).unwrap_err().to_string();
        for part in ["/nowhere/a", "/nowhere/b", "OOMEN_DUMP_DIR"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
