//! Opening files that others may have put there.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::error::RecorderError;

/// Opens a regular file of this user. Links are not followed and pipes are not waited for: in a directory that others
/// can write to, a name says nothing of what is behind it.
pub(crate) fn open_own(path: &Path, write: bool) -> Result<File, RecorderError> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits();
    let file = OpenOptions::new()
        .read(true)
        .write(write)
        .custom_flags(flags.cast_signed())
        .open(path)
        .map_err(RecorderError::io("open", path))?;
    let about = file.metadata().map_err(RecorderError::io("look at", path))?;
    let stranger = |what| Err(RecorderError::Stranger { path: path.into(), what });
    if !about.is_file() {
        return stranger("no regular file");
    }
    if about.uid() != rustix::process::geteuid().as_raw() {
        return stranger("another user's file");
    }
    if about.mode() & 0o022 != 0 {
        return stranger("a file that other users may write to");
    }
    Ok(file)
}
