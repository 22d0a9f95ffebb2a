//! The bytes of a file as memory: pages of the file, which the kernel takes back when it needs them.

use std::fs::File;
use std::io;

use memmap2::Mmap;

/// Shortest file that can be ELF64: its header, elf(5).
const SHORTEST: u64 = 64;

/// A file mapped for reading.
pub(super) struct Image {
    map: Mmap,
}

impl Image {
    /// Maps a regular file.
    ///
    /// # Errors
    /// When it is no regular file, too short to be a program, or cannot be mapped.
    pub(super) fn open(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        if !meta.is_file() || meta.len() < SHORTEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a program's file"));
        }
        Ok(Self { map: map(file)? })
    }

    /// The whole file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.map
    }
}

#[allow(unsafe_code)]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: mmap(2), a private read-only mapping of a regular file. Programs and libraries are replaced by rename,
    // and the kernel refuses to write to a file that runs (`ETXTBSY`, execve(2)), so the bytes stay as they are. The
    // mapping lives for one batch of names only, every read is checked against its length, and nothing read from it
    // is trusted to be the same when it is read again.
    unsafe { Mmap::map(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_mapped_and_a_device_or_an_empty_file_is_not() {
        let own = File::open("/proc/self/exe").expect("the test's binary");
        assert!(Image::open(&own).expect("mapped").bytes().starts_with(b"\x7fELF"));
        assert!(Image::open(&File::open("/dev/zero").expect("a device")).is_err());
        assert!(Image::open(&tempfile::tempfile().expect("a file")).is_err());
    }
}
