//! The state file: a header, a stamp of the clock, and one part for each workload.
//!
//! ```text
//!  0  8  magic "OOMENDET"
//!  8  4  version, little endian as all numbers
//! 12  4  CRC-32 (IEEE) of all that follows the header
//! 16  8  length of all that follows the header, in bytes
//! 24     parts: length (4 bytes), then as many bytes of postcard; the first is the stamp, the others are a name and a
//!        workload each
//! ```
//!
//! Postcard does not describe itself, so the version must be raised whenever the form of a detector changes; a test
//! compares the form with the one on record. Parts are read and written one at a time: a watchdog of a hundred targets
//! needs the memory of one more.

use std::io::{self, Read, Seek, SeekFrom, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Stamp;
use crate::workload::Workload;

/// Raised whenever the form of a part changes.
pub const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"OOMENDET";
const HEADER: u64 = 24;
/// A workload has some 160 KiB once it was watched for a week; a detector may have 256.
pub const MAX_PART: usize = 256 << 10;
/// What the checksum is computed over at once.
const BLOCK: usize = 16 << 10;

/// Why a file is no state that can be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The disk refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Another program's file.
    #[error("it is no state of Oomen's detectors")]
    Foreign,
    /// A file of another release.
    #[error("it has version {found}, and this program reads version {VERSION}")]
    Version {
        /// Its version.
        found: u32,
    },
    /// More than so many targets can have left behind.
    #[error("it has {found} bytes, where at most {most} are expected of this many targets")]
    TooLarge {
        /// Its length in bytes.
        found: u64,
        /// The bound in bytes.
        most: u64,
    },
    /// Cut off, or with something behind it.
    #[error("it should have {said} bytes and has {found}: its writing was interrupted")]
    Length {
        /// What its header says.
        said: u64,
        /// What is there.
        found: u64,
    },
    /// Bits have changed.
    #[error("its checksum is wrong: it was damaged")]
    Checksum,
    /// The checksum is right and the content is not.
    #[error("its part {part} is not what this version writes")]
    Malformed {
        /// Number of the part; the stamp is 0.
        part: usize,
    },
    /// A workload that no reader would accept.
    #[error("a workload takes {found} bytes, and at most {MAX_PART} can be kept")]
    TooLargePart {
        /// Its length in bytes.
        found: usize,
    },
}

/// What a file holds.
#[derive(Debug)]
pub struct State {
    /// What the clock showed when it was written.
    pub stamp: Stamp,
    /// The workloads by name.
    pub workloads: Vec<(String, Workload)>,
}

/// Bytes of a file of so many workloads at most.
pub fn max_bytes(workloads: usize) -> u64 {
    HEADER + (workloads as u64 + 1) * (MAX_PART as u64 + 4)
}

/// Writes a whole file, from its start.
///
/// # Errors
/// When the disk refuses or a workload is too large; what is written then is no valid file.
pub fn write<W: Write + Seek>(
    mut to: W,
    stamp: &Stamp,
    workloads: impl Iterator<Item = (String, Workload)>,
) -> Result<(), FileError> {
    // Without its header the file is foreign to every reader until it is whole.
    to.write_all(&[0; HEADER as usize])?;
    let mut body = Body { to, crc: crc32fast::Hasher::new(), length: 0 };
    body.part(stamp)?;
    for workload in workloads {
        body.part(&workload)?;
    }
    let Body { mut to, crc, length } = body;
    to.seek(SeekFrom::Start(0))?;
    to.write_all(&MAGIC)?;
    to.write_all(&VERSION.to_le_bytes())?;
    to.write_all(&crc.finalize().to_le_bytes())?;
    to.write_all(&length.to_le_bytes())?;
    Ok(to.flush()?)
}

struct Body<W> {
    to: W,
    crc: crc32fast::Hasher,
    length: u64,
}

