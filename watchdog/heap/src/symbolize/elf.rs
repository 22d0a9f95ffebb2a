//! What an ELF file says of itself: its sections, where its code is mapped, its build id. 64-bit little-endian only.
//!
//! The file is not ours: every offset and count is checked, and nothing is allocated by a size that it claims.

use std::fmt::Write;

/// Sizes and offsets of ELF64, elf(5): `Elf64_Ehdr`, `Elf64_Shdr` and `Elf64_Phdr`.
const MAGIC: &[u8] = b"\x7fELF\x02\x01";
const SECTION_SIZE: usize = 64;
const SEGMENT_SIZE: usize = 56;

/// More than any linked program has; the counts are read from a file that is not ours.
const MAX_SECTIONS: u16 = 4096;
const MAX_SEGMENTS: u16 = 256;

/// Build ids are 8 to 20 bytes; a longer one is no hash and would be a long file name.
const MAX_BUILD_ID: usize = 32;

pub(super) const SYMBOL_TABLE: u32 = 2;
const NOTE: u32 = 7;
const NO_BITS: u32 = 8;
pub(super) const DYNAMIC_SYMBOLS: u32 = 11;
const LOADED: u32 = 1;
const NOTES: u32 = 4;
const EXECUTABLE: u32 = 1;
const COMPRESSED: u64 = 1 << 11;

/// `NT_GNU_BUILD_ID`, elf(5).
const BUILD_ID: u32 = 3;

/// A section with contents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section<'a> {
    pub(super) name: &'a [u8],
    pub(super) kind: u32,
    /// Of a symbol table: the section with its names.
    pub(super) link: u32,
    pub(super) is_compressed: bool,
    pub(super) bytes: &'a [u8],
}

/// A part of the file that is mapped as code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Segment {
    /// Where it is in the file.
    pub(super) offset: u64,
    /// Where it is in the program's own address space.
    pub(super) address: u64,
    /// Its bytes in the file; 0 in a file of debug information, which leaves the code out.
    pub(super) in_file: u64,
}

/// A file's tables.
#[derive(Debug)]
pub(super) struct Elf<'a> {
    pub(super) sections: Vec<Section<'a>>,
    /// The segments with code.
    pub(super) code: Vec<Segment>,
    /// GNU build id in lower-case hexadecimal.
    pub(super) build_id: Option<String>,
}

impl<'a> Elf<'a> {
    /// Reads the tables; `None` when the bytes are no 64-bit little-endian ELF file.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        let sections = sections(bytes).unwrap_or_default();
        let segments = segments(bytes).unwrap_or_default();
        let noted = sections.iter().filter(|section| section.kind == NOTE).map(|s| s.bytes);
        let notes = segments.iter().filter(|segment| segment.0 == NOTES);
        let build_id =
            noted.chain(notes.filter_map(|(.., notes)| *notes)).find_map(find_build_id).map(hex);
        let code = segments
            .iter()
            .filter(|(kind, flags, ..)| *kind == LOADED && flags & EXECUTABLE != 0)
            .map(|(_, _, segment, _)| *segment)
            .collect();
        Some(Self { sections, code, build_id })
    }

    /// A section by name, with its contents in this file.
    pub(super) fn section(&self, name: &[u8]) -> Option<&Section<'a>> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Whether it has the symbol table that `strip` takes away.
    pub(super) fn has_symbols(&self) -> bool {
        self.sections.iter().any(|section| section.kind == SYMBOL_TABLE)
    }

    /// Whether it has debug information in the format of DWARF.
    pub(super) fn has_debug(&self) -> bool {
        self.section(b".debug_info").is_some() || self.section(b".zdebug_info").is_some()
    }

    /// Name and CRC-32 of the file that holds the debug information (`.gnu_debuglink`, gdb's manual, 19.3).
    pub(super) fn debug_link(&self) -> Option<(&'a [u8], u32)> {
        let link = self.section(b".gnu_debuglink")?.bytes;
        let end = link.iter().position(|byte| *byte == 0)?;
        let checksum = u32_at(link, (end + 4) & !3)?;
        Some((link.get(..end)?, checksum))
    }
}

/// The program's own address of a place in its file. `mapped_from` is the offset of the first byte of the file that is
/// mapped as code: a file of debug information keeps the addresses of its code but not its offsets.
pub(super) fn address_of(code: &[Segment], offset: u64, mapped_from: u64) -> Option<u64> {
    /// The kernel maps whole pages; where pages are larger, so is the alignment of the segments, and both agree.
    const PAGE: u64 = 4096;
    let within = |segment: &&Segment| {
        offset.checked_sub(segment.offset).is_some_and(|into| into < segment.in_file)
    };
    if let Some(segment) = code.iter().find(within) {
        return segment.address.checked_add(offset - segment.offset);
    }
    match code {
        [only] if only.in_file == 0 => {
            (only.address & !(PAGE - 1)).checked_add(offset.checked_sub(mapped_from)?)
        }
        _ => None,
    }
}

