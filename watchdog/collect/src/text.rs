//! Small files of the kernel: read whole into a buffer that is used again, then taken apart line by line.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::CollectError;

/// The files read at each tick hold a few kilobytes; more than this is not the kernel speaking.
const SMALL: usize = 64 * 1024;
/// A mount table has a line for every volume of every pod of a node.
const LARGE: usize = 4 * 1024 * 1024;
/// One page takes most files in a single read.
const FIRST_READ: usize = 4096;

/// A file kept open and read again from its start, which costs no path walk and still works when the
/// process it was found through is gone.
#[derive(Debug)]
pub(crate) struct HeldFile {
    path: PathBuf,
    file: File,
}

impl HeldFile {
    pub(crate) fn open(path: PathBuf) -> Result<Self, CollectError> {
        let file = File::open(&path).map_err(|error| CollectError::io(&path, error))?;
        Ok(Self { path, file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn read<'a>(&self, buffer: &'a mut Vec<u8>) -> Result<&'a [u8], CollectError> {
        read_whole(&self.file, buffer).map_err(|error| CollectError::io(&self.path, error))
    }
}

/// Reads a small open file from its start.
pub(crate) fn read_whole<'a>(file: &File, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
    let length = read_up_to(file, buffer, SMALL)?;
    if length == SMALL {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(&buffer[..length])
}

/// Reads the first bytes of an open file, for files whose length others decide.
pub(crate) fn read_start<'a>(file: &File, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
    let length = read_up_to(file, buffer, FIRST_READ)?;
    Ok(&buffer[..length])
}

/// Reads a file that may be as large as a mount table.
pub(crate) fn read_table(path: &Path) -> io::Result<Vec<u8>> {
    let mut buffer = Vec::new();
    let length = read_up_to(&File::open(path)?, &mut buffer, LARGE)?;
    if length == LARGE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    buffer.truncate(length);
    Ok(buffer)
}

fn read_up_to(file: &File, buffer: &mut Vec<u8>, max: usize) -> io::Result<usize> {
    let mut length = 0;
    while length < max {
        if buffer.len() == length || buffer.len() < FIRST_READ {
            buffer.resize((buffer.len() * 2).clamp(FIRST_READ, max), 0);
        }
        let end = buffer.len().min(max);
        match file.read_at(&mut buffer[length..end], length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Lines with their numbers, counted from one.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    bytes.split(|byte| *byte == b'\n').zip(1..).map(|(line, number)| (number, line))
}

/// A number without sign.
pub(crate) fn number(
    path: &Path,
    line: usize,
    item: &'static str,
    text: &[u8],
) -> Result<u64, CollectError> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| CollectError::malformed(path, line, item, text))
}

/// The values of some keys in a file of lines `key value` or `Key: value kB`; a unit is left out.
pub(crate) fn values<const N: usize>(
    path: &Path,
    bytes: &[u8],
    keys: [&'static str; N],
) -> Result<[Option<u64>; N], CollectError> {
    let mut found = [None; N];
    for (line, text) in lines(bytes) {
        let end = text.iter().position(|byte| matches!(byte, b' ' | b':')).unwrap_or(text.len());
        let Some(index) = keys.iter().position(|key| key.as_bytes() == &text[..end]) else {
            continue;
        };
        let value = text[end..].strip_prefix(b":").unwrap_or(&text[end..]).trim_ascii();
        let value = value.strip_suffix(b" kB").unwrap_or(value);
        found[index] = Some(number(path, line, keys[index], value)?);
    }
    Ok(found)
}

/// The value, or the error that the file lacks it.
pub(crate) fn required(
    path: &Path,
    item: &'static str,
    value: Option<u64>,
) -> Result<u64, CollectError> {
    value.ok_or_else(|| CollectError::Missing { path: path.to_path_buf(), item })
}
