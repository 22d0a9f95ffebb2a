//! One compilation unit: its tables opened within bounds, and the addresses it claims.

use std::sync::Arc;

use gimli::{
    Abbreviations, AttributeValue, DebugAbbrev, DebugAbbrevOffset, DebugAddrBase, DebugLineOffset,
    DebugLocListsBase, DebugRngListsBase, DebugStrOffsetsBase, DwarfFileType, Reader, UnitHeader,
    constants,
};

use super::super::meter::{Fault, Meter};
use super::super::sections::{Bytes, Dwarf};

/// Longest table of abbreviations that is read. One that is shared by a whole program takes some ten kilobytes; in
/// memory it is twenty times its size.
const MAX_ABBREVIATIONS: usize = 256 << 10;

/// Tables kept by one thread. Units of one compilation follow each other and often share theirs.
const KEPT_TABLES: usize = 4;

/// A unit without its line program, which is opened on its own.
pub(super) type GimliUnit<'a> = gimli::Unit<Bytes<'a>>;

/// A unit and what its first entry says.
pub(super) struct Unit<'a> {
    pub(super) tables: GimliUnit<'a>,
    pub(super) lines: Option<DebugLineOffset>,
    pub(super) is_rust: bool,
    pub(super) code: Code<'a>,
}

/// The addresses that an entry claims, as it gives them.
#[derive(Clone, Copy, Default)]
pub(super) struct Code<'a> {
    pub(super) low: Option<u64>,
    pub(super) high: Option<AttributeValue<Bytes<'a>>>,
    pub(super) ranges: Option<AttributeValue<Bytes<'a>>>,
}

impl<'a> Code<'a> {
    /// Calls `each` with the start and the end of every range. Ranges at address 0 belong to code that the linker left
    /// out (lld and gold put 0 there; the first page of a program holds its headers and no code).
    pub(super) fn ranges(
        &self,
        dwarf: &Dwarf<'a>,
        unit: &GimliUnit<'a>,
        meter: &mut Meter<'_>,
        mut each: impl FnMut(u64, u64),
    ) -> Result<(), Fault> {
        if let Some(ranges) = self.ranges
            && let Some(mut list) = dwarf.attr_ranges(unit, ranges)?
        {
            while let Some(range) = list.next()? {
                meter.step()?;
                if range.begin != 0 && range.begin < range.end {
                    each(range.begin, range.end);
                }
            }
            return Ok(());
        }
        let (Some(low), Some(high)) = (self.low, self.high) else {
            return Ok(());
        };
        let end = match dwarf.attr_address(unit, high)? {
            Some(address) => Some(address),
            None => high.udata_value().and_then(|size| low.checked_add(size)),
        };
        if let Some(end) = end.filter(|end| low != 0 && low < *end) {
            each(low, end);
        }
        Ok(())
    }
}

/// Tables of abbreviations by their place in the section.
#[derive(Default)]
pub(super) struct AbbreviationTables {
    kept: Vec<(usize, Arc<Abbreviations>)>,
}

impl AbbreviationTables {
    fn get(
        &mut self,
        dwarf: &Dwarf<'_>,
        offset: DebugAbbrevOffset,
    ) -> Result<Arc<Abbreviations>, Fault> {
        if let Some((_, table)) = self.kept.iter().find(|(kept, _)| *kept == offset.0) {
            return Ok(Arc::clone(table));
        }
        let mut bytes = *gimli::Section::reader(&dwarf.debug_abbrev);
        bytes.skip(offset.0)?;
        let rest = bytes.len();
        bytes.truncate(rest.min(MAX_ABBREVIATIONS))?;
        let table = DebugAbbrev::from(bytes).abbreviations(DebugAbbrevOffset(0));
        let table = Arc::new(match table {
            Err(_) if rest > MAX_ABBREVIATIONS => return Err(Fault::TooLarge("abbreviations")),
            table => table?,
        });
        if self.kept.len() == KEPT_TABLES {
            self.kept.remove(0);
        }
        self.kept.push((offset.0, Arc::clone(&table)));
        Ok(table)
    }
}

/// Opens a unit. gimli's own way also reads the list of its files, whatever its size.
pub(super) fn open<'a>(
    dwarf: &Dwarf<'a>,
    header: UnitHeader<Bytes<'a>>,
    tables: &mut AbbreviationTables,
) -> Result<Unit<'a>, Fault> {
    let abbreviations = tables.get(dwarf, header.debug_abbrev_offset())?;
    let encoding = header.encoding();
    let main = DwarfFileType::Main;
    let tables = GimliUnit {
        abbreviations: Arc::clone(&abbreviations),
        name: None,
        comp_dir: None,
        low_pc: 0,
        str_offsets_base: DebugStrOffsetsBase::default_for_encoding_and_file(encoding, main),
        addr_base: DebugAddrBase(0),
        loclists_base: DebugLocListsBase::default_for_encoding_and_file(encoding, main),
        rnglists_base: DebugRngListsBase::default_for_encoding_and_file(encoding, main),
        line_program: None,
        dwo_id: None,
        header,
    };
    let mut unit = Unit { tables, lines: None, is_rust: false, code: Code::default() };
    let mut entries = header.entries_raw(&abbreviations, None)?;
    let Some(root) = entries.read_abbreviation()? else {
        return Err(gimli::Error::MissingUnitDie.into());
    };
    // Addresses and strings are looked up when the bases are known, which may come after them.
    let (mut low, mut name, mut directory) = (None, None, None);
    for spec in root.attributes() {
        let attribute = entries.read_attribute(*spec)?;
        match (attribute.name(), attribute.value()) {
            (constants::DW_AT_low_pc, value) => low = Some(value),
            (constants::DW_AT_high_pc, value) => unit.code.high = Some(value),
            (constants::DW_AT_ranges, value) => unit.code.ranges = Some(value),
            (constants::DW_AT_name, value) => name = Some(value),
            (constants::DW_AT_comp_dir, value) => directory = Some(value),
            (constants::DW_AT_language, AttributeValue::Language(language)) => {
                unit.is_rust = language == constants::DW_LANG_Rust;
            }
            (_, AttributeValue::DebugLineRef(offset)) => unit.lines = Some(offset),
            (_, AttributeValue::DebugStrOffsetsBase(base)) => unit.tables.str_offsets_base = base,
            (_, AttributeValue::DebugAddrBase(base)) => unit.tables.addr_base = base,
            (_, AttributeValue::DebugRngListsBase(base)) => unit.tables.rnglists_base = base,
            _ => {}
        }
    }
    let string = |value: Option<_>| dwarf.attr_string(&unit.tables, value?).ok();
    (unit.tables.name, unit.tables.comp_dir) = (string(name), string(directory));
    if let Some(low) = low {
        unit.code.low = dwarf.attr_address(&unit.tables, low)?;
        unit.tables.low_pc = unit.code.low.unwrap_or_default();
    }
    Ok(unit)
}