fn sections(bytes: &[u8]) -> Option<Vec<Section<'_>>> {
    let table = usize::try_from(u64_at(bytes, 0x28)?).ok()?;
    let count = u16_at(bytes, 0x3c)?.min(MAX_SECTIONS);
    let names = usize::from(u16_at(bytes, 0x3e)?);
    let header = |index: usize| {
        let start = table.checked_add(index.checked_mul(SECTION_SIZE)?)?;
        bytes.get(start..start.checked_add(SECTION_SIZE)?)
    };
    let names = contents(bytes, header(names)?)?;
    let section = |index: u16| {
        let header = header(usize::from(index))?;
        Some(Section {
            name: text_at(names, usize::try_from(u32_at(header, 0)?).ok()?)?,
            kind: u32_at(header, 4)?,
            link: u32_at(header, 0x28)?,
            is_compressed: u64_at(header, 8)? & COMPRESSED != 0,
            bytes: contents(bytes, header).unwrap_or_default(),
        })
    };
    // A section that cannot be read keeps its number: symbol tables refer to their names by it.
    let unreadable = Section { name: b"", kind: 0, link: 0, is_compressed: false, bytes: &[] };
    Some((0..count).map(|index| section(index).unwrap_or(unreadable)).collect())
}

fn contents<'a>(bytes: &'a [u8], header: &[u8]) -> Option<&'a [u8]> {
    if u32_at(header, 4)? == NO_BITS {
        return None;
    }
    slice(bytes, u64_at(header, 0x18)?, u64_at(header, 0x20)?)
}

type Mapped<'a> = (u32, u32, Segment, Option<&'a [u8]>);

fn segments(bytes: &[u8]) -> Option<Vec<Mapped<'_>>> {
    let table = usize::try_from(u64_at(bytes, 0x20)?).ok()?;
    let count = u16_at(bytes, 0x38)?.min(MAX_SEGMENTS);
    let segment = |index: u16| {
        let start = table.checked_add(usize::from(index) * SEGMENT_SIZE)?;
        let header = bytes.get(start..)?;
        let segment = Segment {
            offset: u64_at(header, 8)?,
            address: u64_at(header, 0x10)?,
            in_file: u64_at(header, 0x20)?,
        };
        let contents = slice(bytes, segment.offset, segment.in_file);
        Some((u32_at(header, 0)?, u32_at(header, 4)?, segment, contents))
    };
    Some((0..count).map_while(segment).collect())
}

/// The build id among notes, elf(5) `Elf64_Nhdr`: lengths of name and value, a type, both padded to four bytes.
fn find_build_id(mut notes: &[u8]) -> Option<&[u8]> {
    loop {
        let name_len = usize::try_from(u32_at(notes, 0)?).ok()?;
        let value_len = usize::try_from(u32_at(notes, 4)?).ok()?;
        let kind = u32_at(notes, 8)?;
        let value_at = name_len.checked_next_multiple_of(4)?.checked_add(12)?;
        let value_end = value_at.checked_add(value_len)?;
        let name = notes.get(12..12_usize.checked_add(name_len)?)?;
        if kind == BUILD_ID && name == b"GNU\0" && (1..=MAX_BUILD_ID).contains(&value_len) {
            return notes.get(value_at..value_end);
        }
        notes = notes.get(value_end.checked_next_multiple_of(4)?..)?;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

fn slice(bytes: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    bytes.get(start..start.checked_add(usize::try_from(size).ok()?)?)
}

/// The text at `at`, up to its zero byte.
pub(super) fn text_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let text = bytes.get(at..)?;
    text.get(..text.iter().position(|byte| *byte == 0)?)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_has_symbols_code_and_a_build_id() {
        let bytes = std::fs::read("/proc/self/exe").expect("the test's binary");
        let elf = Elf::parse(&bytes).expect("an ELF file");
        assert!(elf.has_symbols() && elf.has_debug());
        assert!(!elf.code.is_empty());
        assert!(elf.build_id.is_some_and(|id| id.len() >= 16), "linkers write one by default");
    }

    #[test]
    fn files_that_are_no_elf_or_lie_about_their_tables_have_nothing() {
        let mut lying = [0xff_u8; 64];
        lying[..6].copy_from_slice(MAGIC);
        let elf = Elf::parse(&lying).expect("its magic is right");
        assert!(!elf.has_symbols() && elf.code.is_empty() && elf.build_id.is_none());
        assert!(Elf::parse(b"#!/bin/sh\n").is_none());
        assert!(Elf::parse(b"").is_none());
    }

    #[test]
    fn a_place_in_the_file_has_the_address_that_the_program_headers_give_it() {
        let code = [Segment { offset: 0x2e70, address: 0x3e70, in_file: 0x1000 }];
        assert_eq!(address_of(&code, 0x2e80, 0x2000), Some(0x3e80));
        assert_eq!(address_of(&code, 0x4000, 0x2000), None, "behind the segment");
    }

    #[test]
    fn a_debug_file_without_code_is_placed_by_the_mapping() {
        let code = [Segment { offset: 0xe70, address: 0x13e70, in_file: 0 }];
        assert_eq!(address_of(&code, 0x12e80, 0x12000), Some(0x13e80));
        assert_eq!(address_of(&code, 0x11000, 0x12000), None, "before the mapping");
    }

    #[test]
    fn a_build_id_is_found_behind_other_notes_and_cut_short_ones_end_the_search() {
        let note = |kind: u32, name: &[u8], value: &[u8]| {
            let mut note = Vec::new();
            note.extend((name.len() as u32).to_le_bytes());
            note.extend((value.len() as u32).to_le_bytes());
            note.extend(kind.to_le_bytes());
            for part in [name, value] {
                note.extend(part);
                note.resize(note.len().next_multiple_of(4), 0);
            }
            note
        };
        let notes = [note(1, b"GNU\0", &[9; 16]), note(3, b"GNU\0", &[0xab, 0xcd])].concat();
        assert_eq!(find_build_id(&notes), Some(&[0xab, 0xcd][..]));
        for length in 0..notes.len() - 2 {
            assert_eq!(find_build_id(&notes[..length]), None);
        }
    }
}
