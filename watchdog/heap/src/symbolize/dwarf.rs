//! Functions, files and lines from DWARF 2 to 5 without an index of it: the units of the addresses asked for are found,
//! each is read once from its first byte to its last, and only the answer is kept.
//!
//! Not read: debug information in files of its own per unit (`split-debuginfo = "unpacked"`, `.dwo`), in a
//! supplementary file (`dwz`) and type units, which have no code.

mod find;
mod functions;
mod lines;
mod names;
mod unit;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use gimli::DebugInfoOffset;

use super::meter::{Account, Fault, Meter};
use super::sections::Dwarf;
use super::strings::Strings;
use find::Finder;
use functions::{Functions, Scope};
use lines::{Lines, Spot};
use names::Names;
use unit::{AbbreviationTables, Unit, open};

/// Units per thread that make another thread worth its start.
const UNITS_PER_THREAD: usize = 16;

/// More threads would take time from the service beside us, and each has tables of its own.
const MAX_THREADS: usize = 2;

/// One function around an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    /// Its name; `None` when nothing says it.
    pub(super) function: Option<Arc<str>>,
    pub(super) file: Option<Arc<str>>,
    pub(super) line: Option<u32>,
}

/// The functions around an address, innermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) calls: Vec<Call>,
    /// Whether the name of the outermost says where the function is, and not only what it is called.
    pub(super) is_whole: bool,
}

/// What debug information says of sorted addresses, in their order. A fault in one unit costs that unit's answer; the
/// first is returned beside what was found. `size` is that of the sections, by which the work is bounded.
pub(super) fn resolve(
    dwarf: &Dwarf<'_>,
    addresses: &[u64],
    size: usize,
) -> (Vec<Found>, Option<Fault>) {
    let account = Account::new(size);
    let meter = &mut account.meter();
    let mut found = vec![Found::default(); addresses.len()];
    let units = match find::units(dwarf, meter) {
        Ok(units) => units,
        Err(fault) => return (found, Some(fault)),
    };
    let wanted = match Finder::new(dwarf, addresses).find(&units, meter) {
        Ok(wanted) => wanted,
        Err(fault) => return (found, Some(fault)),
    };
    let work = Work { dwarf, addresses, units: &units, wanted: &wanted, account: &account };
    let (answers, fault) = work.run();
    for (number, answer) in answers {
        if let Some(found) = found.get_mut(number) {
            *found = answer;
        }
    }
    (found, fault)
}

/// The units to be read, and what reading them needs.
struct Work<'w, 'a> {
    dwarf: &'w Dwarf<'a>,
    addresses: &'w [u64],
    units: &'w [usize],
    /// Units with the numbers of their addresses.
    wanted: &'w [(usize, Vec<usize>)],
    account: &'w Account,
}

type Answers = (Vec<(usize, Found)>, Option<Fault>);

impl Work<'_, '_> {
    fn run(&self) -> Answers {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = cores.min(MAX_THREADS).min(self.wanted.len().div_ceil(UNITS_PER_THREAD));
        let next = AtomicUsize::new(0);
        let all: Mutex<Answers> = Mutex::default();
        let add = || {
            let (answers, fault) = self.take_turns(&next);
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.0.extend(answers);
            all.1 = all.1.or(fault);
        };
        thread::scope(|scope| {
            for _ in 1..threads {
                // Where no thread can be started, this one does all the work.
                thread::Builder::new().name("names".into()).spawn_scoped(scope, add).ok();
            }
            add();
        });
        all.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// One thread's part: the next unit that no other has taken, until there is none.
    fn take_turns(&self, next: &AtomicUsize) -> Answers {
        let mut reader = Reader {
            work: self,
            names: Names::new(self.dwarf, self.units),
            strings: Strings::default(),
            tables: AbbreviationTables::default(),
            meter: self.account.meter(),
            answers: Vec::new(),
        };
        let mut fault = None;
        while let Some((unit, numbers)) = self.wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            let read = reader.read(*unit, numbers);
            fault = fault.or(read.err());
            if fault == Some(Fault::Endless) {
                break;
            }
        }
        (reader.answers, fault)
    }
}

/// One thread's tables.
struct Reader<'w, 'a> {
    work: &'w Work<'w, 'a>,
    names: Names<'w, 'a>,
    strings: Strings,
    tables: AbbreviationTables,
    meter: Meter<'w>,
    answers: Vec<(usize, Found)>,
}

impl<'a> Reader<'_, 'a> {
    fn read(&mut self, unit: usize, numbers: &[usize]) -> Result<(), Fault> {
        let dwarf = self.work.dwarf;
        let header = dwarf.unit_header(DebugInfoOffset(unit))?;
        let unit = open(dwarf, header, &mut self.tables)?;
        let addresses: Vec<u64> =
            numbers.iter().filter_map(|number| self.work.addresses.get(*number).copied()).collect();
        let (scopes, mut fault) = Functions::new(dwarf, &unit, &addresses).find(&mut self.meter);
        let mut lines = match unit.lines.map(|at| Lines::open(dwarf, &unit.tables, at)) {
            Some(Ok(lines)) => Some(lines),
            Some(Err(error)) => {
                fault = fault.or(Some(error));
                None
            }
            None => None,
        };
        let spots = match lines.as_ref().map(|lines| lines.find(&addresses, &mut self.meter)) {
            Some(Ok(spots)) => spots,
            Some(Err(error)) => {
                fault = fault.or(Some(error));
                Vec::new()
            }
            None => Vec::new(),
        };
        let spots = spots.into_iter().chain(std::iter::repeat(None));
        for ((number, scopes), spot) in numbers.iter().zip(&scopes).zip(spots) {
            let found = self.put_together(&unit, &mut lines, scopes, spot);
            self.answers.push((*number, found));
        }
        fault.map_or(Ok(()), Err)
    }

    /// Scopes are by name, lines by place: the innermost function is at the address's own line, and every other at
    /// the place where the next inner one was inlined.
    fn put_together(
        &mut self,
        unit: &Unit<'a>,
        lines: &mut Option<Lines<'_, 'a>>,
        scopes: &[Scope],
        spot: Option<Spot>,
    ) -> Found {
        let mut found = Found::default();
        let mut at = spot;
        for scope in scopes.iter().rev() {
            let name = self.names.find(unit, scope.entry, &mut self.strings);
            found.is_whole = name.as_ref().is_some_and(|name| name.is_whole);
            found.calls.push(self.call(name.map(|name| name.text), lines, at));
            let call = Spot { file: scope.call_file, line: scope.call_line };
            at = (call != Spot::default()).then_some(call);
        }
        if scopes.is_empty() && spot.is_some() {
            found.calls.push(self.call(None, lines, spot));
        }
        found
    }

    fn call(
        &mut self,
        function: Option<Arc<str>>,
        lines: &mut Option<Lines<'_, 'a>>,
        spot: Option<Spot>,
    ) -> Call {
        let file = spot
            .zip(lines.as_mut())
            .and_then(|(spot, lines)| lines.path(spot.file, &mut self.strings));
        let line = spot.and_then(|spot| u32::try_from(spot.line).ok()).filter(|line| *line != 0);
        Call { function, file, line }
    }
}
