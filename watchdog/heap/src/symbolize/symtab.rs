//! Function names from an ELF symbol table, in one pass over it and without keeping it.

use super::elf::{DYNAMIC_SYMBOLS, Elf, SYMBOL_TABLE, text_at, u16_at, u32_at, u64_at};

/// `Elf64_Sym`, elf(5).
const SYMBOL_SIZE: usize = 24;

/// Types and bindings of symbols, elf(5).
const NO_TYPE: u8 = 0;
const FUNCTION: u8 = 2;
const INDIRECT_FUNCTION: u8 = 10;
const GLOBAL: u8 = 1;
const WEAK: u8 = 2;

/// Most comparisons of a symbol with an address: thousands of symbols may not each claim all the memory there is.
const MAX_STEPS: usize = 1 << 26;

#[derive(Clone, Copy)]
struct Best<'a> {
    /// Higher is better: how well it covers the address, then how public it is.
    rank: (bool, u64, u8),
    names: &'a [u8],
    name: usize,
}

/// The symbol that covers each address, as it is written in the file. `addresses` must be sorted. Of several symbols
/// for one place the public one is taken, as linkers and debuggers do. The symbols that a library exports serve where
/// the whole table was stripped.
pub(super) fn names<'a>(elf: &Elf<'a>, addresses: &[u64]) -> Vec<Option<&'a [u8]>> {
    let mut best: Vec<Option<Best<'a>>> = vec![None; addresses.len()];
    let mut steps = MAX_STEPS;
    let kind = if elf.has_symbols() { SYMBOL_TABLE } else { DYNAMIC_SYMBOLS };
    for table in elf.sections.iter().filter(|section| section.kind == kind) {
        let link = usize::try_from(table.link).unwrap_or(usize::MAX);
        let names = elf.sections.get(link).map_or(&[][..], |section| section.bytes);
        for symbol in table.bytes.chunks_exact(SYMBOL_SIZE) {
            consider(symbol, names, addresses, &mut best, &mut steps);
        }
    }
    let name = |best: Best<'a>| text_at(best.names, best.name).filter(|name| !name.is_empty());
    best.into_iter().map(|best| best.and_then(name)).collect()
}

fn consider<'a>(
    symbol: &[u8],
    names: &'a [u8],
    addresses: &[u64],
    best: &mut [Option<Best<'a>>],
    steps: &mut usize,
) -> Option<()> {
    let info = *symbol.get(4)?;
    let kind = info & 0xf;
    if !matches!(kind, FUNCTION | INDIRECT_FUNCTION | NO_TYPE) || u16_at(symbol, 6)? == 0 {
        return None;
    }
    let (start, size) = (u64_at(symbol, 8)?, u64_at(symbol, 16)?);
    let name = usize::try_from(u32_at(symbol, 0)?).ok()?;
    // A label without a size (assembly) would cover everything after it.
    let end = start.checked_add(size).filter(|end| *end > start)?;
    let first = addresses.partition_point(|address| *address < start);
    let public = match info >> 4 {
        GLOBAL => 2,
        WEAK => 1,
        _ => 0,
    };
    let rank = (kind != NO_TYPE, start, public);
    for (address, best) in addresses.iter().zip(best).skip(first) {
        if *address >= end {
            break;
        }
        *steps = steps.checked_sub(1)?;
        if best.is_none_or(|known| rank > known.rank) {
            *best = Some(Best { rank, names, name });
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::elf::Section;
    use super::*;

    fn symbol(name: u32, info: u8, start: u64, size: u64) -> Vec<u8> {
        let mut bytes = name.to_le_bytes().to_vec();
        bytes.extend([info, 0, 1, 0]);
        bytes.extend(start.to_le_bytes());
        bytes.extend(size.to_le_bytes());
        bytes
    }

    fn look_up(symbols: &[Vec<u8>], addresses: &[u64]) -> Vec<Option<String>> {
        let table = symbols.concat();
        let section =
            |kind, link, bytes| Section { name: b"", kind, link, is_compressed: false, bytes };
        let sections =
            vec![section(3, 0, &b"\0alias\0keep\0label\0"[..]), section(SYMBOL_TABLE, 0, &table)];
        let elf = Elf { sections, code: Vec::new(), build_id: None };
        let names = names(&elf, addresses).into_iter();
        names.map(|name| name.map(|name| String::from_utf8_lossy(name).into_owned())).collect()
    }

    #[test]
    fn an_address_has_the_public_name_of_the_function_that_covers_it() {
        let symbols = [
            symbol(1, FUNCTION, 0x1000, 0x100),
            symbol(7, (GLOBAL << 4) | FUNCTION, 0x1000, 0x100),
            symbol(12, NO_TYPE, 0x1080, 0x80),
        ];
        let keep = Some("keep".to_owned());
        assert_eq!(
            look_up(&symbols, &[0xfff, 0x1000, 0x10ff, 0x1100]),
            [None, keep.clone(), keep, None]
        );
    }

    #[test]
    fn symbols_that_lie_about_size_or_name_name_nothing() {
        let symbols = [
            symbol(1, FUNCTION, 0x1000, u64::MAX),
            symbol(1, FUNCTION, 0x1000, 0),
            symbol(999, FUNCTION, 0x1000, 0x10),
        ];
        assert_eq!(look_up(&symbols, &[0x1001]), [None]);
    }
}
