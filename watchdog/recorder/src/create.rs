//! Making a recorder's file, with room for everything it will ever hold.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};

use crate::error::RecorderError;
use crate::geometry::Geometry;
use crate::layout;

/// Makes a new recorder at `path`, of mode 0600, and gives it back open for reading and writing.
///
/// Every page is written here, by the watchdog: a full disk is an error now and not the death of the watched process
/// when it touches the page, and the memory of the pages is counted as the watchdog's.
///
/// # Errors
/// [`RecorderError::Geometry`] for sizes out of bounds, [`RecorderError::Io`] when the file exists or does not fit.
pub fn create(path: &Path, geometry: Geometry) -> Result<File, RecorderError> {
    geometry.validate()?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(RecorderError::io("create", path))?;
    fill(&mut file, &geometry).map_err(|source| {
        // What is half written is of no use to anybody, and the error is the first one.
        let _ = std::fs::remove_file(path);
        RecorderError::Io { action: "write all of", path: path.into(), source }
    })?;
    Ok(file)
}

fn fill(file: &mut File, geometry: &Geometry) -> io::Result<()> {
    const CHUNK: usize = 64 << 10;
    let zeros = [0_u8; CHUNK];
    let bytes = geometry.bytes();
    match fallocate(&*file, FallocateFlags::empty(), 0, bytes as u64) {
        Ok(()) => {}
        // Some file systems have no such call; writing below then finds out whether there is room.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
        Err(error) => return Err(error.into()),
    }
    let mut page = Vec::with_capacity(4096);
    for word in layout::created(geometry) {
        page.extend_from_slice(&word.to_ne_bytes());
    }
    page.resize(4096, 0);
    file.write_all(&page)?;
    let mut left = bytes - page.len();
    while left > 0 {
        let now = left.min(CHUNK);
        file.write_all(&zeros[..now])?;
        left -= now;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no fallocate")]
    fn a_new_file_is_whole_on_disk_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.rec");
        let about = create(&path, Geometry::default()).unwrap().metadata().unwrap();
        assert_eq!(about.len(), Geometry::default().bytes() as u64);
        assert!(about.blocks() * 512 >= about.len(), "no holes: {} blocks", about.blocks());
        assert_eq!(about.mode() & 0o777, 0o600);
    }

    #[test]
    fn what_exists_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.rec");
        std::fs::write(&path, "mine").unwrap();
        assert!(matches!(create(&path, Geometry::SMALL), Err(RecorderError::Io { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    }
}