impl<W: Write> Body<W> {
    fn part(&mut self, value: &impl Serialize) -> Result<(), FileError> {
        let bytes = postcard::to_stdvec(value).map_err(io::Error::other)?;
        let found = bytes.len();
        let length = u32::try_from(found).ok().filter(|_| found <= MAX_PART);
        let length = length.ok_or(FileError::TooLargePart { found })?.to_le_bytes();
        for bytes in [&length[..], &bytes] {
            self.to.write_all(bytes)?;
            self.crc.update(bytes);
            self.length += bytes.len() as u64;
        }
        Ok(())
    }
}

/// Reads a whole file of at most `most` workloads, from its start.
///
/// # Errors
/// [`FileError`] with what is wrong with it. Nothing of such a file is used.
pub fn read<R: Read + Seek>(mut from: R, most: usize) -> Result<State, FileError> {
    let found = from.seek(SeekFrom::End(0))?;
    if found > max_bytes(most) {
        return Err(FileError::TooLarge { found, most: max_bytes(most) });
    }
    from.seek(SeekFrom::Start(0))?;
    let (crc, length) = header(&mut from, found)?;
    if found - HEADER != length {
        return Err(FileError::Length { said: length.saturating_add(HEADER), found });
    }
    if checksum(&mut from, length)? != crc {
        return Err(FileError::Checksum);
    }
    from.seek(SeekFrom::Start(HEADER))?;
    let mut body = Parts { from: from.take(length), part: 0, buffer: Vec::new() };
    let stamp: Stamp = body.next()?.ok_or(FileError::Malformed { part: 0 })?;
    if !stamp.is_sound() {
        return Err(FileError::Malformed { part: 0 });
    }
    let mut workloads = Vec::new();
    while let Some(workload) = body.next()? {
        if workloads.len() == most {
            return Err(FileError::Malformed { part: body.part - 1 });
        }
        workloads.push(workload);
    }
    Ok(State { stamp, workloads })
}

/// Checksum and length of what follows.
fn header(from: &mut impl Read, found: u64) -> Result<(u32, u64), FileError> {
    let mut header = Vec::with_capacity(HEADER as usize);
    from.take(HEADER).read_to_end(&mut header)?;
    if !header.starts_with(&MAGIC) {
        return Err(FileError::Foreign);
    }
    let number = |at: usize| header.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let version = number(8).filter(|version| *version != VERSION);
    if let Some(found) = version {
        return Err(FileError::Version { found });
    }
    let long = |at: usize| header.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    number(12).zip(long(16)).ok_or(FileError::Length { said: HEADER, found })
}

fn checksum(from: &mut impl Read, length: u64) -> Result<u32, FileError> {
    let mut crc = crc32fast::Hasher::new();
    let mut from = from.take(length);
    let mut block = vec![0; BLOCK];
    loop {
        match from.read(&mut block)? {
            0 => return Ok(crc.finalize()),
            read => crc.update(&block[..read]),
        }
    }
}

struct Parts<R> {
    from: io::Take<R>,
    part: usize,
    buffer: Vec<u8>,
}

impl<R: Read> Parts<R> {
    /// The next part; `None` at the end.
    fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FileError> {
        if self.from.limit() == 0 {
            return Ok(None);
        }
        let malformed = FileError::Malformed { part: self.part };
        let mut length = [0; 4];
        if self.from.limit() < 4 {
            return Err(malformed);
        }
        self.from.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        let fits = u64::from(length) <= self.from.limit();
        let Some(length) = usize::try_from(length).ok().filter(|n| fits && *n <= MAX_PART) else {
            return Err(malformed);
        };
        self.buffer.resize(length, 0);
        self.from.read_exact(&mut self.buffer)?;
        self.part += 1;
        match postcard::take_from_bytes(&self.buffer) {
            Ok((value, [])) => Ok(Some(value)),
            _ => Err(malformed),
        }
    }
}

#[cfg(test)]
mod form;
#[cfg(test)]
mod tests;
