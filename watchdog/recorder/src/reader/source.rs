//! Where a recorder's bytes come from.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes that can be read from any place. They may change between two reads.
pub trait Source {
    /// How many bytes there are.
    ///
    /// # Errors
    /// What the system answers.
    fn length(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// When there are not as many bytes, or they cannot be read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl Source for File {
    fn length(&self) -> io::Result<u64> {
        self.metadata().map(|about| about.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

impl Source for [u8] {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let bytes = start.and_then(|start| self.get(start..)?.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn length(&self) -> io::Result<u64> {
        (**self).length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_at(buffer, offset)
    }
}

/// Bytes read at one time.
const CHUNK: usize = 16 << 10;

/// Fills `words` from the file's word `first` on.
pub(super) fn words_at(source: &impl Source, first: usize, words: &mut [u64]) -> io::Result<()> {
    let mut buffer = [0_u8; CHUNK];
    let mut offset = first as u64 * 8;
    for words in words.chunks_mut(CHUNK / 8) {
        let bytes = buffer.get_mut(..words.len() * 8).unwrap_or_default();
        source.read_at(bytes, offset)?;
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_ne_bytes(*bytes);
        }
        offset += words.len() as u64 * 8;
    }
    Ok(())
}
