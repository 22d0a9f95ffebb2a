//! Which compilation unit an address belongs to.

use gimli::DebugInfoOffset;

use super::super::meter::{Fault, Meter};
use super::super::sections::Dwarf;
use super::unit::{AbbreviationTables, open};

/// More units than any program that was met; each takes eight bytes here.
const MAX_UNITS: usize = 1 << 18;

/// Places of all units in `.debug_info`, ascending.
pub(super) fn units(dwarf: &Dwarf<'_>, meter: &mut Meter<'_>) -> Result<Vec<usize>, Fault> {
    let mut units = Vec::new();
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        meter.step()?;
        if units.len() == MAX_UNITS {
            return Err(Fault::TooLarge("its number of units"));
        }
        units.extend(header.debug_info_offset().map(|offset| offset.0));
    }
    Ok(units)
}

/// The units that have code at the given addresses, each with the numbers of its addresses. `.debug_aranges` is read
/// first; the units that it leaves out (clang and Go write none) are asked one by one, which is slower.
pub(super) struct Finder<'f, 'a> {
    dwarf: &'f Dwarf<'a>,
    addresses: &'f [u64],
    unit_of: Vec<Option<usize>>,
}

impl<'f, 'a> Finder<'f, 'a> {
    /// `addresses` must be sorted.
    pub(super) fn new(dwarf: &'f Dwarf<'a>, addresses: &'f [u64]) -> Self {
        Self { dwarf, addresses, unit_of: vec![None; addresses.len()] }
    }

    /// Finds them all.
    ///
    /// # Errors
    /// [`Fault`] when the account of the file is empty; damaged tables only leave addresses without a unit.
    pub(super) fn find(
        mut self,
        units: &[usize],
        meter: &mut Meter<'_>,
    ) -> Result<Vec<(usize, Vec<usize>)>, Fault> {
        let mut listed = Vec::new();
        match self.read_aranges(&mut listed, meter) {
            Err(Fault::Endless) => return Err(Fault::Endless),
            Err(fault) => {
                tracing::debug!(%fault, "the table of address ranges is not used further");
            }
            Ok(()) => {}
        }
        listed.sort_unstable();
        self.ask_units(units, &listed, meter)?;
        let places = self.unit_of.iter().enumerate();
        let mut found: Vec<(usize, usize)> =
            places.filter_map(|(number, unit)| Some(((*unit)?, number))).collect();
        found.sort_unstable();
        Ok(found
            .chunk_by(|one, next| one.0 == next.0)
            .filter_map(|group| Some((group.first()?.0, group.iter().map(|(_, n)| *n).collect())))
            .collect())
    }

    fn read_aranges(
        &mut self,
        listed: &mut Vec<usize>,
        meter: &mut Meter<'_>,
    ) -> Result<(), Fault> {
        let mut headers = self.dwarf.debug_aranges.headers();
        while let Some(header) = headers.next()? {
            let unit = header.debug_info_offset().0;
            listed.push(unit);
            let mut entries = header.entries();
            while let Some(entry) = entries.next()? {
                meter.step()?;
                let start = entry.address();
                if start != 0 {
                    self.claim(unit, start, start.saturating_add(entry.length()), meter)?;
                }
            }
        }
        Ok(())
    }

    fn ask_units(
        &mut self,
        units: &[usize],
        listed: &[usize],
        meter: &mut Meter<'_>,
    ) -> Result<(), Fault> {
        let mut tables = AbbreviationTables::default();
        for unit in units {
            if listed.binary_search(unit).is_ok() {
                continue;
            }
            if self.unit_of.iter().all(Option::is_some) {
                break;
            }
            meter.step()?;
            if let Err(Fault::Endless) = self.ask_unit(*unit, &mut tables, meter) {
                return Err(Fault::Endless);
            }
        }
        Ok(())
    }

    fn ask_unit(
        &mut self,
        offset: usize,
        tables: &mut AbbreviationTables,
        meter: &mut Meter<'_>,
    ) -> Result<(), Fault> {
        let header = self.dwarf.unit_header(DebugInfoOffset(offset))?;
        let unit = open(self.dwarf, header, tables)?;
        let mut ranges = Vec::new();
        let (first, last) = (self.addresses.first(), self.addresses.last());
        unit.code.ranges(self.dwarf, &unit.tables, meter, |start, end| {
            if Some(&start) <= last && Some(&end) > first {
                ranges.push((start, end));
            }
        })?;
        ranges.into_iter().try_for_each(|(start, end)| self.claim(offset, start, end, meter))
    }

    /// The first unit that claims an address keeps it.
    fn claim(
        &mut self,
        unit: usize,
        start: u64,
        end: u64,
        meter: &mut Meter<'_>,
    ) -> Result<(), Fault> {
        let first = self.addresses.partition_point(|address| *address < start);
        let rest = self.addresses.iter().zip(&mut self.unit_of).skip(first);
        for (_, unit_of) in rest.take_while(|(address, _)| **address < end) {
            meter.step()?;
            unit_of.get_or_insert(unit);
        }
        Ok(())
    }
}
