//! The name of a function, found from its entry through those that it refers to, in other units too.

use std::collections::HashMap;
use std::sync::Arc;

use gimli::{AttributeValue, DebugInfoOffset, UnitOffset, constants};

use super::super::demangle;
use super::super::meter::Fault;
use super::super::sections::{Bytes, Dwarf};
use super::super::strings::Strings;
use super::unit::{AbbreviationTables, Unit, open};

/// Entries that are followed for one name: an inlined call refers to its function, that to its declaration. A circle
/// ends here.
const MAX_HOPS: usize = 8;

/// Other units that are kept open by one thread.
const KEPT_UNITS: usize = 8;

/// A function's name.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) text: Arc<str>,
    /// Whether it says where the function is, `shop::cache::remember` and not only `remember`.
    pub(super) is_whole: bool,
}

/// Names that were found, by the place of their entry in `.debug_info`.
pub(super) struct Names<'d, 'a> {
    dwarf: &'d Dwarf<'a>,
    /// Places of all units, ascending.
    units: &'d [usize],
    known: HashMap<usize, Option<Name>>,
    open: Vec<(usize, Unit<'a>)>,
    tables: AbbreviationTables,
}

/// What one entry says of a name.
#[derive(Default)]
struct Said<'a> {
    linkage: Option<Bytes<'a>>,
    name: Option<Bytes<'a>>,
    refers_to: Option<usize>,
}

impl<'d, 'a> Names<'d, 'a> {
    pub(super) fn new(dwarf: &'d Dwarf<'a>, units: &'d [usize]) -> Self {
        let known = HashMap::new();
        Self { dwarf, units, known, open: Vec::new(), tables: AbbreviationTables::default() }
    }

    /// The name of the entry at `offset` in `unit`; `None` when nothing names it.
    pub(super) fn find(
        &mut self,
        unit: &Unit<'a>,
        offset: usize,
        strings: &mut Strings,
    ) -> Option<Name> {
        let start = unit.tables.debug_info_offset()?.0;
        let entry = start.checked_add(offset)?;
        // An inlined call refers to its function at once; that is what calls share.
        let said = say(self.dwarf, unit, offset).ok()?;
        let key = match (&said.linkage, said.refers_to) {
            (None, Some(function)) => function,
            _ => entry,
        };
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let name = self.follow(unit, said, strings);
        self.known.insert(key, name.clone());
        name
    }

    fn follow(&mut self, unit: &Unit<'a>, said: Said<'a>, strings: &mut Strings) -> Option<Name> {
        let mut said = said;
        let mut short = said.name;
        for _ in 0..MAX_HOPS {
            if let Some(linkage) = said.linkage {
                let text = demangle::demangled(linkage.slice());
                let text = text.unwrap_or_else(|| demangle::text(linkage.slice()));
                return Some(Name { text: strings.keep(&text), is_whole: true });
            }
            let Some(next) = said.refers_to else {
                break;
            };
            let Ok(next) = self.say_at(unit, next) else {
                break;
            };
            said = next;
            short = short.or(said.name);
        }
        let text = demangle::text(short?.slice());
        if text.is_empty() {
            return None;
        }
        let shown = if unit.is_rust { demangle::short_rust(&text) } else { &text };
        Some(Name { text: strings.keep(shown), is_whole: false })
    }

    /// What an entry anywhere in `.debug_info` says.
    fn say_at(&mut self, unit: &Unit<'a>, entry: usize) -> Result<Said<'a>, Fault> {
        let missing = || Fault::from(gimli::Error::NoEntryAtGivenOffset(entry as u64));
        let after = self.units.partition_point(|start| *start <= entry);
        let start = *after.checked_sub(1).and_then(|at| self.units.get(at)).ok_or_else(missing)?;
        if unit.tables.debug_info_offset().is_some_and(|offset| offset.0 == start) {
            return say(self.dwarf, unit, entry - start);
        }
        if let Some((_, other)) = self.open.iter().find(|(open, _)| *open == start) {
            return say(self.dwarf, other, entry - start);
        }
        let header = self.dwarf.unit_header(DebugInfoOffset(start))?;
        let other = open(self.dwarf, header, &mut self.tables)?;
        let said = say(self.dwarf, &other, entry - start);
        if self.open.len() == KEPT_UNITS {
            self.open.remove(0);
        }
        self.open.push((start, other));
        said
    }
}

fn say<'a>(dwarf: &Dwarf<'a>, unit: &Unit<'a>, offset: usize) -> Result<Said<'a>, Fault> {
    let unit = &unit.tables;
    let mut entries = unit.entries_raw(Some(UnitOffset(offset)))?;
    let mut said = Said::default();
    let Some(kind) = entries.read_abbreviation()? else {
        return Ok(said);
    };
    for spec in kind.attributes() {
        let attribute = entries.read_attribute_inline(*spec)?;
        match attribute.name() {
            constants::DW_AT_linkage_name | constants::DW_AT_MIPS_linkage_name => {
                said.linkage = dwarf.attr_string(unit, attribute.value()).ok();
            }
            constants::DW_AT_name => said.name = dwarf.attr_string(unit, attribute.value()).ok(),
            constants::DW_AT_abstract_origin | constants::DW_AT_specification => {
                said.refers_to = match attribute.value() {
                    AttributeValue::UnitRef(offset) => {
                        offset.to_debug_info_offset(&unit.header).map(|offset| offset.0)
                    }
                    AttributeValue::DebugInfoRef(offset) => Some(offset.0),
                    _ => None,
                };
            }
            _ => {}
        }
    }
    Ok(said)
}
