//! Whether an ELF binary still has its symbol table.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Sizes and offsets of ELF64, elf(5): `Elf64_Ehdr` and `Elf64_Shdr`.
const HEADER_SIZE: usize = 64;
const SECTION_SIZE: usize = 64;
const SECTIONS_OFFSET: usize = 0x28;
const SECTIONS_COUNT: usize = 0x3c;
const SECTION_TYPE: usize = 4;
const SYMBOL_TABLE: [u8; 4] = [2, 0, 0, 0];

/// More sections than any linked program has; the count is read from a file that is not ours.
const MAX_SECTIONS: u16 = 4096;

/// Whether a 64-bit little-endian ELF file has a section of type `SHT_SYMTAB`.
pub(super) fn has_symbols(file: &File) -> bool {
    let mut header = [0_u8; HEADER_SIZE];
    if file.read_exact_at(&mut header, 0).is_err() || !header.starts_with(b"\x7fELF\x02\x01") {
        return false;
    }
    let Some(table) = header[SECTIONS_OFFSET..].first_chunk().copied().map(u64::from_le_bytes)
    else {
        return false;
    };
    let count = u16::from_le_bytes([header[SECTIONS_COUNT], header[SECTIONS_COUNT + 1]]);
    (0..count.min(MAX_SECTIONS)).any(|index| is_symbol_table(file, table, index))
}

fn is_symbol_table(file: &File, table: u64, index: u16) -> bool {
    let at = u64::from(index) * SECTION_SIZE as u64 + SECTION_TYPE as u64;
    let mut kind = [0_u8; 4];
    table.checked_add(at).is_some_and(|at| file.read_exact_at(&mut kind, at).is_ok())
        && kind == SYMBOL_TABLE
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        file
    }

    #[test]
    fn this_test_has_symbols() {
        assert!(has_symbols(&File::open("/proc/self/exe").expect("the test's binary")));
    }

    #[test]
    fn files_that_are_no_elf_or_lie_about_their_sections_have_none() {
        let mut lying = [0xff_u8; HEADER_SIZE];
        lying[..6].copy_from_slice(b"\x7fELF\x02\x01");
        assert!(!has_symbols(&file(&lying)));
        assert!(!has_symbols(&file(b"#!/bin/sh\n")));
        assert!(!has_symbols(&file(b"")));
    }
}
