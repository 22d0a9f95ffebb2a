//! The functions around the addresses of one unit, inlined ones included, from one pass over its entries.

use gimli::{AttributeValue, EntriesRaw, constants};

use super::super::meter::{Fault, Meter};
use super::super::sections::{Bytes, Dwarf};
use super::unit::{Code, Unit};

/// Calls inlined into each other that are kept for one address. Rust's iterators reach some twenty.
const MAX_SCOPES: usize = 64;

/// A function, or a call that was inlined, around an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    /// Its entry, counted from the start of the unit.
    pub(super) entry: usize,
    /// Where it was inlined: number of the file in the unit's table, and line. Of a function itself: 0.
    pub(super) call_file: u64,
    pub(super) call_line: u64,
}

/// The scopes of every address, outermost first.
pub(super) struct Functions<'w, 'a> {
    dwarf: &'w Dwarf<'a>,
    unit: &'w Unit<'a>,
    addresses: &'w [u64],
    scopes: Vec<Vec<Scope>>,
    /// Entries with code around the one that is read: their depth, and whether they hold an address.
    around: Vec<(isize, bool)>,
    /// Addresses whose function was not met yet.
    unmet: usize,
}

impl<'w, 'a> Functions<'w, 'a> {
    /// `addresses` must be sorted.
    pub(super) fn new(dwarf: &'w Dwarf<'a>, unit: &'w Unit<'a>, addresses: &'w [u64]) -> Self {
        let scopes = vec![Vec::new(); addresses.len()];
        Self { dwarf, unit, addresses, scopes, around: Vec::new(), unmet: addresses.len() }
    }

    /// Reads the entries until every address has its scopes. What was found before a fault is good.
    pub(super) fn find(mut self, meter: &mut Meter<'_>) -> (Vec<Vec<Scope>>, Option<Fault>) {
        let fault = self.walk(meter).err();
        (self.scopes, fault)
    }

    fn walk(&mut self, meter: &mut Meter<'_>) -> Result<(), Fault> {
        let mut entries = self.unit.tables.entries_raw(None)?;
        while !entries.is_empty() {
            meter.step()?;
            let depth = entries.next_depth();
            let offset = entries.next_offset().0;
            let Some(kind) = entries.read_abbreviation()? else {
                continue;
            };
            while self.around.last().is_some_and(|(around, _)| *around >= depth) {
                self.around.pop();
            }
            let is_inlined = match kind.tag() {
                constants::DW_TAG_subprogram => false,
                constants::DW_TAG_inlined_subroutine => true,
                _ => {
                    entries.skip_attributes(kind.attributes())?;
                    continue;
                }
            };
            if self.unmet == 0 && self.around.iter().all(|(_, holds)| !holds) {
                return Ok(());
            }
            // What is inlined into a function that holds no address holds none either.
            if is_inlined && self.around.last().is_some_and(|(_, holds)| !holds) {
                entries.skip_attributes(kind.attributes())?;
                continue;
            }
            let holds = self.read(&mut entries, kind.attributes(), offset, is_inlined, meter)?;
            self.around.push((depth, holds));
        }
        Ok(())
    }

    /// Reads one entry and adds it to the addresses that it holds; whether there are any.
    fn read(
        &mut self,
        entries: &mut EntriesRaw<'_, Bytes<'a>>,
        attributes: &[gimli::AttributeSpecification],
        entry: usize,
        is_inlined: bool,
        meter: &mut Meter<'_>,
    ) -> Result<bool, Fault> {
        let has_code = |name| matches!(name, constants::DW_AT_low_pc | constants::DW_AT_ranges);
        if !attributes.iter().any(|spec| has_code(spec.name())) {
            entries.skip_attributes(attributes)?;
            return Ok(false);
        }
        let mut code = Code::default();
        let mut scope = Scope { entry, call_file: 0, call_line: 0 };
        for spec in attributes {
            let attribute = entries.read_attribute_inline(*spec)?;
            match attribute.name() {
                constants::DW_AT_low_pc => {
                    code.low = self.dwarf.attr_address(&self.unit.tables, attribute.value())?;
                }
                constants::DW_AT_high_pc => code.high = Some(attribute.value()),
                constants::DW_AT_ranges => code.ranges = Some(attribute.value()),
                constants::DW_AT_call_line => scope.call_line = number(&attribute),
                constants::DW_AT_call_file => {
                    scope.call_file = match attribute.value() {
                        AttributeValue::FileIndex(index) => index,
                        _ => number(&attribute),
                    };
                }
                _ => {}
            }
        }
        self.add(code, scope, is_inlined, meter)
    }

    fn add(
        &mut self,
        code: Code<'a>,
        scope: Scope,
        is_inlined: bool,
        meter: &mut Meter<'_>,
    ) -> Result<bool, Fault> {
        let Self { dwarf, unit, addresses, scopes, unmet, .. } = self;
        let mut holds = false;
        let mut added = 0_usize;
        code.ranges(dwarf, &unit.tables, meter, |start, end| {
            let first = addresses.partition_point(|address| *address < start);
            let rest = addresses.iter().zip(scopes.iter_mut()).skip(first);
            for (_, scopes) in rest.take_while(|(address, _)| **address < end) {
                holds = true;
                added += 1;
                if !is_inlined {
                    // Of two functions at one place (identical ones were folded) the later stands, with its own calls.
                    *unmet -= usize::from(scopes.is_empty());
                    scopes.clear();
                }
                if scopes.len() < MAX_SCOPES {
                    scopes.push(scope);
                }
            }
        })?;
        (0..added).try_for_each(|_| meter.step())?;
        Ok(holds)
    }
}

fn number(attribute: &gimli::Attribute<Bytes<'_>>) -> u64 {
    attribute.udata_value().unwrap_or_default()
}
