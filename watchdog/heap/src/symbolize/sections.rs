//! The debug sections of an ELF file as gimli reads them: in place, or decompressed within a bound.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::ZlibDecoder;
use gimli::{EndianSlice, LittleEndian, SectionId};

use super::elf::{Elf, Section, u32_at, u64_at};

/// Most that the compressed debug sections of one file may take in memory. Sections that are not compressed are pages
/// of the file and take none. More than this would not fit beside everything else in a sidecar of 32 MiB.
pub(super) const MAX_DECOMPRESSED: u64 = 16 << 20;

/// `ELFCOMPRESS_ZLIB` and the size of `Elf64_Chdr`, elf(5).
const ZLIB: u32 = 1;
const HEADER: usize = 24;

/// Bytes of a debug section.
pub(super) type Bytes<'a> = EndianSlice<'a, LittleEndian>;

/// The debug information of one file.
pub(super) type Dwarf<'a> = gimli::Dwarf<Bytes<'a>>;

/// Why debug sections cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SectionError {
    #[error(
        "its debug information is compressed and takes more than {} MiB: link with --compress-debug-sections=none",
        MAX_DECOMPRESSED >> 20
    )]
    TooLarge,
    #[error(
        "its debug information is compressed, and not with zlib: link with --compress-debug-sections=none"
    )]
    NotZlib,
    #[error("its compressed debug information is damaged")]
    Damaged,
}

/// The sections that names and lines are read from.
const NEEDED: [SectionId; 10] = [
    SectionId::DebugAbbrev,
    SectionId::DebugAddr,
    SectionId::DebugAranges,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugLineStr,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
];

/// Contents of the debug sections.
pub(super) struct Sections<'a> {
    loaded: Vec<(SectionId, Cow<'a, [u8]>)>,
}

impl<'a> Sections<'a> {
    /// Finds the sections and decompresses those that are compressed.
    ///
    /// # Errors
    /// [`SectionError`] when a compressed one is too large, damaged or not zlib.
    pub(super) fn load(elf: &Elf<'a>) -> Result<Self, SectionError> {
        let mut room = MAX_DECOMPRESSED;
        let mut loaded = Vec::with_capacity(NEEDED.len());
        for id in NEEDED {
            if let Some(section) = elf.section(id.name().as_bytes()) {
                loaded.push((id, plain(section, &mut room)?));
            } else if let Some(section) = elf.section(id.name().replacen('.', ".z", 1).as_bytes()) {
                loaded.push((id, plain_gnu(section, &mut room)?));
            }
        }
        Ok(Self { loaded })
    }

    /// Bytes of all of them.
    pub(super) fn size(&self) -> usize {
        self.loaded.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// What gimli reads; a section that is not there is empty.
    pub(super) fn dwarf(&self) -> Dwarf<'_> {
        let section = |id| {
            let found = self.loaded.iter().find(|(loaded, _)| *loaded == id);
            let bytes = found.map_or(&[][..], |(_, bytes)| bytes);
            Ok::<_, std::convert::Infallible>(EndianSlice::new(bytes, LittleEndian))
        };
        match gimli::Dwarf::load(section) {
            Ok(dwarf) => dwarf,
            Err(never) => match never {},
        }
    }
}

fn plain<'a>(section: &Section<'a>, room: &mut u64) -> Result<Cow<'a, [u8]>, SectionError> {
    if !section.is_compressed {
        return Ok(Cow::Borrowed(section.bytes));
    }
    let kind = u32_at(section.bytes, 0).ok_or(SectionError::Damaged)?;
    let size = u64_at(section.bytes, 8).ok_or(SectionError::Damaged)?;
    if kind != ZLIB {
        return Err(SectionError::NotZlib);
    }
    decompress(section.bytes.get(HEADER..).unwrap_or_default(), size, room)
}

/// The older form of GNU: `.zdebug_*`, "ZLIB" and the size with its highest byte first.
fn plain_gnu<'a>(section: &Section<'a>, room: &mut u64) -> Result<Cow<'a, [u8]>, SectionError> {
    let rest = section.bytes.strip_prefix(b"ZLIB").ok_or(SectionError::Damaged)?;
    let (size, data) = rest.split_first_chunk().ok_or(SectionError::Damaged)?;
    decompress(data, u64::from_be_bytes(*size), room)
}

/// Counts what really comes out, not what the header claims.
fn decompress<'a>(data: &[u8], size: u64, room: &mut u64) -> Result<Cow<'a, [u8]>, SectionError> {
    if size > *room {
        return Err(SectionError::TooLarge);
    }
    let mut plain = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    let read = ZlibDecoder::new(data).take(size).read_to_end(&mut plain);
    if read.ok().and_then(|read| u64::try_from(read).ok()) != Some(size) {
        return Err(SectionError::Damaged);
    }
    *room -= size;
    Ok(Cow::Owned(plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use std::io::Write;

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("written");
        encoder.finish().expect("finished")
    }

    fn compressed(kind: u32, size: u64, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(kind.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(size.to_le_bytes());
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend(data);
        bytes
    }

    fn section(bytes: &[u8]) -> Section<'_> {
        Section { name: b".debug_info", kind: 1, link: 0, is_compressed: true, bytes }
    }

    #[test]
    fn both_forms_of_compression_are_read() {
        let text = vec![b'x'; 100_000];
        let mut room = MAX_DECOMPRESSED;
        let bytes = compressed(ZLIB, text.len() as u64, &zlib(&text));
        assert_eq!(plain(&section(&bytes), &mut room).as_deref(), Ok(&text[..]));
        assert_eq!(room, MAX_DECOMPRESSED - 100_000);
        let older = [b"ZLIB", &100_000_u64.to_be_bytes()[..], &zlib(&text)].concat();
        assert_eq!(plain_gnu(&section(&older), &mut room).as_deref(), Ok(&text[..]));
    }

    #[test]
    fn a_size_that_is_too_large_or_a_lie_is_refused() {
        let zeros = zlib(&vec![0; 1 << 20]);
        let mut room = MAX_DECOMPRESSED;
        let mut load = |kind, size| {
            let bytes = compressed(kind, size, &zeros);
            plain(&section(&bytes), &mut room).map(|plain| plain.len())
        };
        assert_eq!(load(ZLIB, MAX_DECOMPRESSED + 1), Err(SectionError::TooLarge));
        assert_eq!(load(ZLIB, u64::MAX), Err(SectionError::TooLarge));
        assert_eq!(load(ZLIB, 2 << 20), Err(SectionError::Damaged), "less came out");
        assert_eq!(load(2, 1 << 20), Err(SectionError::NotZlib));
        assert_eq!(plain(&section(b""), &mut room), Err(SectionError::Damaged));
    }
}
